/**
 * How old a message is, on devices whose clock may start in 1970 and jump when the network comes.
 *
 * Known time counts what the cache has certainly lived through: while the process runs, by the monotonic clock; while it does not, by the
 * wall clock, but only if that was plausibly set both before and after and has not gone back. In doubt time stands still and a message stays.
 *
 * @module
 */
import type { Clock, Moment } from "./ports.ts";

/** 2024-01-01: a wall clock before this was not set. */
export const CLOCK_SET_EPOCH_MS = 1_704_067_200_000;

/** Tells the time for one run of the process. */
export class KnownTime {
  readonly #clock: Clock;
  readonly #knownAtStartMs: number;
  readonly #monotonicAtStartMs: number;

  /** `last` is the last moment on disk. */
  constructor(clock: Clock, last: Moment) {
    this.#clock = clock;
    this.#monotonicAtStartMs = clock.monotonicMs();
    const epochMs = clock.epochMs();
    const isClockTrusted = last.epochMs >= CLOCK_SET_EPOCH_MS && epochMs >= last.epochMs;
    this.#knownAtStartMs = last.knownMs + (isClockTrusted ? epochMs - last.epochMs : 0);
  }

  /** Now, in both times; whole milliseconds. */
  now(): Moment {
    const livedMs = this.#clock.monotonicMs() - this.#monotonicAtStartMs;
    return { epochMs: Math.floor(this.#clock.epochMs()), knownMs: Math.floor(this.#knownAtStartMs + livedMs) };
  }
}
