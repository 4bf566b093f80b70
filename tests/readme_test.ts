/**
 * Every program in the README runs as it stands there, against a broker, on the runtime in use.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { pathToFileURL } from "node:url";
import { makeTemporaryFolder, removeTemporaryFolders, run } from "./package/processes.ts";
import { witness } from "./package/witness.ts";
import { CONFIG, ROOT } from "./tasks/steps.ts";

const readme = readFileSync(join(ROOT, "README.md"), "utf8");
const programs = [...readme.matchAll(/^```ts\n(.*?)^```$/gms)].map(([, code]) => code!);

/** What each must publish, in the order of the README. */
const EXPECTED: readonly (readonly string[])[] = [
  Array.from({ length: 20 }, (_, i) => `dt/blah: Test message ${i}`),
  ["plant/meter-7/power: {…}", "plant/meter-7/state: running"],
  Array.from({ length: 20 }, (_, i) => `dt/blah: Test Message ${i}`),
];

/** The package and the broker are here, not on JSR and on the usual port; nothing else is changed. */
function settle(program: string, port: number): string {
  const settled = program
    .replace(`"jsr:@persistmq/persistmq"`, JSON.stringify(pathToFileURL(join(ROOT, "mod.ts")).href))
    .replace(`host: "localhost"`, `host: "127.0.0.1", port: ${port}`)
    .replace(`"mqtt://localhost"`, `"mqtt://127.0.0.1:${port}"`);
  assert.ok(!/jsr:|"localhost|\/localhost/.test(settled), "the program imports from JSR and connects to localhost, once each");
  return settled;
}

describe("The README", () => {
  after(removeTemporaryFolders);

  test("holds the programs that are expected, the first of at most ten lines", () => {
    assert.equal(programs.length, EXPECTED.length);
    assert.ok(programs[0]!.trim().split("\n").length <= 10);
  });

  for (const [i, program] of programs.entries()) {
    test(`Program ${i + 1} publishes what it says`, async () => {
      const folder = makeTemporaryFolder();
      const command = "Bun" in globalThis ? ["bun"] : ["deno", "run", "--allow-all", "--config", join(ROOT, CONFIG)];
      const arrivals = await witness((port) => {
        writeFileSync(join(folder, "program.ts"), settle(program, port));
        return run([...command, "program.ts"], folder);
      });
      assert.deepEqual(arrivals.map(({ topic, text }) => `${topic}: ${text.replace(/^\{.*\}$/, "{…}")}`), EXPECTED[i]);
    });
  }

  if (!("Bun" in globalThis)) {
    test("holds only programs that pass the type check", async () => {
      const folder = makeTemporaryFolder();
      const files = programs.map((program, i) => {
        writeFileSync(join(folder, `program_${i}.ts`), settle(program, 1883));
        return `program_${i}.ts`;
      });
      const { code, output } = await run(["deno", "check", "--config", join(ROOT, CONFIG), ...files], folder);
      assert.equal(code, 0, output);
    });
  }
});
