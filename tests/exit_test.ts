/**
 * However a process ends, short of being killed: what was handed to `publish()` is in the cache afterwards, and the process ends as it would have
 * without the client. Counted by opening the cache again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, describe, test } from "node:test";
import { PersistClient } from "../mod.ts";
import { Child } from "./support/child.ts";
import { within } from "./support/deadline.ts";
import type { Ending, EndingArgument, EndingSaid } from "./worker/ending_program.ts";

const COUNT = 500;

const root = mkdtempSync(join(tmpdir(), "persistmq-exit-"));
after(() => rmSync(root, { recursive: true }));
let folderCount = 0;

function start(ending: Ending, when: EndingArgument["when"], options: Partial<EndingArgument> = {}) {
  const cachePath = join(root, `cache-${++folderCount}`);
  const script = new URL("./worker/ending_program.ts", import.meta.url);
  const given: EndingArgument = { cachePath, ending, when, count: COUNT, exitFlushMs: 20_000, ...options };
  return { child: new Child<EndingSaid>(script, given), cachePath: given.cachePath };
}

/** What is in the cache: how many messages, and whether each id was given out once. */
async function readCache(cachePath: string): Promise<{ readonly storedCount: number; readonly nextId: number }> {
  await using client = new PersistClient({ clientId: "ending", cachePath });
  const nextId = await client.publish("after", "");
  return { storedCount: client.getStatus().cachedItems - 1, nextId };
}

/** The ending, its exit code, and how many messages it adds of its own. */
const ENDINGS: readonly (readonly [ending: Ending, code: number, addedCount?: number])[] = [
  ["process.exit", 3],
  ...("Deno" in globalThis ? [["Deno.exit", 3] as const] : []),
  ["an uncaught error", 1],
  ["an uncaught error in a timer", 1],
  ["an unhandled rejection", 1],
  ["an unhandled rejection in a timer", 1],
  ["a handler of SIGTERM that exits", 3],
  ["a handler of uncaught errors that exits", 3],
  ["a handler of exit that publishes", 3, 1],
];

describe("What was published without waiting is stored when the process ends by", () => {
  for (const [ending, code, addedCount = 0] of ENDINGS) {
    for (const when of ["at once", "open"] as const) {
      test(`${ending}, ${when === "open" ? "with an open cache" : "in the turn in which the client was made"}`, async () => {
        const { child, cachePath } = start(ending, when);
        if (ending === "a handler of SIGTERM that exits") {
          await child.next("ready");
          process.kill(child.pid, "SIGTERM");
        }
        const exit = await within(child.exited, "the process to end");
        assert.deepEqual(exit, { code, signal: null }, child.stderr);
        assert.equal(/the program's own error/.test(child.stderr), code === 1, child.stderr);
        assert.ok(!/persistmq/.test(child.stderr), child.stderr);
        const expected = COUNT + addedCount + (when === "open" ? 1 : 0);
        assert.deepEqual(await readCache(cachePath), { storedCount: expected, nextId: expected + 1 });
      });
    }
  }
});

describe("A process", () => {
  for (const when of ["at once", "open"] as const) {
    test(`that lives on after an uncaught error, ${when}, has stored each message once, under the ids that it is told`, async () => {
      const { child, cachePath } = start("a handler of uncaught errors that goes on", when);
      const { ids } = await child.next("ids");
      const first = when === "open" ? 2 : 1;
      assert.deepEqual(ids, Array.from({ length: COUNT + 1 }, (_, index) => first + index));
      assert.deepEqual(await within(child.exited, "the process to end"), { code: 0, signal: null }, child.stderr);
      assert.deepEqual(await readCache(cachePath), { storedCount: COUNT + first, nextId: COUNT + first + 1 });
    });
  }

  test("whose worker has just died stores what that one was given and has not reported", async () => {
    const { child, cachePath } = start("process.exit after the worker's death", "open");
    assert.deepEqual(await within(child.exited, "the process to end"), { code: 3, signal: null }, child.stderr);
    assert.ok(!/ exit client/.test(child.stderr), child.stderr);
    assert.deepEqual(await readCache(cachePath), { storedCount: COUNT + 1, nextId: COUNT + 2 });
  });

  test("with a client in use goes on, and ends by itself when the client was stopped", async () => {
    const { child, cachePath } = start("nothing left to do", "at once");
    await child.next("alive");
    assert.deepEqual(await within(child.exited, "the process to end"), { code: 0, signal: null }, child.stderr);
    assert.equal((await readCache(cachePath)).storedCount, COUNT);
  });

  test("that may not be held up says how many messages may be lost, and ends as it would", async () => {
    const { child } = start("process.exit", "at once", { exitFlushMs: 0 });
    assert.deepEqual(await within(child.exited, "the process to end"), { code: 3, signal: null });
    assert.match(child.stderr, /error exit client="ending" "500 messages may not be stored: the worker did not answer within 0 ms/);
  });

  test("whose cache cannot be opened says how many messages are not stored, and ends as it would", async () => {
    const cachePath = join(root, "a file");
    writeFileSync(cachePath, "");
    const { child } = start("process.exit", "at once", { cachePath });
    assert.deepEqual(await within(child.exited, "the process to end"), { code: 3, signal: null });
    assert.match(child.stderr, /error exit client="ending" "500 messages are not stored: the cache did not take them/);
  });
});
