/**
 * A device's life by chance: everything that can go wrong does. One seed, one life.
 */
import type { QoS } from "../../lib/core/message.ts";
import { type Disk, ModelDisk } from "./memory_outbox.ts";
import { ModelBroker } from "./model_broker.ts";
import { SeededRandom } from "./seeded_random.ts";
import { World } from "./world.ts";

const RECEIVE_MAXIMA = [1, 2, 5, 20, 100, 65_535];

/** Refusals for now, and one that is none. */
const TRANSIENT_CODES = [0x80, 0x83, 0x97, 0x10];

export interface Counts {
  messages: number;
  cuts: number;
  crashes: number;
  powerCuts: number;
  sessionLosses: number;
  caches: number;
}

export class Life {
  readonly world: World;
  readonly counts: Counts = { messages: 0, cuts: 0, crashes: 0, powerCuts: 0, sessionLosses: 0, caches: 1 };
  /** QoS by serial number. */
  readonly qosOf = new Map<number, QoS>();
  /** Serial numbers that this life itself gave up: left on an abandoned cache, forgotten by a broker that came back older, purged. */
  readonly excused = new Set<number>();
  /** What a copied cache delivers once more. */
  readonly copied = new Set<number>();
  readonly #random: SeededRandom;
  readonly #qosChoices: readonly QoS[];
  readonly #hosts: readonly string[];
  readonly #newDisk: () => Disk;
  #host = "a";

  constructor(seed: number, newDisk: () => Disk = () => new ModelDisk()) {
    const random = this.#random = new SeededRandom(seed);
    this.#newDisk = newDisk;
    this.#qosChoices = random.pick<readonly QoS[]>([[2], [2], [1], [0, 1, 2], [1, 2]]);
    this.#hosts = random.chance(0.2) ? ["a", "b"] : ["a"];
    const protocolVersion = random.chance(0.3) ? random.pick<4 | 5>([4, 5]) : undefined;
    const inFlightMax = random.pick<"auto" | number>(["auto", 1, 3, 50]);
    const sessionGroup = this.#hosts.length > 1 && random.chance(0.3) ? "group" : undefined;
    this.world = new World({ inFlightMax, protocolVersion, sessionGroup }, seed, newDisk());
    for (const host of this.#hosts) {
      const speaks = protocolVersion === 5 ? [4, 5] as const : random.pick([[4, 5], [4, 5], [4]] as const);
      const broker = new ModelBroker({
        deliversAt: random.pick(["publish", "release"] as const),
        speaks,
        refusesBy: random.pick(["connack", "close"] as const),
        receiveMaximum: random.pick(RECEIVE_MAXIMA),
        answersInUse: random.chance(0.3),
        comparesContent: random.chance(0.2),
        deniesSession: random.chance(0.05),
      });
      broker.onSwallowed = (serial) => void this.excused.add(serial);
      this.world.setBroker(sessionGroup === undefined ? broker : this.world.brokers.get("a") ?? broker, host);
    }
    this.world.line.latencyMs = random.pick([0, 1, 20, 300]);
    this.world.connect(this.#host);
  }

  /** Something happens, and some time passes. */
  act(): void {
    const action = this.#random.pick(this.#actions);
    action();
    this.world.run(this.#random.pick([0, 0, 1, 3, 10, 50, 1_000, 20_000]));
  }

  /** Nothing goes wrong any more, until everything is through. */
  calm(): void {
    const { world } = this;
    Object.assign(world.line, { isDown: false, isBlackhole: false, losesConnack: false });
    world.disk.fault = () => "none";
    for (const broker of world.brokers.values()) {
      Object.assign(broker.options, { judge: () => 0, admits: () => 0, maximumQoS: 2, maximumPacketSize: 1_000_000 });
    }
    world.transport.cut();
    world.connect(this.#host);
    world.settle();
  }

  get #broker(): ModelBroker {
    return this.world.broker(this.#host);
  }

  readonly #publish = (): void => {
    const qos = this.#random.pick(this.#qosChoices);
    const serials = this.world.publish(1 + this.#random.below(this.#random.pick([2, 10, 60])), { qos });
    for (const serial of serials) this.qosOf.set(serial, qos);
    this.counts.messages += serials.length;
  };

  readonly #cut = (): void => {
    this.counts.cuts++;
    this.world.transport.cut();
  };

  readonly #crash = (): void => {
    this.counts.crashes++;
    this.world.crash();
    this.world.connect(this.#host);
  };

  readonly #cutPower = (): void => {
    this.counts.powerCuts++;
    this.world.cutPower();
    this.world.connect(this.#host);
  };

  readonly #loseSession = (): void => {
    if (this.#random.chance(0.7)) return;
    this.counts.sessionLosses++;
    this.world.transport.cut();
    this.#broker.loseSessions();
  };

  /** Troubles like company: the session is lost, the broker comes back with less room, and the device dies while it takes up its work again. */
  readonly #loseAll = (): void => {
    const { world } = this;
    const { latencyMs } = world.line;
    Object.assign(world.line, { isDown: false, isBlackhole: false, losesConnack: false });
    if (!this.#runUntilOnline()) return;
    this.#publish();
    world.run(latencyMs * 4 * this.#random.next()); // somewhere within the exchanges
    this.counts.sessionLosses++;
    world.transport.cut();
    this.#broker.loseSessions();
    const { receiveMaximum } = this.#broker.options;
    this.#broker.options.receiveMaximum = this.#random.pick([1, 2, 5]);
    if (this.#runUntilOnline()) world.run(latencyMs * 2 * this.#random.next());
    if (this.#random.chance(0.5)) this.#crash();
    else world.transport.cut();
    this.#broker.options.receiveMaximum = receiveMaximum;
  };

  #runUntilOnline(): boolean {
    const untilMs = this.world.clock.monotonicMs() + 100_000;
    while (this.world.status.connection.state !== "online") if (!this.world.step(untilMs)) return false;
    return true;
  }

  /** The broker is killed and comes back with sessions as they were a while ago: what it had only acknowledged by PUBREC is gone, by right. */
  readonly #rollBack = (): void => {
    if (this.#random.chance(0.8)) return this.#broker.save();
    this.world.transport.cut();
    this.#broker.comeBack();
    for (const serial of this.#broker.heldIds(this.world.options.clientId)) this.world.mayDuplicate.add(serial);
    for (const serial of this.world.inFlightSerials()) {
      this.excused.add(serial);
      this.world.mayDuplicate.add(serial);
    }
  };

  readonly #line = (): void => {
    this.world.line.isDown = this.#random.chance(0.5);
    if (this.world.line.isDown) this.#cut();
  };

  readonly #blackhole = (): void => {
    this.world.line.isBlackhole = this.#random.chance(0.3);
  };

  readonly #loseConnack = (): void => {
    this.world.line.losesConnack = this.#random.chance(0.3);
    if (this.world.line.losesConnack) this.#cut();
  };

  readonly #changeLimits = (): void => {
    const random = this.#random;
    Object.assign(this.#broker.options, {
      receiveMaximum: random.pick(RECEIVE_MAXIMA),
      maximumQoS: random.pick([2, 2, 2, 1]),
      maximumPacketSize: 1_000_000,
    });
    this.#cut();
  };

