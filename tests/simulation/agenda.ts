/** What happens when, in virtual time. Things of one moment happen in the order they were put down. */
import type { VirtualClock } from "./virtual_clock.ts";

interface Entry {
  readonly atMs: number;
  readonly action: () => void;
}

export class Agenda {
  readonly #clock: VirtualClock;
  readonly #entries: Entry[] = [];

  constructor(clock: VirtualClock) {
    this.#clock = clock;
  }

  get nextAtMs(): number {
    return this.#entries[0]?.atMs ?? Infinity;
  }

  after(delayMs: number, action: () => void): void {
    const atMs = this.#clock.monotonicMs() + delayMs;
    let index = this.#entries.length;
    while (index > 0 && this.#entries[index - 1]!.atMs > atMs) index--;
    this.#entries.splice(index, 0, { atMs, action });
  }

  /** Does the next thing; the clock moves to it. */
  step(): void {
    const entry = this.#entries.shift();
    if (entry === undefined) return;
    this.#clock.moveTo(entry.atMs);
    entry.action();
  }
}
