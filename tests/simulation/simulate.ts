/**
 * A life of a device by chance: everything that can go wrong does, then it stops going wrong, and then every promise must have been kept. The same
 * seed gives the same life.
 */
import type { MessageId, QoS } from "../../lib/core/message.ts";
import { ModelBroker } from "./model_broker.ts";
import { SeededRandom } from "./seeded_random.ts";
import { World } from "./world.ts";

/** What one life came to. */
export interface Life {
  readonly seed: number;
  /** Broken promises; empty if all is well. */
  readonly faults: readonly string[];
  readonly messageCount: number;
  readonly cutCount: number;
  readonly crashCount: number;
  readonly sessionLossCount: number;
}

const ACTIONS_PER_LIFE = 150;

/** Lives one life. */
export function simulate(seed: number): Life {
  const random = new SeededRandom(seed);
  const life = new SimulatedLife(random, seed);
  try {
    for (let action = 0; action < ACTIONS_PER_LIFE; action++) life.act();
    life.calm();
  } catch (error) {
    life.faults.push(
      `exception: ${error instanceof Error ? error.stack : error}`,
    );
  }
  return life.result();
}

class SimulatedLife {
  readonly faults: string[] = [];
  readonly #seed: number;
  readonly #random: SeededRandom;
  readonly #world: World;
  readonly #qosOf = new Map<MessageId, QoS>();
  readonly #qosChoices: readonly QoS[];
  /** At QoS 0 what was handed over before a cut, crash or loss is gone by right. */
  #cutCount = 0;
  #crashCount = 0;
  #sessionLossCount = 0;
  #hosts: readonly string[];
  #host: string;

