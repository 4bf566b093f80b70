import { strict as assert } from "node:assert";
import process from "node:process";
import { describe, it } from "node:test";
import { shrink, simulate } from "./simulate.ts";
import { SqliteDisk } from "./sqlite_disk.ts";

const SEED_COUNT = process.env.CI === undefined ? 100 : 500;

describe("The core over the real outbox, in simulated lives", () => {
  it(`keeps every promise in ${SEED_COUNT} lives`, { timeout: 300_000 }, () => {
    for (let seed = 1; seed <= SEED_COUNT; seed++) {
      if (simulate(seed, undefined, () => new SqliteDisk()).faults.length === 0) continue;
      const { faults, actionCount } = shrink(seed, () => new SqliteDisk());
      assert.fail(`seed ${seed}, ${actionCount} actions: ${faults[0]!.rule}: ${faults[0]!.what}`);
    }
  });
});
