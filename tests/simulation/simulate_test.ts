import { strict as assert } from "node:assert";
import process from "node:process";
import { describe, it } from "node:test";
import { shrink, simulate } from "./simulate.ts";

/** 5,000 in CI, where time is set aside for it. */
const SEED_COUNT = process.env.CI === undefined ? 500 : 5_000;

function check(seed: number): void {
  if (simulate(seed).faults.length === 0) return;
  const { faults, actionCount } = shrink(seed);
  assert.fail(`${faults[0]!.rule}: ${faults[0]!.what}\nreplay: deno task sim --seeds 1 --start ${seed} --actions ${actionCount}`);
}

describe("The core, in simulated lives", () => {
  it(`keeps every promise in ${SEED_COUNT} lives`, () => {
    for (let seed = 1; seed <= SEED_COUNT; seed++) check(seed);
  });

  it("keeps every promise in lives that nobody has seen before", () => {
    const start = Math.floor(Date.now() / 1000);
    for (let seed = start; seed < start + 100; seed++) check(seed);
  });

  it("lives the same life for the same seed", () => {
    assert.deepEqual(simulate(7).counts, simulate(7).counts);
  });
});
