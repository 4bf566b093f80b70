/**
 * What a measuring device sends: numbered readings. The whole payload follows from the number, so that a reading that was altered on its way
 * is known by comparison.
 *
 * @module
 */
import { createHash } from "node:crypto";

/** Topic of the readings. */
export const READINGS_TOPIC = "plant/inverter-7/reading";

/** The payload of one reading, some 80 bytes. */
export function encodeReading(number: number): string {
  const volts = (230 + 5 * Math.sin(number / 50)).toFixed(2);
  const check = createHash("sha256").update(String(number)).digest("hex").slice(0, 32);
  return `{"number":${number},"volts":${volts},"check":"${check}"}`;
}

/** Its number; `undefined` if these are not the bytes that were sent. */
export function decodeReading(payload: Uint8Array): number | undefined {
  const text = new TextDecoder().decode(payload);
  const number = Number(/^\{"number":(\d+),/.exec(text)?.[1]);
  return Number.isSafeInteger(number) && text === encodeReading(number) ? number : undefined;
}

/** Keeps count of readings as they arrive, and says who waits for how many. */
export class Tally {
  /** Numbers in the order in which each arrived first. */
  readonly numbers: number[] = [];
  duplicates = 0;
  outOfOrder = 0;
  altered = 0;
  readonly #seen = new Set<number>();
  readonly #waiting = new Set<{ readonly count: number; readonly resolve: () => void }>();
  #greatest = 0;

  /** Takes note of one arrival. */
  take(payload: Uint8Array): void {
    const number = decodeReading(payload);
    if (number === undefined) {
      this.altered++;
      return;
    }
    if (this.#seen.has(number)) {
      this.duplicates++;
      return;
    }
    this.#seen.add(number);
    this.numbers.push(number);
    if (number < this.#greatest) this.outOfOrder++;
    this.#greatest = Math.max(this.#greatest, number);
    for (const waiter of this.#waiting) {
      if (this.numbers.length < waiter.count) continue;
      this.#waiting.delete(waiter);
      waiter.resolve();
    }
  }

  has(number: number): boolean {
    return this.#seen.has(number);
  }

  /** Resolves when so many different readings have arrived. */
  arrived(count: number): Promise<void> {
    if (this.numbers.length >= count) return Promise.resolve();
    return new Promise((resolve) => this.#waiting.add({ count, resolve }));
  }
}
