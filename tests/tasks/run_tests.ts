/**
 * `deno task test [file or folder ...]`: all tests, or those named, on both runtimes. The last line counts them; the exit code says whether
 * all is well. With `CI=true` a missing tool is a failure, elsewhere the tests that need it are skipped and named.
 *
 * @module
 */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { readJunit, type TestCounts } from "./junit.ts";
import { CONFIG, isInstalled, runStep, summary } from "./steps.ts";

const TOOLS = {
  mosquitto: "the broker of most end-to-end tests",
  strace: "shows what reaches the disk, and in which order",
} as const;

const paths = process.argv.slice(2);
const reports = mkdtempSync(join(tmpdir(), "persistmq-reports-"));
process.on("exit", () => rmSync(reports, { recursive: true, force: true }));

/** Runs the command, which writes its report to the path that is put in place of `REPORT`. */
async function runTests(runtime: string, command: readonly string[]): Promise<TestCounts> {
  const report = join(reports, `${runtime}.xml`);
  console.log(`\n${runtime}: ${command.join(" ")}\n`);
  const isWell = await runStep(command.map((word) => word.replace("REPORT", report)));
  try {
    const counts = readJunit(readFileSync(report, "utf8"));
    const isAccountedFor = isWell || counts.failed.length > 0;
    return isAccountedFor ? counts : { ...counts, failed: ["a file that could not be run, see above"] };
  } catch {
    return { passedCount: 0, failed: ["the run as a whole: it ended without a report, see above"], skipped: [] };
  }
}

const deno = ["deno", "test", "--allow-all", "--config", CONFIG, "--junit-path=REPORT", ...(paths.length > 0 ? paths : ["tests"])];
// Bun's own limit of 5 seconds is too little for a loaded machine.
const bun = ["bun", "test", "--timeout=120000", "--reporter=junit", "--reporter-outfile=REPORT", ...paths];
const results = { Deno: await runTests("Deno", deno), Bun: await runTests("Bun", bun) };

console.log();
let passedCount = 0;
let failedCount = 0;
for (const [runtime, counts] of Object.entries(results)) {
  passedCount += counts.passedCount;
  failedCount += counts.failed.length;
  const skipped = counts.skipped.length > 0 ? `, ${counts.skipped.length} skipped` : "";
  console.log(`${runtime}: ${summary(counts.passedCount, counts.failed.length)}${skipped}`);
  for (const name of counts.failed) console.log(`  failed: ${name}`);
}
for (const name of new Set(Object.values(results).flatMap(({ skipped }) => skipped))) console.log(`  skipped: ${name}`);
for (const [tool, purpose] of Object.entries(TOOLS)) {
  if (isInstalled(tool)) continue;
  const isFailure = process.env.CI === "true";
  if (isFailure) failedCount++;
  console.log(`${isFailure ? "Failed" : "Skipped"}: whatever needs ${tool} (${purpose}), which is not installed`);
}
console.log(`Tests: ${summary(passedCount, failedCount)}`);
process.exitCode = failedCount === 0 && passedCount > 0 ? 0 : 1;
