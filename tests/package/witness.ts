/**
 * A broker, and an independent subscriber that sees what a program outside the repository has published to it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { connect } from "mqtt";
import { AedesBroker } from "../support/aedes_broker.ts";
import { within } from "../support/deadline.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import type { Outcome } from "./processes.ts";

/** What arrived, in order. */
export interface Arrival {
  readonly topic: string;
  readonly text: string;
}

const FENCE_TOPIC = "witness/fence";

/** Runs a program that publishes to the broker on `port`; what arrived when it has ended well. */
export async function witness(runProgram: (port: number) => Promise<Outcome>): Promise<readonly Arrival[]> {
  const isMosquittoThere = mosquittoMissing() === false;
  const broker = isMosquittoThere ? await Mosquitto.start() : await AedesBroker.start();
  // A clean session: to one that is kept, aedes sends PUBRELs under wrong packet ids.
  const client = connect({ host: "127.0.0.1", port: broker.port, protocol: "mqtt", clean: true, timerVariant: "native" });
  try {
    const arrivals: Arrival[] = [];
    await within(new Promise<void>((resolve) => client.once("connect", () => resolve())), "the subscriber to be connected");
    await client.subscribeAsync("#", { qos: 2 });
    const fenced = new Promise<void>((resolve) => {
      client.on("message", (topic, payload) => topic === FENCE_TOPIC ? resolve() : arrivals.push({ topic, text: payload.toString() }));
    });
    const { code, output } = await runProgram(broker.port);
    assert.equal(code, 0, output);
    // What the broker took over before this message arrives before it.
    await client.publishAsync(FENCE_TOPIC, "", { qos: 2 });
    await within(fenced, "the marker that follows the last message");
    return arrivals;
  } finally {
    await client.endAsync(true);
    await (broker instanceof Mosquitto ? broker.close() : broker.stop());
  }
}

/** How many messages each program publishes. */
const MESSAGE_COUNT = 100;

/** A program as a user would write it: its arguments are the broker's port and the cache. `options` are further ones of the client. */
export function deviceProgram(specifier: string, options: string = ""): string {
  return `import process from "node:process";
import { PersistClient } from ${JSON.stringify(specifier)};

const [port, cachePath] = process.argv.slice(2);
await using client = new PersistClient({ clientId: "package-test", cachePath: cachePath!, ${options} });
await client.connectAsync({ host: "127.0.0.1", port: Number(port) });
for (let number = 1; number <= ${MESSAGE_COUNT}; number++) await client.publish("dt/package", String(number), { qos: 2 });
await client.flush();
`;
}

/** Runs such a program: all its messages arrive, in order, once. */
export async function assertDelivers(runProgram: (port: number) => Promise<Outcome>): Promise<void> {
  const arrivals = await witness(runProgram);
  assert.deepEqual(arrivals, Array.from({ length: MESSAGE_COUNT }, (_, i) => ({ topic: "dt/package", text: String(i + 1) })));
}
