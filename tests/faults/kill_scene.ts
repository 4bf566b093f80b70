/**
 * Everybody who takes part when a publishing process is killed: a real broker, an independent subscriber, a relay between broker and victim, and
 * the ways in which a life of the victim ends.
 *
 * @module
 */
import assert from "node:assert/strict";
import { setTimeout as delay } from "node:timers/promises";
import { SeededRandom } from "../simulation/seeded_random.ts";
import { Mosquitto, type MosquittoOptions } from "../support/mosquitto.ts";
import { hold, Relay } from "../support/relay.ts";
import { spoiling } from "../support/strace.ts";
import { Subscriber } from "../support/subscriber.ts";
import { decodeReading, Tally } from "../support/workload.ts";
import { KillExchanges } from "./kill_exchanges.ts";
import { type KillStage, STAGES, Victim } from "./kill_victim.ts";
import { openTestRuntime } from "./power_cut/inspect.ts";

/** How a life ends: with messages in the stage named, at a random moment, or at a write to the disk. */
export type Blow = KillStage | "random" | "write";

/** What the subscriber got. */
export class Deliveries extends Tally {
  /** Numbers of those that came more than once. */
  readonly repeated = new Set<number>();

  override take(payload: Uint8Array): void {
    const number = decodeReading(payload);
    if (number !== undefined && this.has(number)) this.repeated.add(number);
    super.take(payload);
  }
}

/** See above. */
export interface Scene {
  readonly broker: Mosquitto;
  readonly relay: Relay;
  readonly exchanges: KillExchanges;
  readonly victim: Victim;
  readonly subscriber: Subscriber;
  readonly deliveries: Deliveries;
  readonly random: SeededRandom;
}

/** How to set it. */
export interface SceneOptions {
  readonly protocolVersion: 4 | 5;
  readonly broker?: MosquittoOptions;
  /** The broker keeps for the subscriber what it cannot hand out at once. @default {true} */
  readonly isSubscriberPersistent?: boolean;
}

const COUNT = 60;
const PER_SECOND = 600;
/** The blow falls at this packet of those that pass, or at one of as many that follow: within the window, at most 20. */
const NTH = 8;
const RANDOM_DELAY_MS_MAX = 250;
const WRITES_MAX = 120;
const POLL_MS = 5;

/** Sets a scene, plays, and takes everything down again. */
export async function play(options: SceneOptions, run: (scene: Scene) => Promise<void>): Promise<void> {
  const { protocolVersion, isSubscriberPersistent: isPersistent = true } = options;
  const broker = await Mosquitto.start(options.broker);
  const relay = await Relay.start(broker.port);
  const deliveries = new Deliveries();
  const subscriber = await Subscriber.start({ port: broker.port, isPersistent, onMessage: ({ payload }) => deliveries.take(payload) });
  const exchanges = new KillExchanges(relay);
  const victim = new Victim(await openTestRuntime(), exchanges, { clientId: "victim", protocolVersion });
  try {
    await run({ broker, relay, exchanges, victim, subscriber, deliveries, random: new SeededRandom(protocolVersion) });
  } finally {
    victim.remove();
    await subscriber.stop();
    await relay.close();
    await broker.close();
  }
}

/** One life, from its start to its violent end. Then the relay is well again. */
export async function liveAndDie(scene: Scene, blow: Blow): Promise<void> {
  const { relay, exchanges, victim, random } = scene;
  const nth = NTH + random.below(NTH);
  const kill = () => victim.kill();
  switch (blow) {
    case "stored":
      relay.treat({ up: hold });
      victim.start(relay.port);
      victim.publish(COUNT);
      await victim.stored();
      kill();
      break;
    case "sent":
    case "received":
    case "released":
      exchanges.strikeAt(blow, nth, kill);
      victim.start(relay.port);
      victim.publish(COUNT);
      break;
    case "random":
      victim.start(relay.port);
      await victim.opened();
      victim.publish(COUNT, PER_SECOND);
      setTimeout(kill, random.below(RANDOM_DELAY_MS_MAX));
      break;
    case "write":
      victim.start(relay.port, killingAtWrite(victim, 1 + random.below(WRITES_MAX)));
      victim.publish(COUNT, PER_SECOND);
      break;
  }
  const counts = await victim.died();
  if (blow !== "random" && blow !== "write") assert(counts[blow] > 0, `it died with ${blow} messages: ${JSON.stringify(counts)}`);
  await relay.cut();
  await relay.restore();
}

/** The n-th write to the database or its log is the last thing that the process does. */
function killingAtWrite(victim: Victim, n: number): readonly string[] {
  const paths = ["outbox.sqlite3", "outbox.sqlite3-wal"].map((name) => `${victim.cachePath}/${name}`);
  return spoiling({ calls: ["pwrite64"], effect: "signal=KILL", when: String(n), paths, logPath: victim.path("strace") });
}

/** The broker ends in this way and comes back. Resolves when the subscriber is there again. */
export async function restartBroker({ broker, subscriber }: Scene, how: "stop" | "kill"): Promise<void> {
  await broker[how]();
  const before = broker.log.length;
  await broker.restart();
  // It may not have noticed yet that it was gone, and would say that it is subscribed: the broker knows better.
  const connected = /New client connected from \S+ as subscriber-/;
  while (!connected.test(broker.log.slice(before))) await delay(POLL_MS);
  await subscriber.subscribed();
}

/** A last life that ends well: all is delivered, and has arrived. */
export async function finish({ relay, victim, subscriber }: Scene): Promise<void> {
  victim.start(relay.port);
  victim.publish(COUNT, PER_SECOND);
  await victim.finish();
  await subscriber.fence();
}

/**
 * What was acknowledged has arrived, but for what `mayBeMissing`; what arrived was handed over; nothing was altered; first arrivals are in order.
 * Gives how much is missing all the same.
 */
export function checkSets({ victim, deliveries }: Scene, mayBeMissing: ReadonlySet<number> = new Set()): number {
  const missing = [...victim.acknowledged].filter((number) => !deliveries.has(number));
  assert.deepEqual(missing.filter((number) => !mayBeMissing.has(number)), [], "what was acknowledged has arrived");
  assert.deepEqual(deliveries.numbers.filter((number) => !victim.handedOver.has(number)), [], "what arrived was handed over");
  assert.equal(deliveries.altered, 0, "nothing was altered");
  assert.equal(deliveries.outOfOrder, 0, "first arrivals are in the order of publish()");
  return missing.length;
}

/** One line for a table. */
export function describe({ victim, deliveries }: Scene, what: string): string {
  const stages = STAGES.map((stage) => `${stage} ${victim.killsByStage[stage]}`).join(", ");
  const { acknowledged, handedOver, killCount } = victim;
  const missing = [...acknowledged].filter((number) => !deliveries.has(number)).length;
  return `Kill, ${"Bun" in globalThis ? "Bun" : "Deno"}, ${what}: ${killCount} kills (found messages in stage: ${stages}), ` +
    `${handedOver.size} handed over, ${acknowledged.size} acknowledged, ${deliveries.numbers.length} arrived, ${missing} missing, ` +
    `${deliveries.duplicates} duplicates, ${deliveries.outOfOrder} out of order`;
}
