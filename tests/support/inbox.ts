/**
 * Keeps what a subscriber got, for tests that look at whole messages.
 *
 * @module
 */
import type { Arrival } from "./subscriber.ts";

/** See above. */
export class Inbox {
  #arrivals: Arrival[] = [];
  #waiting: { readonly count: number; readonly resolve: (arrivals: readonly Arrival[]) => void } | undefined;

  take(arrival: Arrival): void {
    this.#arrivals.push(arrival);
    this.#answer();
  }

  /** The next so many, taken out, when they are there. */
  next(count: number): Promise<readonly Arrival[]> {
    return new Promise((resolve) => {
      this.#waiting = { count, resolve };
      this.#answer();
    });
  }

  /** All that is there, taken out. */
  takeAll(): readonly Arrival[] {
    return this.#arrivals.splice(0);
  }

  #answer(): void {
    if (this.#waiting === undefined || this.#arrivals.length < this.#waiting.count) return;
    const { count, resolve } = this.#waiting;
    this.#waiting = undefined;
    resolve(this.#arrivals.splice(0, count));
  }
}
