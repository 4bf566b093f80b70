/**
 * What a broker refused, and when to try again.
 *
 * Two kinds of waiting. After a transient refusal nothing new is sent until the retry is due. A message that was denied (0x87) waits by itself:
 * if any message sent later is accepted, the fault is the message's and it is quarantined; while none is, a few more are tried, then sending
 * rests, for minutes: one mistake in the broker's access list must not quarantine a backlog.
 *
 * @module
 */
import type { MessageId } from "./message.ts";
import type { Requeued } from "./lanes.ts";

/** Refusals that count, after which a message is quarantined. */
export const ATTEMPTS_MAX = 10;
/** Denied messages and further tries together, before sending rests. */
export const DENIED_MAX = 16;

const RETRY_DELAY_MS = { min: 1_000, max: 60_000 };
const DENIED_DELAY_MS = { min: 60_000, max: 900_000 };

/** Keeps what was denied and both waits. */
export class Refusals {
  readonly #denied = new Map<MessageId, Requeued>();
  #retryAtMs = -Infinity;
  #retryCount = 0;
  #deniedRetryAtMs = Infinity;
  #deniedRetryCount = 0;
  #lastAcceptedNumber = 0;

  get deniedCount(): number {
    return this.#denied.size;
  }

  /** Nothing new is sent before this. */
  get retryAtMs(): number {
    return this.#retryAtMs;
  }

  /** When the denied ones are due again; Infinity if there are none. */
  get deniedRetryAtMs(): number {
    return this.#deniedRetryAtMs;
  }

  /** A transient refusal. Those of one burst count once. */
  postpone(nowMs: number): void {
    if (nowMs < this.#retryAtMs) return;
    this.#retryAtMs = nowMs + Math.min(RETRY_DELAY_MS.max, RETRY_DELAY_MS.min * 2 ** Math.min(this.#retryCount++, 10));
  }

  /** True if it waits by itself from now on; false if a message sent later has passed already, so that it is its own fault. */
  deny(message: Requeued, nowMs: number): boolean {
    if (message.sendNumber < this.#lastAcceptedNumber) return false;
    this.#denied.set(message.id, message);
    if (this.#deniedRetryAtMs === Infinity) this.#deniedRetryAtMs = nowMs + this.#nextDeniedDelayMs();
    return true;
  }

  #nextDeniedDelayMs(): number {
    return Math.min(DENIED_DELAY_MS.max, DENIED_DELAY_MS.min * 2 ** Math.min(this.#deniedRetryCount++, 10));
  }

  /** A message was accepted. The denied ones sent before it, whose own fault it therefore was. */
  accept(sendNumber: number): readonly Requeued[] {
    this.#lastAcceptedNumber = Math.max(this.#lastAcceptedNumber, sendNumber);
    this.#retryCount = 0;
    if (this.#denied.size === 0) return [];
    const guilty = [...this.#denied.values()].filter((message) => message.sendNumber < sendNumber);
    for (const { id } of guilty) this.#denied.delete(id);
    if (this.#denied.size === 0) this.#deniedRetryAtMs = Infinity;
    if (guilty.length > 0) this.#deniedRetryCount = 0;
    return guilty;
  }

  /** A new session: send numbers may begin again below those of the last. */
  beginSession(): void {
    this.#lastAcceptedNumber = 0;
  }

  /** All that was denied, to go again. */
  retryDenied(): readonly Requeued[] {
    const messages = [...this.#denied.values()];
    this.#denied.clear();
    this.#deniedRetryAtMs = Infinity;
    return messages;
  }
}
