/**
 * Moments as they are stored.
 *
 * @module
 */
import { assert } from "../core/assert.ts";
import type { Moment } from "../core/ports.ts";
import type { OutboxState } from "./state_table.ts";

/** Whole milliseconds are what is kept. */
export function wholeMoment({ epochMs, knownMs }: Moment): Moment {
  return { epochMs: Math.floor(epochMs), knownMs: Math.floor(knownMs) };
}

/** The moment of a commit that follows this state. */
export function momentAfter({ lastKnownMs }: OutboxState, at: Moment): Pick<OutboxState, "lastEpochMs" | "lastKnownMs"> {
  const { epochMs, knownMs } = wholeMoment(at);
  assert(knownMs >= lastKnownMs, `known time does not step back from ${lastKnownMs} to ${knownMs}`);
  return { lastEpochMs: epochMs, lastKnownMs: knownMs };
}
