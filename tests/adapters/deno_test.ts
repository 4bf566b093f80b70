import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { chmodSync, mkdirSync, realpathSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { fileURLToPath } from "node:url";
import { openRuntime } from "../../lib/adapters/deno.ts";
import { openCache } from "../../lib/store/open_cache.ts";
import { testRuntime } from "../contracts/runtime.ts";
import type { HolderSays } from "../store/cache_holder.ts";
import { cacheOptions, temporaryFolder } from "../store/fixtures.ts";

testRuntime("deno", openRuntime);

const skip = "Deno" in globalThis ? false : "permissions are Deno's";

/** Opens a cache in a process that has these permissions and no more, and closes it. */
function openWith(permissions: readonly string[], cachePath: string): HolderSays {
  const [config, script] = ["../deno.json", "../store/cache_holder.ts"].map((path) => fileURLToPath(new URL(path, import.meta.url)));
  const words = ["run", "--no-prompt", "--no-lock", "--config", config!, ...permissions, script!, JSON.stringify(cacheOptions(cachePath))];
  const { stdout, stderr } = spawnSync(process.execPath, words, { input: "", encoding: "utf8" });
  assert.notEqual(stdout, "", stderr);
  return JSON.parse(stdout);
}

function warningsOf(said: HolderSays): readonly string[] {
  assert.equal(said.type, "opened", JSON.stringify(said));
  return (said as Extract<HolderSays, { type: "opened" }>).warnings;
}

describe("On Deno a cache", { skip }, () => {
  test("opens with leave to read and write it alone, and says which checks are off", () => {
    using folder = temporaryFolder();
    const cache = join(realpathSync(folder.path), "cache");
    const least = [`--allow-read=${cache}`, `--allow-write=${cache}`];
    const warnings = warningsOf(openWith(least, cache));
    assert.equal(warnings.length, 3);
    assert.match(warnings[0]!, /could not be synced/);
    assert.match(warnings[1]!, /--allow-sys=uid/);
    assert.match(warnings[2]!, /--allow-sys=statfs/);
    assert.equal(warningsOf(openWith(least, cache)).length, 2, "the folder is no longer new");
  });

  test("opens without a word with the permissions that are recommended", () => {
    using folder = temporaryFolder();
    const cache = realpathSync(folder.path);
    assert.deepEqual(warningsOf(openWith([`--allow-read=${cache}`, `--allow-write=${cache}`, "--allow-sys=uid,statfs"], cache)), []);
  });

  test("is checked for others who may write to it, with any permissions", () => {
    using folder = temporaryFolder();
    const cache = join(realpathSync(folder.path), "cache");
    mkdirSync(cache);
    chmodSync(cache, 0o777);
    const said = openWith([`--allow-read=${cache}`, `--allow-write=${cache}`], cache);
    assert.equal(said.type === "refused" && said.code, "world-writable");
  });

  for (const [what, permissions] of [["of files alone", ["--allow-read", "--allow-write"]], ["of everything", ["-A"]]] as const) {
    test(`that is held is refused with leave ${what}, naming the holder`, async () => {
      using folder = temporaryFolder();
      const cache = openCache(await openRuntime(), cacheOptions(folder.path));
      const said = openWith(permissions, folder.path);
      cache.close();
      assert.ok(said.type === "refused" && said.name === "CacheLockedError", JSON.stringify(said));
      assert.match(said.message, new RegExp(`client "client" in process ${process.pid}`));
    });
  }

  for (const [missing, permissions] of [["read", ["--allow-write"]], ["write", ["--allow-read"]]] as const) {
    test(`is refused without leave to ${missing} it, saying so`, () => {
      using folder = temporaryFolder();
      const said = openWith(permissions, join(realpathSync(folder.path), "cache"));
      assert.equal(said.type, "refused");
      assert.ok(said.type === "refused" && said.name === "CacheError" && said.code === "permission", JSON.stringify(said));
      assert.match(said.message, new RegExp(`Requires ${missing} access`));
    });
  }
});
