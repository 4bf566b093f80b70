/**
 * Every example in the documentation runs as it stands there, against a broker, on the runtime in use.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execFile } from "node:child_process";
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { promisify } from "node:util";
import { AedesBroker } from "./support/aedes_broker.ts";
import { runtimeCommand } from "./support/child.ts";
import { DEADLINE_MS } from "./support/deadline.ts";

const root = new URL("../", import.meta.url);

/** The code of each example in a file's documentation; one that is no program by itself is marked `ignore`. */
function examplesOf(path: string): string[] {
  const source = readFileSync(new URL(path, root), "utf8");
  return [...source.matchAll(/^ *\* ```ts\n(.*?)^ *\* ```$/gms)].map(([, code]) => code!.replaceAll(/^ *\* ?/gm, ""));
}

const files = ["mod.ts", ...readdirSync(new URL("lib/", root)).filter((name) => name.endsWith(".ts")).map((name) => `lib/${name}`)];
const examples = files.flatMap((file) => examplesOf(file).map((code, index) => ({ name: `${file}, example ${index + 1}`, code })));

describe("The documentation", () => {
  const folder = mkdtempSync(join(tmpdir(), "persistmq-examples-"));
  let broker: AedesBroker;
  before(async () => {
    broker = await AedesBroker.start();
  });
  after(async () => {
    await broker.stop();
    rmSync(folder, { recursive: true });
  });

  test("has examples of the module and of the client", () => {
    assert.ok(examples.length >= 3);
  });

  for (const [index, { name, code }] of examples.entries()) {
    test(`${name} runs`, async () => {
      const program = join(folder, `example_${index}.ts`);
      const settled = code
        .replace(`"@persistmq/persistmq"`, JSON.stringify(new URL("mod.ts", root).href))
        .replace(`host: "localhost"`, `host: "127.0.0.1", port: ${broker.port}`)
        .replace(`"mqtt://localhost"`, `"mqtt://127.0.0.1:${broker.port}"`);
      writeFileSync(program, settled);
      const [command, ...words] = runtimeCommand(new URL(`file://${program}`));
      await promisify(execFile)(command!, words, { cwd: folder, timeout: DEADLINE_MS });
    });
  }
});
