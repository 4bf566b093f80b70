/**
 * A worker that opens a cache, stores a message, and then waits to be ended, or fails.
 */
import { openCache, type OpenCacheOptions } from "../../lib/store/open_cache.ts";
import { message, moment } from "../contracts/outbox.ts";
import { openTestRuntime } from "./fixtures.ts";

/** What it is told first. */
export interface Opening {
  readonly options: OpenCacheOptions;
  /** Fail once it is open. */
  readonly fails: boolean;
}

const scope = globalThis as unknown as { onmessage: (event: MessageEvent<Opening>) => void; postMessage(said: unknown): void };

scope.onmessage = async ({ data: { options, fails } }) => {
  const { outbox } = openCache(await openTestRuntime(), options);
  const id = outbox.nextMessageId();
  outbox.commit({ at: moment(id), append: [message(id)] });
  scope.postMessage({ type: "opened" });
  if (fails) throw new Error("made to fail");
};
scope.postMessage({ type: "loaded" });
