/**
 * What an ordinary user may not do is a clear error. For root everything is allowed, so a process of another user tries.
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, chownSync, cpSync, existsSync, mkdirSync, readdirSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { openCache } from "../../lib/store/open_cache.ts";
import { message, moment } from "../contracts/outbox.ts";
import { Child } from "../support/child.ts";
import type { HolderSays, StoreOne } from "./cache_holder.ts";
import { cacheOptions, openTestRuntime, temporaryFolder } from "./fixtures.ts";

const runtime = await openTestRuntime();

/** An id that belongs to no person. */
const NOBODY = 65_534;
const PREFIX = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];

function reasonToSkip(): string | false {
  if (process.getuid?.() !== 0) return "only root can become another user";
  return spawnSync(PREFIX[0]!, [...PREFIX.slice(1), "true"]).status === 0 ? false : "setpriv is not here, or may not change the user";
}

/** What an ordinary user hears who opens this cache; a message is stored, if it opens. */
async function openAsNobody(cachePath: string, home: string): Promise<HolderSays> {
  const holder = new Child<HolderSays>(new URL("./cache_holder.ts", import.meta.url), cacheOptions(cachePath), {
    prefix: PREFIX,
    environment: { HOME: home, DENO_DIR: join(home, "deno"), TMPDIR: home },
  });
  try {
    const opened = await Promise.any([holder.next("opened"), holder.next("refused")]);
    holder.send({ type: "store" } satisfies StoreOne);
    const said = opened.type === "refused" ? opened : await Promise.any([holder.next("stored"), holder.next("refused")]);
    await holder.stop();
    return said;
  } finally {
    holder.kill();
  }
}

/** A folder that everybody may look into, and a home for the ordinary user. */
function commonGround(): { readonly path: string; readonly home: string } & Disposable {
  const folder = temporaryFolder();
  chmodSync(folder.path, 0o755);
  const home = join(folder.path, "home");
  mkdirSync(home);
  chownSync(home, NOBODY, NOBODY);
  return { path: folder.path, home, [Symbol.dispose]: () => folder[Symbol.dispose]() };
}

async function assertRefused(cachePath: string, home: string, code: string): Promise<string> {
  const said = await openAsNobody(cachePath, home);
  assert.ok(said.type === "refused", JSON.stringify(said));
  assert.equal(said.name, "CacheError");
  assert.equal(said.code, code, said.message);
  assert.ok(said.message.startsWith(`Cannot open cache "${cachePath}": `), said.message);
  return said.message;
}

describe("An ordinary user", { skip: reasonToSkip() }, () => {
  test("opens a cache of his own", async () => {
    using ground = commonGround();
    assert.equal((await openAsNobody(join(ground.home, "a/cache"), ground.home)).type, "stored");
    const cache = openCache(runtime, cacheOptions(join(ground.home, "a/cache")));
    assert.equal(cache.outbox.ledger().pending, 1);
    assert.match(cache.warnings.join(), /belongs to user 65534, this is user 0/);
    cache.close();
  });

  test("is refused where no folder may be made", async () => {
    using ground = commonGround();
    await assertRefused(join(ground.path, "cache"), ground.home, "permission");
    await assertRefused(join(ground.path, "deep/cache"), ground.home, "permission");
    assert.deepEqual(readdirSync(ground.path), ["home"]);
  });

  test("is refused in a folder that he may not write to, nor look into", async () => {
    using ground = commonGround();
    const cache = join(ground.path, "cache");
    mkdirSync(cache);
    for (const mode of [0o755, 0o711, 0o700]) {
      chmodSync(cache, mode);
      await assertRefused(cache, ground.home, "permission");
      assert.deepEqual(readdirSync(cache), []);
    }
  });

  for (const name of ["outbox.sqlite3", "lock"]) {
    for (const [what, mode] of [["read but not write", 0o644], ["neither read nor write", 0o600]] as const) {
      test(`is refused a cache whose ${name} he may ${what}, and no memory takes its place`, async () => {
        using ground = commonGround();
        const cache = join(ground.home, "cache");
        const before = openCache(runtime, cacheOptions(cache));
        before.outbox.commit({ at: moment(1), append: [message(1)] });
        before.close();
        chownSync(cache, NOBODY, NOBODY);
        for (const each of readdirSync(cache)) chownSync(join(cache, each), NOBODY, NOBODY);
        chownSync(join(cache, name), 0, 0);
        chmodSync(join(cache, name), mode);
        await assertRefused(cache, ground.home, mode === 0o644 ? "read-only" : "permission");
        assert.equal(existsSync(join(cache, "lock.owner")), false);
        const after = openCache(runtime, cacheOptions(cache));
        assert.equal(after.outbox.nextMessageId(), 2);
        after.close();
      });
    }
  }

  test("is refused a cache on a file system that may only be read", { skip: mountReason() }, () => {
    using ground = commonGround();
    const cache = join(ground.path, "cache");
    mkdirSync(cache);
    const made = join(ground.path, "made");
    openCache(runtime, cacheOptions(made)).close();
    mount("tmpfs", cache, "size=2m,mode=755");
    try {
      cpSync(made, join(cache, "old"), { recursive: true });
      mount("tmpfs", cache, "remount,ro");
      for (const path of ["new", "old"]) {
        assert.throws(() => openCache(runtime, cacheOptions(join(cache, path))), { name: "CacheError", code: "read-only" });
      }
    } finally {
      unmount(cache);
    }
  });
});

describe("A disk that is full", { skip: mountReason() }, () => {
  test("refuses what has no room, keeps what it has, opens again, and goes on once there is room", () => {
    using folder = temporaryFolder();
    mount("tmpfs", folder.path, "size=1m,mode=700");
    try {
      const options = cacheOptions(join(folder.path, "cache"));
      let cache = openCache(runtime, options);
      const ballast = join(folder.path, "ballast");
      writeFileSync(ballast, new Uint8Array(300_000));
      const payload = new Uint8Array(10_000);
      let id = 1;
      assert.throws(() => {
        for (;; id++) cache.outbox.commit({ at: moment(id), append: [message(id, { payload })] });
      }, { name: "StoreError", kind: "full" });
      assert.ok(id > 5, `${id}`);
      assert.equal(cache.outbox.nextMessageId(), id);
      assert.deepEqual(
        cache.outbox.readQueued(0, 1_000, Infinity).map((each) => each.id),
        Array.from({ length: id - 1 }, (_, index) => index + 1),
      );
      cache.close();
      cache = openCache(runtime, options);
      assert.equal(cache.outbox.ledger().pending, id - 1);
      spawnSync("rm", [ballast]);
      cache.outbox.commit({ at: moment(id), append: [message(id, { payload })], removed: [{ id: 1, fate: "delivered" }] });
      assert.equal(cache.outbox.ledger().pending, id - 1);
      cache.close();
    } finally {
      unmount(folder.path);
    }
  });
});

function mountReason(): string | false {
  if (process.getuid?.() !== 0) return "only root can mount";
  using folder = temporaryFolder();
  const isMounted = spawnSync("mount", ["-t", "tmpfs", "-o", "size=1m", "tmpfs", folder.path]).status === 0;
  if (isMounted) unmount(folder.path);
  return isMounted ? false : "nothing can be mounted here";
}

function mount(type: string, path: string, options: string): void {
  const { status, stderr } = spawnSync("mount", ["-t", type, "-o", options, type, path], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}

function unmount(path: string): void {
  const { status, stderr } = spawnSync("umount", [path], { encoding: "utf8" });
  assert.equal(status, 0, stderr);
}
