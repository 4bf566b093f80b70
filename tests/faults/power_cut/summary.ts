/**
 * What rounds of power cuts came to, in words, and whether all is well.
 *
 * @module
 */
import { type BadState, keepBadStates, type Verdict } from "./campaign.ts";
import type { Breach } from "./judge.ts";
import type { Round } from "./rounds.ts";

const RUNTIME = "Bun" in globalThis ? "Bun" : "Deno";

/** One line for a table. */
export function describeRound({ first, second, startCount, repeatCount }: Round): string {
  const found = `${first.pendingCount} messages waited, ${first.sentCount} were sent, ${first.receivedCount} received`;
  return `Power cut, ${RUNTIME}: ${first.stateCount} states (${first.boundaryCount} of them right after a packet or an acknowledgement; ${found}), ` +
    `${first.bad.length} bad; ${second.stateCount} states after a second cut (${startCount} lives, ${repeatCount} repeats), ${second.bad.length} bad`;
}

/** The same for what must be seen to fail. */
export function describeControls({ hastyPublish, hastyRelease }: Round, control: Verdict): string {
  return `Power cut, controls, ${RUNTIME}: without syncs ${
    countOf(control, "lost")
  } of ${control.stateCount} states lost what was acknowledged; ` +
    `with PUBLISH too early ${countOf(hastyPublish, "unmarked")} of ${hastyPublish.stateCount} lacked a mark, ` +
    `with PUBREL too early ${countOf(hastyRelease, "unmarked")} of ${hastyRelease.stateCount}`;
}

/** In how many states this rule was broken. */
export function countOf({ bad }: Verdict, rule: Breach["rule"]): number {
  return bad.filter(({ breaches }) => breaches.some((breach) => breach.rule === rule)).length;
}

/** What is wrong with the first bad state of each kind, and where they are kept. */
export function describeBad(bad: readonly BadState[]): string {
  const kinds = new Map(bad.map((state) => [state.breaches[0]!.rule, state]));
  const lines = [...kinds.values()].map(({ cut, breaches }) => `  ${breaches[0]!.rule}: ${breaches[0]!.what} (${JSON.stringify(cut)})`);
  return [`${bad.length} bad states; the first are kept in ${keepBadStates(bad)}`, ...lines].join("\n");
}
