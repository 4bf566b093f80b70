/** Thrown when PersistMQ finds itself wrong: a mistake of its own, never of its user, the network or the disk. */
export class AssertionError extends Error {
  override readonly name = "AssertionError";
}

/** Says what holds here, and stops if it does not: going on would risk what is stored. On in production too. */
export function assert(condition: boolean, whatHolds: string): asserts condition {
  if (!condition) throw new AssertionError(`Cannot go on: it does not hold that ${whatHolds}`);
}
