/**
 * `deno task ok`: everything that must hold before a change is taken. With `--except-tests` all but the tests, for a caller that has run them.
 *
 * JSR may be out of reach. Then `@std` comes from the stand-ins in `tests/std`; where JSR answers, check and tests run once more with the real
 * packages. The task says which it did.
 *
 * @module
 */
import { copyFileSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { CONFIG, ROOT, runStep, summary } from "./steps.ts";

const JSR_ANSWER_MS_MAX = 5_000;

async function isJsrThere(): Promise<boolean> {
  const url = new URL("@std/path/meta.json", process.env.JSR_URL ?? "https://jsr.io/");
  try {
    const response = await fetch(url, { signal: AbortSignal.timeout(JSR_ANSWER_MS_MAX) });
    await response.body?.cancel();
    return response.ok;
  } catch {
    return false;
  }
}

// With @std from JSR too, the npm packages are those of the lock; what JSR adds to it is not kept.
const folder = mkdtempSync(join(tmpdir(), "persistmq-ok-"));
process.on("exit", () => rmSync(folder, { recursive: true, force: true }));
const lock = join(folder, "deno.lock");
copyFileSync(join(ROOT, "deno.lock"), lock);

const isTesting = !process.argv.includes("--except-tests");
const hasJsr = await isJsrThere();
const runScript = `deno run --quiet --allow-all --config ${CONFIG} tests/tasks`;

const steps: (readonly [name: string, command: string])[] = [
  ["formatted", "deno fmt --check"],
  ["linted", "deno lint"],
  ["types checked", `deno check --config ${CONFIG} mod.ts lib tests`],
  ["documentation linted", `deno doc --lint --config ${CONFIG} mod.ts lib/worker.ts`],
  ["publish dry run", `${runScript}/publish_dry_run.ts`],
];
if (isTesting) steps.push(["tests", `${runScript}/run_tests.ts`]);
if (hasJsr) steps.push(["types checked with @std from JSR", `deno check --lock ${lock} mod.ts lib`]);
if (hasJsr && isTesting) steps.push(["tests with @std from JSR", `deno test --allow-all --lock ${lock} tests`]);

const failed: string[] = [];
for (const [name, command] of steps) {
  console.log(`\n── ${name}: ${command}`);
  if (!await runStep(command.split(" "))) failed.push(name);
}

console.log();
for (const [name] of steps) console.log(`${failed.includes(name) ? "failed" : "passed"}: ${name}`);
console.log(hasJsr ? "JSR answers: checked with its @std as well." : "JSR does not answer: checked with the stand-ins of tests/std only.");
console.log(`Gate: ${summary(steps.length - failed.length, failed.length)}`);
process.exitCode = failed.length === 0 ? 0 : 1;
