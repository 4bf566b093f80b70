/**
 * Time and chance as both runtimes have them from the web platform.
 *
 * @module
 */
import type { Clock, Random } from "../core/ports.ts";

/** The clocks of this process. */
export const webClock: Clock = {
  monotonicMs: () => performance.now(),
  epochMs: () => Date.now(),
};

const RANDOM_BITS = 53;

/** Chance that nobody can guess: the identity of a cache is made of it. */
export const webRandom: Random = {
  next() {
    const [bits] = crypto.getRandomValues(new BigUint64Array(1));
    return Number(BigInt.asUintN(RANDOM_BITS, bits!)) / 2 ** RANDOM_BITS;
  },
};
