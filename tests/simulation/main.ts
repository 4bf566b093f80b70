/**
 * `deno task sim --seeds N --start S [--actions A] [--trace]`: so many lives, and a summary. A failure prints one line that replays it, shrunk.
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { ACTIONS_PER_LIFE, shrink, simulate } from "./simulate.ts";

const { values } = parseArgs({
  options: {
    seeds: { type: "string", default: "1000" },
    start: { type: "string", default: "1" },
    actions: { type: "string", default: String(ACTIONS_PER_LIFE) },
  },
});
const seedCount = whole("seeds", values.seeds);
const start = whole("start", values.start);
const actionCount = whole("actions", values.actions);

const totals = { messages: 0, cuts: 0, crashes: 0, powerCuts: 0, sessionLosses: 0, caches: 0 };
let failureCount = 0;
const startedAtMs = performance.now();
console.log(`${seedCount} lives from seed ${start}, ${actionCount} actions each`);
for (let seed = start; seed < start + seedCount; seed++) {
  const verdict = simulate(seed, actionCount);
  for (const key of Object.keys(totals) as (keyof typeof totals)[]) totals[key] += verdict.counts[key];
  if (verdict.faults.length === 0) continue;
  failureCount++;
  const shortest = actionCount === ACTIONS_PER_LIFE ? shrink(seed) : verdict;
  console.log(`seed ${seed}: ${shortest.faults[0]!.rule}: ${shortest.faults[0]!.what}`);
  console.log(`  replay: deno task sim --seeds 1 --start ${seed} --actions ${shortest.actionCount}`);
}
const seconds = ((performance.now() - startedAtMs) / 1000).toFixed(1);
const { messages, cuts, crashes, powerCuts, sessionLosses, caches } = totals;
console.log(
  `${messages} messages, ${cuts} cuts, ${crashes} crashes, ${powerCuts} power cuts, ${sessionLosses} sessions lost, ${caches} caches in ${seconds} s`,
);
console.log(failureCount === 0 ? "every promise kept" : `${failureCount} lives with broken promises`);
process.exitCode = failureCount === 0 ? 0 : 1;

function whole(name: string, text: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= 0) return value;
  console.error(`Cannot simulate: --${name} takes a whole number, not "${text}"`);
  process.exit(2);
}
