/**
 * What the store's tests share: the runtime they run on, folders that go away, and outboxes in them.
 *
 * @module
 */
import { existsSync, lstatSync, mkdtempSync, realpathSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Runtime } from "../../lib/runtime.ts";
import type { Outbox } from "../../lib/core/ports.ts";
import { type OpenCache, openCache, type OpenCacheOptions } from "../../lib/store/open_cache.ts";
import type { OutboxUnderTest } from "../contracts/outbox.ts";

/** The adapter of the runtime in use. */
export async function openTestRuntime(): Promise<Runtime> {
  const { openRuntime } = "Deno" in globalThis ? await import("../../lib/adapters/deno.ts") : await import("../../lib/adapters/bun.ts");
  return await openRuntime();
}

/** A folder of its own for one test; give it back with `using`. */
export function temporaryFolder(within: string = tmpdir()): { readonly path: string } & Disposable {
  const path = realpathSync(mkdtempSync(join(within, "persistmq-")));
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) };
}

/** The same where there is no disk to wait for, if the system has such a place: for tests that open many caches and ask nothing of a disk. */
export function folderInMemory(): ReturnType<typeof temporaryFolder> {
  return temporaryFolder(existsSync("/dev/shm") ? "/dev/shm" : tmpdir());
}

/** Options of a plain cache in this folder. */
export function cacheOptions(cachePath: string, rest: Partial<OpenCacheOptions> = {}): OpenCacheOptions {
  return { cachePath, clientId: "client", durability: "power-loss", lockWaitMs: 0, allowSharedCache: false, ...rest };
}

/** For the contract: an outbox in a cache of its own. */
export function openOutboxUnderTest(runtime: Runtime): OutboxUnderTest {
  const folder = folderInMemory();
  const options = cacheOptions(folder.path);
  let cache: OpenCache = openCache(runtime, options);
  return {
    outbox: cache.outbox,
    restart(): Outbox {
      cache.close();
      cache = openCache(runtime, options);
      return cache.outbox;
    },
    dispose() {
      cache.close();
      folder[Symbol.dispose]();
    },
  };
}

/** Its permission bits. */
export function modeOf(path: string): number {
  return lstatSync(path).mode & 0o7777;
}
