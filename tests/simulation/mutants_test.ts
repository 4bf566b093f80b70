import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { MUTANTS, STORE_MUTANTS } from "./mutants.ts";
import { FEW_PACKET_IDS, NO_ASSERTIONS, withPatchedSimulator } from "./mutation.ts";

const SEEDS_MAX = 1_000;

describe("The simulation", () => {
  it("finds nothing wrong with the core when packet ids come round quickly and its assertions are off", { timeout: 300_000 }, async () => {
    await withPatchedSimulator([FEW_PACKET_IDS, NO_ASSERTIONS], ({ simulate }) => {
      for (let seed = 1; seed <= 300; seed++) assert.deepEqual(simulate(seed).faults, [], `seed ${seed}`);
    });
  });

  for (const mutant of MUTANTS) {
    it(`catches that ${mutant.name}, by the rule "${mutant.rule}"`, { timeout: 300_000 }, async () => {
      await withPatchedSimulator([FEW_PACKET_IDS, NO_ASSERTIONS, mutant], ({ simulate }) => {
        for (let seed = 1; seed <= SEEDS_MAX; seed++) {
          if (simulate(seed).faults.some(({ rule }) => rule === mutant.rule)) return;
        }
        assert.fail(`the mutant lived through ${SEEDS_MAX} seeds`);
      });
    });
  }

  for (const mutant of STORE_MUTANTS) {
    it(`catches in the store that ${mutant.name}, by the rule "${mutant.rule}"`, { timeout: 300_000 }, async () => {
      await withPatchedSimulator([FEW_PACKET_IDS, NO_ASSERTIONS, mutant], ({ simulate, newSqliteDisk }) => {
        for (let seed = 1; seed <= SEEDS_MAX; seed++) {
          if (simulate(seed, undefined, newSqliteDisk).faults.some(({ rule }) => rule === mutant.rule)) return;
        }
        assert.fail(`the mutant lived through ${SEEDS_MAX} seeds`);
      });
    });
  }
});
