/**
 * A publishing process whose disk gives it trouble: says of each message what `publish()` said of it.
 *
 * @module
 */
import process from "node:process";
import { CacheError, PersistClient, type PersistClientOptions } from "../../mod.ts";
import { argument, say, told } from "../support/child.ts";
import { encodeReading, READINGS_TOPIC } from "../support/workload.ts";

/** What it may be told. Ending its standard input stops the client, and then the process. */
export type TroubledCommand =
  | { readonly type: "connect"; readonly port: number }
  /** One by one, so many milliseconds apart. */
  | { readonly type: "publish"; readonly first: number; readonly count: number; readonly apartMs: number }
  | { readonly type: "flush" };

/** What went wrong, as the program sees it. */
export interface Trouble {
  readonly name: string;
  readonly message: string;
  readonly code: string;
  readonly isStored: false | "unknown";
  /** It is of the class that its name says. */
  readonly isCacheError: boolean;
}

/** What it says. */
export type TroubledSaid =
  | { readonly type: "opened" }
  | { readonly type: "notOpened"; readonly trouble: Trouble }
  | { readonly type: "stored"; readonly number: number }
  | { readonly type: "rejected"; readonly number: number; readonly trouble: Trouble }
  /** An `error` event. */
  | { readonly type: "error"; readonly message: string }
  | { readonly type: "flushed" };

function tell(said: TroubledSaid): void {
  say(said);
}

function describe(error: unknown): Trouble {
  const { name, message, code, isStored } = error as CacheError;
  return { name, message, code, isStored, isCacheError: error instanceof CacheError };
}

const client = new PersistClient({ log: false, ...argument<PersistClientOptions>() });
client.addEventListener("error", ({ detail }) => tell({ type: "error", message: detail.error.message }));

function publish(number: number): void {
  client.publish(READINGS_TOPIC, encodeReading(number)).then(
    () => tell({ type: "stored", number }),
    (error) => tell({ type: "rejected", number, trouble: describe(error) }),
  );
}

for await (const command of told<TroubledCommand>()) {
  switch (command.type) {
    case "connect":
      client.connectAsync({ host: "127.0.0.1", port: command.port }).then(
        () => tell({ type: "opened" }),
        (error) => tell({ type: "notOpened", trouble: describe(error) }),
      );
      break;
    case "publish":
      for (let i = 0; i < command.count; i++) {
        publish(command.first + i);
        await new Promise((resolve) => setTimeout(resolve, command.apartMs));
      }
      break;
    case "flush":
      client.flush().then(() => tell({ type: "flushed" }));
      break;
  }
}
await client.stop();
process.exit(0);
