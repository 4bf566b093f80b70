/** A clock that stands still until it is told to move, and whose wall clock may be wrong or jump. */
import type { Clock } from "../../lib/core/ports.ts";

/** 2026-01-01. */
const START_EPOCH_MS = 1_767_225_600_000;

export class VirtualClock implements Clock {
  #monotonicMs = 0;
  #epochOffsetMs = START_EPOCH_MS;

  monotonicMs(): number {
    return this.#monotonicMs;
  }

  epochMs(): number {
    return this.#monotonicMs + this.#epochOffsetMs;
  }

  /** Time passes. Never backwards. */
  moveTo(monotonicMs: number): void {
    this.#monotonicMs = Math.max(this.#monotonicMs, monotonicMs);
  }

  /** Somebody, or the network, sets the wall clock. */
  setEpochMs(epochMs: number): void {
    this.#epochOffsetMs = epochMs - this.#monotonicMs;
  }
}