  constructor(random: SeededRandom, seed: number) {
    this.#random = random;
    this.#seed = seed;
    this.#qosChoices = random.pick<readonly QoS[]>([[2], [2], [1], [0, 1, 2], [
      1,
      2,
    ]]);
    this.#hosts = random.chance(0.2) ? ["a", "b"] : ["a"];
    this.#host = "a";
    const protocolVersion = random.chance(0.3) ? random.pick<4 | 5>([4, 5]) : undefined;
    this.#world = new World({ inFlightMax: random.pick<"auto" | number>(["auto", 1, 3, 50]), protocolVersion }, seed);
    for (const host of this.#hosts) {
      this.#world.setBroker(
        new ModelBroker({
          deliversAt: random.pick(["publish", "release"] as const),
          speaks: protocolVersion === 5 ? [4, 5] : random.pick([[4, 5], [4, 5], [4]]),
          refusesBy: random.pick(["connack", "close"] as const),
          receiveMaximum: random.pick([1, 2, 5, 20, 65_535]),
          answersInUse: random.chance(0.3),
          deniesSession: random.chance(0.05),
        }),
        host,
      );
    }
    this.#world.line.latencyMs = random.pick([0, 1, 20, 300]);
    this.#world.connect(this.#host);
  }

  /** One thing happens to the device. */
  act(): void {
    const world = this.#world;
    const random = this.#random;
    switch (random.below(16)) {
      case 0:
      case 1:
      case 2:
      case 3: {
        const qos = random.pick(this.#qosChoices);
        for (
          const id of world.publish(
            1 + random.below(random.pick([2, 10, 60])),
            { qos },
          )
        ) this.#qosOf.set(id, qos);
        break;
      }
      case 4:
        this.#cutCount++;
        world.transport.cut();
        break;
      case 5:
        this.#crashCount++;
        world.crash();
        world.connect(this.#host);
        break;
      case 6:
        this.#crashCount++;
        world.cutPower();
        world.connect(this.#host);
        break;
      case 7:
        if (random.chance(0.7)) break;
        this.#sessionLossCount++;
        world.transport.cut();
        world.broker(this.#host).loseSessions();
        break;
      case 8:
        world.line.isDown = random.chance(0.5);
        if (world.line.isDown) world.transport.cut();
        break;
      case 9:
        world.line.isBlackhole = random.chance(0.3);
        break;
      case 10: {
        const broker = world.broker(this.#host);
        broker.options.receiveMaximum = random.pick([1, 2, 5, 20, 65_535]);
        world.transport.cut();
        break;
      }
      case 11: {
        const rate = random.pick([0, 0, 0.05, 0.5]);
        world.disk.fault = () => random.chance(rate) ? random.pick(["full", "failed-lost", "failed-kept"] as const) : "none";
        break;
      }
      case 12: {
        const rate = random.pick([0, 0, 0.05, 0.3]);
        const broker = world.broker(this.#host);
        broker.options.judge = () => random.chance(rate) ? random.pick([0x80, 0x83, 0x97, 0x10]) : 0;
        break;
      }
      case 13:
        this.#host = random.pick(this.#hosts);
        world.connect(this.#host);
        break;
      case 14:
        world.publisher.disconnect();
        world.run(random.below(100));
        world.connect(this.#host);
        break;
      case 15:
        world.clock.setEpochMs(
          random.pick([0, 5_000, 1_767_225_600_000, 4_102_444_800_000]),
        );
        break;
    }
    world.run(random.pick([0, 0, 1, 3, 10, 50, 1_000, 20_000]));
    this.#checkMoment();
  }

  /** Nothing goes wrong any more: now everything must get through. */
  calm(): void {
    const world = this.#world;
    world.line.isDown = world.line.isBlackhole = false;
    world.disk.fault = () => "none";
    for (const host of this.#hosts) world.broker(host).options.judge = () => 0;
    world.connect(this.#host);
    world.settle();
    this.#checkMoment();
    this.#checkEnd();
  }

  result(): Life {
    return {
      seed: this.#seed,
      faults: this.faults,
      messageCount: this.#qosOf.size,
      cutCount: this.#cutCount,
      crashCount: this.#crashCount,
      sessionLossCount: this.#sessionLossCount,
    };
  }

  #checkMoment(): void {
    const { violations } = this.#world.watch;
    this.faults.push(
      ...violations.splice(0).map((violation) => `wire: ${violation}`),
    );
    const { accepted, pending, ...rest } = this.#world.status.ledger;
    const settled = rest.delivered + rest.quarantined + rest.dropped +
      rest.expired + rest.purged + rest.damaged;
    if (accepted !== settled + pending) {
      this.faults.push(
        `ledger: ${accepted} accepted, ${settled} settled, ${pending} pending`,
      );
    }
  }

  #checkEnd(): void {
    const world = this.#world;
    const { pending } = world.status.ledger;
    if (pending > 0) {
      this.faults.push(
        `stuck: ${pending} messages are still pending: ${JSON.stringify(world.status)}`,
      );
    }
    const counts = new Map<MessageId, number>();
    for (const broker of world.brokers.values()) {
      for (const id of broker.delivered) {
        counts.set(id, (counts.get(id) ?? 0) + 1);
      }
    }
    const quarantined = new Set(
      world.eventsOf("quarantined").flatMap(({ ids }) => ids),
    );
    for (const id of world.stored) {
      const count = counts.get(id) ?? 0;
      const qos = this.#qosOf.get(id)!;
      if (count === 0 && qos > 0 && !quarantined.has(id) && !world.mayBeLost.has(id)) {
        this.faults.push(
          `lost: message ${id} of QoS ${qos} was stored and never delivered`,
        );
      }
      if (count > 1 && qos === 0) {
        this.faults.push(
          `duplicate: message ${id} of QoS 0 was delivered ${count} times`,
        );
      }
      if (count > 1 && qos === 2 && !world.mayDuplicate.has(id)) {
        this.faults.push(
          `duplicate: message ${id} of QoS 2 was delivered ${count} times while the session was kept`,
        );
      }
    }
    for (const [id, { isStored }] of world.refused) {
      if (isStored === false && counts.has(id) && !world.stored.has(id)) {
        this.faults.push(`refused message ${id} was delivered`);
      }
    }
  }
}
