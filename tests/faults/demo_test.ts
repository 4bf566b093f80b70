/**
 * The demonstration shows what it says, and notices when it is not so.
 */
import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { test } from "node:test";
import { runtimeCommand } from "../support/child.ts";
import { TEST_MS_MAX } from "../support/deadline.ts";
import { mosquittoMissing } from "../support/mosquitto.ts";

const TIME_MAX_MS = 30_000;

/** Runs it to its end. */
async function runDemo(...words: string[]): Promise<{ readonly code: number; readonly lines: readonly string[]; readonly tookMs: number }> {
  const [command = "", ...rest] = runtimeCommand(new URL("../demo/main.ts", import.meta.url));
  const startMs = performance.now();
  const child = spawn(command, [...rest, ...words], { stdio: ["ignore", "pipe", "inherit"] });
  let output = "";
  child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
  const [code] = await once(child, "close");
  return { code, lines: output.trimEnd().split("\n"), tookMs: performance.now() - startMs };
}

const VERDICT =
  /^(.+), (MQTT \S+), 3 cuts of the link, 3 kills with (\d+), (\d+), (\d+) in flight: delivered (\d+) of (\d+), duplicates 0, out of order 0$/;

for (const [broker, protocol, skip] of [["mosquitto", "MQTT 5", mosquittoMissing()], ["aedes", "MQTT 3.1.1", false]] as const) {
  test(`The demonstration delivers at least 2,000 messages once and in order (${broker})`, { skip, timeout: TEST_MS_MAX }, async () => {
    const { code, lines, tookMs } = await runDemo("--broker", broker);
    const [, name = "", spoken, ...numbers] = VERDICT.exec(lines.at(-1) ?? "") ?? assert.fail(lines.join("\n"));
    assert(name.startsWith(broker));
    assert.equal(spoken, protocol);
    const [first = 0, second = 0, third = 0, delivered = 0, count] = numbers.map(Number);
    assert(Math.min(first, second, third) > 0, "messages were in flight at each kill");
    assert.equal(delivered, count);
    assert(delivered >= 2_000);
    assert.equal(code, 0);
    assert(tookMs < TIME_MAX_MS, `it took ${tookMs} ms`);
  });
}

test("The demonstration fails when its subscriber misses one message", { timeout: TEST_MS_MAX }, async () => {
  const { code, lines } = await runDemo("--broker", "aedes", "--count", "300", "--lose", "150");
  const [, delivered, count] = /delivered (\d+) of (\d+), duplicates 0, out of order 0$/.exec(lines.at(-1) ?? "") ??
    assert.fail(lines.join("\n"));
  assert.equal(Number(delivered), Number(count) - 1);
  assert.equal(code, 1);
});