  readonly #troubleDisk = (): void => {
    const rate = this.#random.pick([0, 0, 0.05, 0.5]);
    const kinds = this.#random.pick([["full"], ["failed-lost", "failed-kept"], ["full", "failed-lost", "failed-kept"]] as const);
    this.world.disk.fault = () => this.#random.chance(rate) ? this.#random.pick(kinds) : "none";
  };

  readonly #judge = (): void => {
    const rate = this.#random.pick([0, 0, 0.05, 0.3]);
    const codes = this.#random.chance(0.3) ? [...TRANSIENT_CODES, 0x87, 0x90, 0x91] : TRANSIENT_CODES;
    this.#broker.options.judge = (_serial, packet) => {
      const code = this.#random.chance(rate) ? this.#random.pick(codes) : 0;
      return code === 0x91 && packet.dup ? 0 : code; // about a repeat it would be a lie
    };
  };

  readonly #admit = (): void => {
    const code = this.#random.pick([0, 0, 0x86, 0x89]);
    this.#broker.options.admits = (version) => version === 5 ? code : 0;
  };

  readonly #changeBroker = (): void => {
    this.#host = this.#random.pick(this.#hosts);
    this.world.connect(this.#host);
  };

  readonly #goOffline = (): void => {
    this.world.publisher.disconnect();
    this.world.run(this.#random.below(100));
    this.world.connect(this.#host);
  };

  readonly #setClock = (): void => {
    this.world.clock.setEpochMs(this.#random.pick([0, 5_000, 1_767_225_600_000, 4_102_444_800_000]));
  };

  /** The device is replaced: a new cache under the old client id, while the broker still holds packet ids of the old one. */
  readonly #newCache = (): void => {
    if (this.#random.chance(0.8)) return;
    for (const serial of this.qosOf.keys()) if (!this.world.delivered.has(serial)) this.excused.add(serial);
    this.counts.caches++;
    this.world.changeDisk(this.#newDisk(), false);
    this.world.connect(this.#host);
  };

  /** The cache folder was copied, and the copy is used from now on. */
  readonly #copyCache = (): void => {
    if (this.#random.chance(0.8)) return;
    for (const serial of this.world.inFlightSerials()) this.world.mayDuplicate.add(serial);
    this.counts.caches++;
    this.world.changeDisk(this.world.disk.copy(), true);
    this.world.connect(this.#host);
  };

  readonly #operate = (): void => {
    try {
      const ids = this.world.publisher.quarantined(0, 10).map(({ id }) => id);
      this.world.publisher.requeue(ids);
    } catch {
      // the disk is in trouble
    }
  };

  readonly #actions: readonly (() => void)[] = [
    ...Array<() => void>(5).fill(this.#publish),
    this.#cut,
    this.#crash,
    this.#cutPower,
    this.#loseSession,
    this.#loseAll,
    this.#rollBack,
    this.#line,
    this.#blackhole,
    this.#loseConnack,
    this.#changeLimits,
    this.#troubleDisk,
    this.#judge,
    this.#admit,
    this.#changeBroker,
    this.#goOffline,
    this.#setClock,
    this.#newCache,
    this.#copyCache,
    this.#operate,
  ];
}
