/**
 * `deno task powercut --states N [--seed S]`: so many power cuts, half as many second ones, and a summary. Bad states are kept: opened with
 * `--open FOLDER`, which changes them, they show what the product makes of them.
 *
 * @module
 */
import process from "node:process";
import { parseArgs } from "node:util";
import { mosquittoMissing } from "../../support/mosquitto.ts";
import { straceMissing } from "../../support/strace.ts";
import { inspect, openTestRuntime } from "./inspect.ts";
import { cacheOn } from "./recording.ts";
import { type Round, runControl, runRound } from "./rounds.ts";
import { countOf, describeBad, describeControls, describeRound } from "./summary.ts";

const STATES_PER_ROUND = 2_000;
const CONTROL_STATES = 300;

const { values } = parseArgs({
  options: { states: { type: "string", default: "2000" }, seed: { type: "string", default: "1" }, open: { type: "string" } },
});
const missing = straceMissing() || mosquittoMissing();
if (missing !== false) fail(missing);
if (values.open !== undefined) {
  console.log(inspect(await openTestRuntime(), cacheOn(values.open)));
  process.exit(0);
}
const stateCount = whole("states", values.states);
const seed = whole("seed", values.seed);

const startedAtMs = performance.now();
let badCount = 0;
let last: Round | undefined;
for (let done = 0, number = 0; done < stateCount; done += STATES_PER_ROUND, number++) {
  const count = Math.min(STATES_PER_ROUND, stateCount - done);
  const protocolVersion = number % 2 === 0 ? 5 : 4;
  last = await runRound({ seed: seed + number, stateCount: count, secondStateCount: Math.ceil(count / 2), protocolVersion });
  console.log(`${describeRound(last)}; seed ${seed + number}, MQTT ${protocolVersion === 5 ? "5" : "3.1.1"}`);
  const bad = [...last.first.bad, ...last.second.bad];
  badCount += bad.length;
  if (bad.length > 0) console.log(describeBad(bad));
}
if (last === undefined) fail("--states is 0");
const control = await runControl(seed, CONTROL_STATES);
console.log(describeControls(last, control));
const isBlind = countOf(control, "lost") === 0 || countOf(last.hastyPublish, "unmarked") === 0 ||
  countOf(last.hastyRelease, "unmarked") === 0;
if (isBlind) console.log("A control did not fail: the method does not see what it is to see");
console.log(
  `${badCount === 0 ? "every promise kept" : `${badCount} bad states`} in ${((performance.now() - startedAtMs) / 1000).toFixed(1)} s`,
);
process.exit(badCount === 0 && !isBlind ? 0 : 1);

function whole(name: string, text: string): number {
  const value = Number(text);
  return Number.isSafeInteger(value) && value >= 0 ? value : fail(`--${name} takes a whole number, not "${text}"`);
}

function fail(why: string): never {
  console.error(`Cannot cut the power: ${why}`);
  process.exit(2);
}
