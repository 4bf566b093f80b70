/**
 * A process that opens a cache, says how that went, and does with it what it is told.
 */
import type { CacheError } from "../../lib/errors.ts";
import { openCache, type OpenCacheOptions } from "../../lib/store/open_cache.ts";
import { message, moment } from "../contracts/outbox.ts";
import { argument, say, told } from "../support/child.ts";
import { openTestRuntime } from "./fixtures.ts";

/** What it says. */
export type HolderSays =
  | { readonly type: "opened"; readonly pid: number; readonly warnings: readonly string[] }
  | { readonly type: "refused"; readonly name: string; readonly code: string; readonly message: string }
  | { readonly type: "stored"; readonly id: number };

/** What it is told. */
export interface StoreOne {
  readonly type: "store";
}

if (import.meta.main) {
  const runtime = await openTestRuntime();
  try {
    const cache = openCache(runtime, argument<OpenCacheOptions>());
    say({ type: "opened", pid: runtime.machine.pid(), warnings: cache.warnings } as HolderSays);
    for await (const _ of told<StoreOne>()) {
      const id = cache.outbox.nextMessageId();
      cache.outbox.commit({ at: moment(id), append: [message(id)] });
      say({ type: "stored", id } as HolderSays);
    }
    cache.close();
  } catch (error) {
    const { name, code, message } = error as CacheError;
    say({ type: "refused", name, code, message } as HolderSays);
  }
}
