/**
 * What every {@linkcode Runtime} must lend, besides the files and the SQLite that have suites of their own.
 *
 * @module
 */
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { hostname } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import type { Runtime } from "../../lib/runtime.ts";
import { temporaryFolder } from "../store/fixtures.ts";

/** Runs the contract; skipped, saying why, where this runtime is not the one in use. */
export function testRuntime(name: Runtime["name"], openRuntime: () => Promise<Runtime>): void {
  const isHere = ("Deno" in globalThis ? "deno" : "bun") === name;
  const skip = isHere ? false : `this is not ${name}`;

  describe(`The runtime ${name}`, { skip }, () => {
    test("bears its name", async () => assert.equal((await openRuntime()).name, name));

    test("has a clock that never steps back, and one that tells the time", async () => {
      const { clock } = await openRuntime();
      let before = clock.monotonicMs();
      for (let round = 0; round < 1_000; round++) {
        const now = clock.monotonicMs();
        assert.ok(now >= before);
        before = now;
      }
      assert.ok(Math.abs(clock.epochMs() - Date.now()) < 1_000);
    });

    test("has chance that is even and never the same", async () => {
      const { random } = await openRuntime();
      const drawn = Array.from({ length: 10_000 }, () => random.next());
      assert.ok(drawn.every((each) => each >= 0 && each < 1));
      assert.equal(new Set(drawn).size, drawn.length);
      for (let tenth = 0; tenth < 10; tenth++) {
        const count = drawn.filter((each) => Math.floor(each * 10) === tenth).length;
        assert.ok(count > 800 && count < 1_200, `${count} of 10,000 in tenth ${tenth}`);
      }
    });

    test("knows its process and its machine", async () => {
      const { machine } = await openRuntime();
      assert.equal(machine.pid(), process.pid);
      assert.equal(machine.uid(), process.getuid?.());
      assert.equal(machine.hostname(), hostname());
      const bootId = machine.bootId();
      assert.equal(bootId, machine.bootId());
      if (process.platform === "linux") assert.match(bootId!, /^[0-9a-f-]{36}$/);
    });

    test("can tell a process that lives from one that is gone", async () => {
      const { machine } = await openRuntime();
      const { pid } = spawnSync("true");
      assert.equal(machine.isAlive(process.pid), true);
      assert.equal(machine.isAlive(process.ppid), true);
      assert.equal(machine.isAlive(pid), false);
    });

    test("opens a database, and creates none where it is to read only", async () => {
      using folder = temporaryFolder();
      const { openDatabase, files } = await openRuntime();
      const path = join(folder.path, "x.db");
      assert.throws(() => openDatabase(path, { readOnly: true }).prepare("PRAGMA user_version").get());
      assert.equal(files.info(path), undefined);
      openDatabase(path).close();
      assert.equal(files.info(path)?.kind, "file");
    });
  });
}
