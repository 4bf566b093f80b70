/**
 * Runs: what belongs together by its numbers becomes one statement instead of many.
 *
 * @module
 */

/** Calls `use` with the ends of each longest stretch in which every item follows the one before it. */
export function forEachRun<T>(items: readonly T[], follows: (item: T, before: T) => boolean, use: (first: T, last: T) => void): void {
  let first = items[0];
  if (first === undefined) return;
  let last = first;
  for (let index = 1; index < items.length; index++) {
    const item = items[index]!;
    if (!follows(item, last)) {
      use(first, last);
      first = item;
    }
    last = item;
  }
  use(first, last);
}
