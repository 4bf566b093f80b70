/**
 * Runs one life from its seed, and says what was wrong with it.
 */
import { Life } from "./life.ts";
import type { Counts } from "./life.ts";
import type { Disk } from "./memory_outbox.ts";
import { checkEnd, checkMoment, type Fault } from "./oracle.ts";

export const ACTIONS_PER_LIFE = 150;

export interface Verdict {
  readonly seed: number;
  readonly actionCount: number;
  /** Broken promises; empty if all is well. */
  readonly faults: readonly Fault[];
  readonly counts: Counts;
}

/** So many things happen, then nothing goes wrong any more, and then every promise must have been kept. */
export function simulate(seed: number, actionCount = ACTIONS_PER_LIFE, newDisk?: () => Disk): Verdict {
  const life = new Life(seed, newDisk);
  const faults: Fault[] = [];
  try {
    for (let action = 0; action < actionCount && faults.length === 0; action++) {
      life.act();
      faults.push(...checkMoment(life));
    }
    if (faults.length === 0) {
      life.calm();
      faults.push(...checkMoment(life), ...checkEnd(life));
    }
  } catch (error) {
    faults.push(...checkMoment(life), { rule: "exception", what: error instanceof Error ? error.stack ?? error.message : String(error) });
  }
  return { seed, actionCount, faults, counts: life.counts };
}

/** The shortest beginning of a life that already goes wrong. */
export function shrink(seed: number, newDisk?: () => Disk): Verdict {
  for (let actionCount = 0; actionCount < ACTIONS_PER_LIFE; actionCount++) {
    const verdict = simulate(seed, actionCount, newDisk);
    if (verdict.faults.length > 0) return verdict;
  }
  return simulate(seed, ACTIONS_PER_LIFE, newDisk);
}
