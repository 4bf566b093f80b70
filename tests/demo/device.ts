/**
 * The measuring device of the demonstration: takes readings at a steady pace and publishes each, whatever the link does. Ends when its
 * standard input does.
 *
 * @module
 */
import process from "node:process";
import { PersistClient } from "../../mod.ts";
import { argument, type Said, say, told } from "../support/child.ts";
import { encodeReading, READINGS_TOPIC } from "../support/workload.ts";

/** How it is started. */
export interface DeviceOptions {
  readonly clientId: string;
  readonly cachePath: string;
  readonly port: number;
  readonly perSecond: number;
}

/** What it is told: to take no more readings. */
export interface DeviceTold {
  readonly type: "enough";
}

/** What it says. */
export type DeviceSaid =
  /** The number of its next reading, and how many wait in the cache. */
  | { readonly type: "started"; readonly next: number; readonly waiting: number }
  /** This reading is on disk. */
  | { readonly type: "stored"; readonly number: number }
  /** Every reading was taken over by the broker; the number of the last. */
  | { readonly type: "flushed"; readonly last: number };

/** A timer may be late; all readings due by then are taken. */
const SAMPLE_MS = 5;

function tell(said: DeviceSaid & Said): void {
  say(said);
}

async function main({ clientId, cachePath, port, perSecond }: DeviceOptions): Promise<void> {
  const client = new PersistClient({
    clientId,
    cachePath,
    // Quicker than the defaults, as nobody wants to watch a demonstration wait.
    reconnect: { delayMsMin: 100, delayMsMax: 500 },
    ackTimeoutMs: 3_000,
    log: { level: "error" },
  });
  await client.connectAsync({ host: "127.0.0.1", port });

  // The cache knows how many readings it has ever taken, also those whose publish() had no time to answer before the power went. Going on from
  // there gives no number twice and leaves none out.
  const { ledger, cachedItems } = client.getStatus();
  const first = ledger!.accepted + 1;
  tell({ type: "started", next: first, waiting: cachedItems });

  const startMs = performance.now();
  let last = first - 1;
  const stored: Promise<void>[] = [];
  const timer = setInterval(() => {
    const due = first + Math.floor((performance.now() - startMs) * perSecond / 1000);
    while (last < due) stored.push(publish(++last));
  }, SAMPLE_MS);

  async function publish(number: number): Promise<void> {
    const id = await client.publish(READINGS_TOPIC, encodeReading(number));
    if (id !== number) throw new Error(`Cannot go on: reading ${number} was stored as message ${id}`);
    tell({ type: "stored", number });
  }

  for await (const _ of told<DeviceTold>()) {
    clearInterval(timer);
    await Promise.all(stored);
    await client.flush();
    tell({ type: "flushed", last });
  }
  clearInterval(timer);
  await client.stop();
  process.exit(0);
}

await main(argument());
