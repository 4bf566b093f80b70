/**
 * A publishing process for tests that end it: does as it is told, and says what became of it.
 *
 * @module
 */
import process from "node:process";
import { type FlushCounts, PersistClient, type PersistClientOptions } from "../../mod.ts";
import { argument, type Said, say, told } from "../support/child.ts";
import { encodeReading, READINGS_TOPIC } from "../support/workload.ts";

/** What it may be told. Ending its standard input stops the client, and then the process. */
export type PublisherCommand =
  | { readonly type: "connect"; readonly port: number }
  /** Readings from one number on; without `perSecond` all at once. */
  | { readonly type: "publish"; readonly first: number; readonly count: number; readonly perSecond?: number }
  /** When all that was published before is stored. */
  | { readonly type: "flush" };

/** What it says. */
export type PublisherSaid =
  /** The cache is open; what it held then. */
  | { readonly type: "opened"; readonly accepted: number; readonly waiting: number }
  /** It could not be opened. */
  | { readonly type: "notOpened"; readonly name: string; readonly message: string; readonly tookMs: number }
  | { readonly type: "stored"; readonly number: number }
  | { readonly type: "notStored"; readonly number: number; readonly name: string; readonly message: string }
  | { readonly type: "sessionlost"; readonly requeuedCount: number; readonly duplicatesPossibleCount: number }
  | { readonly type: "flushed"; readonly counts: FlushCounts; readonly waiting: number };

function tell(said: PublisherSaid & Said): void {
  say(said);
}

/** Readings that are due are taken so often. */
const SAMPLE_MS = 5;

const client = new PersistClient({ log: false, ...argument<PersistClientOptions>() });
client.addEventListener("sessionlost", ({ detail }) => tell({ type: "sessionlost", ...detail }));

async function connect(port: number): Promise<void> {
  const startMs = performance.now();
  try {
    await client.connectAsync({ host: "127.0.0.1", port });
    const { ledger, cachedItems } = client.getStatus();
    tell({ type: "opened", accepted: ledger!.accepted, waiting: cachedItems });
  } catch (error) {
    const { name, message } = error as Error;
    tell({ type: "notOpened", name, message, tookMs: performance.now() - startMs });
  }
}

async function publish(number: number): Promise<void> {
  try {
    await client.publish(READINGS_TOPIC, encodeReading(number));
    tell({ type: "stored", number });
  } catch (error) {
    const { name, message } = error as Error;
    tell({ type: "notStored", number, name, message });
  }
}

function publishAll(first: number, count: number, perSecond = Infinity): Promise<unknown> {
  const startMs = performance.now();
  const stored: Promise<void>[] = [];
  return new Promise((resolve) => {
    const take = () => {
      const due = Math.min(count, perSecond === Infinity ? count : 1 + Math.floor((performance.now() - startMs) * perSecond / 1000));
      while (stored.length < due) stored.push(publish(first + stored.length));
      if (stored.length < count) return;
      clearInterval(timer);
      resolve(Promise.all(stored));
    };
    const timer = setInterval(take, SAMPLE_MS);
  });
}

let published: Promise<unknown> = Promise.resolve();
for await (const command of told<PublisherCommand>()) {
  if (command.type === "connect") await connect(command.port);
  else if (command.type === "publish") published = publishAll(command.first, command.count, command.perSecond);
  else {
    published.then(() => client.flush()).then((counts) => tell({ type: "flushed", counts, waiting: client.getStatus().cachedItems }));
  }
}
await client.stop();
process.exit(0);
