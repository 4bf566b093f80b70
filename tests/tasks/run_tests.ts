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
import { failedFiles, readJunit, type TestCounts } from "./junit.ts";
import { CONFIG, isInstalled, runStep, summary } from "./steps.ts";

const TOOLS = {
  mosquitto: "the broker of most end-to-end tests",
  strace: "shows what reaches the disk, and in which order",
} as const;

const paths = process.argv.slice(2);
const reports = mkdtempSync(join(tmpdir(), "persistmq-reports-"));
process.on("exit", () => rmSync(reports, { recursive: true, force: true }));

/** What a runtime came to; in the end, after the second try that CI grants. */
interface Result extends TestCounts {
  /** Failed at first, and passed when their files were run again alone. Not nothing: somebody should look at them. */
  readonly unsteady: readonly string[];
}

/** Runs the command on these files, which writes its report to the path that is put in place of `REPORT`. */
async function runTests(runtime: string, command: readonly string[], files: readonly string[]): Promise<Result> {
  const first = await runOnce(runtime, [...command, ...files]);
  if (first.failed.length === 0 || first.files.length === 0 || process.env.CI !== "true") return { ...first, unsteady: [] };
  const second = await runOnce(runtime, [...command, ...first.files]);
  const unsteady = first.failed.filter((name) => !second.failed.includes(name));
  return { ...first, passedCount: first.passedCount + unsteady.length, failed: second.failed, unsteady };
}

async function runOnce(runtime: string, command: readonly string[]): Promise<TestCounts & { readonly files: readonly string[] }> {
  const report = join(reports, `${runtime}.xml`);
  console.log(`\n${runtime}: ${command.join(" ")}\n`);
  const isWell = await runStep(command.map((word) => word.replace("REPORT", report)));
  try {
    const xml = readFileSync(report, "utf8");
    const counts = readJunit(xml);
    const isAccountedFor = isWell || counts.failed.length > 0;
    if (isAccountedFor) return { ...counts, files: failedFiles(xml) };
    return { ...counts, failed: ["a file that could not be run, see above"], files: [] };
  } catch {
    return { passedCount: 0, failed: ["the run as a whole: it ended without a report, see above"], skipped: [], files: [] };
  } finally {
    rmSync(report, { force: true });
  }
}

const deno = ["deno", "test", "--allow-all", "--config", CONFIG, "--junit-path=REPORT"];
// Bun's own limit of 5 seconds is too little for a loaded machine.
const bun = ["bun", "test", "--timeout=120000", "--reporter=junit", "--reporter-outfile=REPORT"];
const results = {
  Deno: await runTests("Deno", deno, paths.length > 0 ? paths : ["tests"]),
  Bun: await runTests("Bun", bun, paths),
};

console.log();
let passedCount = 0;
let failedCount = 0;
for (const [runtime, counts] of Object.entries(results)) {
  passedCount += counts.passedCount;
  failedCount += counts.failed.length;
  const skipped = counts.skipped.length > 0 ? `, ${counts.skipped.length} skipped` : "";
  console.log(`${runtime}: ${summary(counts.passedCount, counts.failed.length)}${skipped}`);
  for (const name of counts.failed) console.log(`  failed: ${name}`);
  for (const name of counts.unsteady) console.log(`  unsteady, passed only at the second try: ${name}`);
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
