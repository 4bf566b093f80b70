/**
 * Chance that can be had again: each run draws a seed of its own, and a failure names the variables that bring the same run back.
 *
 * @module
 */
import process from "node:process";
import fc from "fast-check";

const SEED = "PERSISTMQ_SEED";
const PATH = "PERSISTMQ_PATH";

/** As the failure said it; otherwise drawn anew. */
export const seed: number = process.env[SEED] === undefined ? Math.floor(Math.random() * 0x8000_0000) : Number(process.env[SEED]);

/** For `fc.assert()`: what is run how often, and how a failure is told. */
export function runs<Values>(numRuns: number): fc.Parameters<Values> {
  const path = process.env[PATH];
  return {
    seed,
    numRuns,
    ...(path === undefined ? {} : { path }),
    reporter: tell,
  };
}

function tell<Values>(details: fc.RunDetails<Values>): void {
  if (!details.failed) return;
  const path = details.counterexamplePath === null ? "" : ` ${PATH}=${details.counterexamplePath}`;
  const how = `The same again: ${SEED}=${details.seed}${path} in front of the test's command`;
  throw new Error(`${fc.defaultReportMessage(details)}\n\n${how}`, { cause: details.errorInstance });
}

/** Runs what draws from `seed` by itself, and says so when it fails. */
export async function withSeed<Value>(work: () => Promise<Value>): Promise<Value> {
  try {
    return await work();
  } catch (error) {
    throw new Error(`${error instanceof Error ? error.message : error}\n\nThe same again: ${SEED}=${seed} in front of the test's command`, {
      cause: error,
    });
  }
}
