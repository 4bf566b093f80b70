/**
 * Runs of ids, as reports carry them.
 *
 * @module
 */
import type { IdRange, MessageId } from "./message.ts";

/** Runs without a gap, in the order given. */
export function toRanges(ids: readonly MessageId[]): IdRange[] {
  const ranges: [MessageId, MessageId][] = [];
  for (const id of ids) {
    const last = ranges.at(-1);
    if (last !== undefined && id === last[1] + 1) last[1] = id;
    else ranges.push([id, id]);
  }
  return ranges;
}
