/**
 * A process that publishes without ever connecting, says when all is stored or refused, and waits for its end.
 *
 * @module
 */
import fc from "fast-check";
import { PersistClient, type PersistClientOptions } from "../../mod.ts";
import { argument, type Said, say, told } from "../support/child.ts";
import { anyCall, type CallPlan, makeCalls, type Outcome } from "./calls.ts";

/** What it is to do. */
export interface OfflineJob {
  readonly options: PersistClientOptions;
  /** Its calls are drawn from this, as others can draw them again. */
  readonly seed: number;
  readonly callCount: number;
}

/** What it says. */
export interface OfflineSaid extends Said {
  readonly type: "done";
  readonly outcomes: readonly Outcome[];
  readonly accepted: number;
}

/** The calls that it makes. */
export function drawCalls({ seed, callCount }: OfflineJob): CallPlan[] {
  return fc.sample(anyCall, { seed, numRuns: callCount });
}

async function main(job: OfflineJob): Promise<void> {
  const client = new PersistClient(job.options);
  const outcomes = await makeCalls(client, drawCalls(job));
  say({ type: "done", outcomes, accepted: client.getStatus().ledger!.accepted } as OfflineSaid);
  for await (const _ of told()) { /* It is told nothing: it is killed. */ }
}

if (import.meta.main) await main(argument());
