import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";
import { hostname } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { CacheLockedError } from "../../lib/errors.ts";
import { openCache, type OpenCacheOptions } from "../../lib/store/open_cache.ts";
import { Child } from "../support/child.ts";
import { within } from "../support/deadline.ts";
import type { HolderSays, StoreOne } from "./cache_holder.ts";
import type { Opening } from "./cache_worker.ts";
import { cacheOptions, modeOf, openTestRuntime, temporaryFolder } from "./fixtures.ts";

const runtime = await openTestRuntime();
const HOLDER = new URL("./cache_holder.ts", import.meta.url);
const WORKER = new URL("./cache_worker.ts", import.meta.url);

/** A refusal may take so long. */
const REFUSAL_MS_MAX = 1_000;

function assertRefused(options: OpenCacheOptions, names: RegExp): void {
  const begunMs = performance.now();
  assert.throws(() => openCache(runtime, options), (error) => {
    assert.ok(error instanceof CacheLockedError, `a CacheLockedError, not ${error}`);
    assert.equal(error.code, "locked");
    assert.match(error.message, names);
    return true;
  });
  const tookMs = performance.now() - begunMs;
  assert.ok(tookMs < REFUSAL_MS_MAX, `refused within a second, not ${tookMs} ms`);
}

describe("The lock of a cache", () => {
  test("lets nobody else of the same process in, and is free after close()", () => {
    using folder = temporaryFolder();
    const options = cacheOptions(folder.path, { clientId: "meter-7" });
    const cache = openCache(runtime, options);
    assertRefused(options, /client "meter-7" in this very process holds it/);
    assertRefused({ ...options, clientId: "other" }, /client "meter-7" in this very process holds it/);
    cache.outbox.commit({ at: { epochMs: 1, knownMs: 1 }, packetIdCursor: 1 });
    cache.close();
    openCache(runtime, options).close();
  });

  test("names its holder in a file, which goes with it", () => {
    using folder = temporaryFolder();
    const ownerPath = join(folder.path, "lock.owner");
    const cache = openCache(runtime, cacheOptions(folder.path, { clientId: "meter-7" }));
    const { startedAtEpochMs, ...owner } = JSON.parse(readFileSync(ownerPath, "utf8"));
    assert.deepEqual(owner, { pid: process.pid, host: hostname(), clientId: "meter-7" });
    assert.ok(Math.abs(startedAtEpochMs - Date.now()) < 60_000);
    assert.equal(modeOf(ownerPath), 0o600);
    assert.equal(modeOf(join(folder.path, "lock")), 0o600);
    cache.close();
    assert.equal(existsSync(ownerPath), false);
  });

  test("refuses within a second while another process holds it, which is undisturbed", async () => {
    using folder = temporaryFolder();
    const options = cacheOptions(folder.path, { clientId: "meter-7" });
    const holder = new Child<HolderSays>(HOLDER, options);
    try {
      const { pid } = await holder.next("opened");
      assertRefused(options, new RegExp(`client "meter-7" in process ${pid} on ${hostname()} holds it`));
      assertRefused(options, /holds it/);
      holder.send({ type: "store" } satisfies StoreOne);
      await holder.next("stored");
      const second = new Child<HolderSays>(HOLDER, options);
      assert.equal((await second.next("refused")).name, "CacheLockedError");
      await second.stop();
      await holder.stop();
      const cache = openCache(runtime, options);
      assert.equal(cache.outbox.ledger().pending, 1);
      cache.close();
    } finally {
      holder.kill();
    }
  });

  test("is freed by SIGKILL, and what was stored is there", async () => {
    using folder = temporaryFolder();
    const options = cacheOptions(folder.path);
    const holder = new Child<HolderSays>(HOLDER, options);
    try {
      await holder.next("opened");
      for (let count = 0; count < 5; count++) holder.send({ type: "store" } satisfies StoreOne);
      await holder.next("stored", ({ id }) => id === 5);
      holder.kill();
      await within(holder.exited, "the holder to be gone");
      assert.ok(existsSync(join(folder.path, "lock.owner")), "it had no time to take its name away");
      const cache = openCache(runtime, options);
      assert.equal(cache.outbox.nextMessageId(), 6);
      assert.deepEqual(cache.outbox.readQueued(0, 10, Infinity).map(({ id }) => id), [1, 2, 3, 4, 5]);
      cache.close();
    } finally {
      holder.kill();
    }
  });

  test("is waited for as long as lockWaitMs says", async () => {
    using folder = temporaryFolder();
    const options = cacheOptions(folder.path);
    const holder = new Child<HolderSays>(HOLDER, options);
    try {
      await holder.next("opened");
      const waiting = new Child<HolderSays>(HOLDER, { ...options, lockWaitMs: 30_000 });
      assertRefused(options, /holds it/);
      await holder.stop();
      await waiting.next("opened");
      assertRefused(options, /holds it/);
      await waiting.stop();
    } finally {
      holder.kill();
    }
  });

  for (const [how, fails] of [["was terminated", false], ["has failed", true]] as const) {
    test(`of a worker that ${how} does not block its successor in the same process`, async () => {
      using folder = temporaryFolder();
      const options = cacheOptions(folder.path);
      for (let round = 1; round <= 3; round++) {
        const worker = new Worker(WORKER, { type: "module" });
        const failed = new Promise<void>((resolve) => {
          worker.onerror = (event) => {
            event.preventDefault();
            resolve();
          };
        });
        const heard = (type: string) =>
          new Promise<void>((resolve) => {
            worker.addEventListener("message", ({ data }: MessageEvent<{ type: string }>) => data.type === type && resolve());
          });
        const opened = heard("opened");
        await within(heard("loaded"), "the worker to load");
        worker.postMessage({ options, fails } satisfies Opening);
        await within(opened, "the worker to open the cache");
        if (fails) await within(failed, "the worker to fail");
        worker.terminate();
        const cache = openCache(runtime, { ...options, lockWaitMs: 10_000 });
        assert.equal(cache.outbox.ledger().pending, round);
        cache.close();
      }
    });
  }

  test("is not believed to be held because a file says so", () => {
    using folder = temporaryFolder();
    const options = cacheOptions(folder.path);
    openCache(runtime, options).close();
    writeFileSync(join(folder.path, "lock.owner"), JSON.stringify({ pid: process.pid, clientId: "x", startedAtEpochMs: 1 }));
    openCache(runtime, options).close();
  });

  for (
    const [what, text] of [
      ["nothing", ""],
      ["no JSON", "pid 12"],
      ["other JSON", '{"pid":"12"}'],
      ["a process that is gone", JSON.stringify({ pid: 2 ** 22 + 1, host: hostname(), clientId: "gone", startedAtEpochMs: 1 })],
    ] as const
  ) {
    test(`is refused without a name where the file beside it holds ${what}`, () => {
      using folder = temporaryFolder();
      const options = cacheOptions(folder.path);
      const cache = openCache(runtime, options);
      writeFileSync(join(folder.path, "lock.owner"), text);
      assertRefused(options, /another client holds it/);
      cache.close();
    });
  }
});
