/**
 * Which message goes next. For now one lane, first in, first out: what was sent before and must go again as new, in send order; then what is
 * stored and was never sent, page by page; then, if nothing of that is left, what arrived in this tick, straight from memory.
 *
 * Looking changes nothing that matters; only `take()` does, once the commit has succeeded. So a failed commit needs no undoing.
 *
 * @module
 */
import { assert } from "./assert.ts";
import type { MessageId, StoredMessage } from "./message.ts";
import type { Outbox } from "./ports.ts";

/** A page of the backlog: so many messages, or so many bytes, or one message that is larger. */
export const PAGE_COUNT_MAX = 1_000;
/** See {@linkcode PAGE_COUNT_MAX}. */
export const PAGE_BYTES_MAX = 1 << 20;

/** A message that goes again as new. */
export interface Requeued {
  readonly id: MessageId;
  /** Of its last sending: their order among themselves. */
  readonly sendNumber: number;
  readonly attempts: number;
}

/** The next to go, and where it stands. */
export interface Candidate {
  readonly message: StoredMessage;
  readonly attempts: number;
  /** Of its last sending; `undefined` if it was never sent. */
  readonly sendNumber: number | undefined;
}

/** How many were taken from each place. */
export interface Taken {
  requeued: number;
  queued: number;
  arrived: number;
}

/** Puts what waits in order. */
export class Lanes {
  readonly #outbox: Outbox;
  #requeued: Requeued[] = [];
  #page: StoredMessage[] = [];
  #pageBytes = 0;
  #afterId: MessageId = 0;
  /** Nothing that was never sent is stored beyond the page. */
  #isCaughtUp = false;

  /** Reads nothing yet. */
  constructor(outbox: Outbox, requeued: readonly Requeued[]) {
    this.#outbox = outbox;
    this.requeue(requeued);
  }

  get requeuedCount(): number {
    return this.#requeued.length;
  }

  /** In send order among those that wait already. */
  requeue(messages: readonly Requeued[]): void {
    if (messages.length === 0) return;
    this.#requeued = [...this.#requeued, ...messages].sort((a, b) => a.sendNumber - b.sendNumber);
  }

  /** The one after those `taken`; `arrived` are the messages that this tick's commit will store. */
  peek(taken: Taken, arrived: readonly StoredMessage[]): Candidate | undefined {
    const requeued = this.#requeued[taken.requeued];
    if (requeued !== undefined) {
      const [message] = this.#outbox.read([requeued.id]);
      assert(message !== undefined, "a message that goes again is in the outbox");
      return { message, attempts: requeued.attempts, sendNumber: requeued.sendNumber };
    }
    while (taken.queued >= this.#page.length && !this.#isCaughtUp) this.#readPage();
    const message = this.#page[taken.queued] ?? arrived[taken.arrived];
    return message === undefined ? undefined : { message, attempts: 0, sendNumber: undefined };
  }

  /** Is the message that `peek()` gave one of the arrived? */
  isArrived(taken: Taken): boolean {
    return taken.requeued >= this.#requeued.length && taken.queued >= this.#page.length;
  }

  /** These are gone, and what else arrived is stored now. */
  take(taken: Taken, arrived: readonly StoredMessage[]): void {
    this.#requeued.splice(0, taken.requeued);
    for (const message of this.#page.splice(0, taken.queued)) this.#pageBytes -= message.payload.length;
    if (taken.arrived > 0) {
      assert(this.#isCaughtUp && this.#page.length === 0, "nothing overtakes what is stored");
      this.#afterId = arrived[taken.arrived - 1]!.id;
    }
    if (!this.#isCaughtUp) return;
    for (let index = taken.arrived; index < arrived.length; index++) {
      const message = arrived[index]!;
      if (this.#page.length >= PAGE_COUNT_MAX || this.#pageBytes + message.payload.length > PAGE_BYTES_MAX) {
        this.#isCaughtUp = false;
        return;
      }
      this.#add(message);
    }
  }

  /** The outbox changed behind our back: read it again. */
  reset(): void {
    this.#page = [];
    this.#pageBytes = 0;
    this.#afterId = 0;
    this.#isCaughtUp = false;
  }

  #readPage(): void {
    const messages = this.#outbox.readQueued(this.#afterId, PAGE_COUNT_MAX, PAGE_BYTES_MAX);
    if (messages.length === 0) this.#isCaughtUp = true;
    for (const message of messages) this.#add(message);
  }

  #add(message: StoredMessage): void {
    assert(message.id > this.#afterId, "the backlog is read in order, each message once");
    this.#page.push(message);
    this.#pageBytes += message.payload.length;
    this.#afterId = message.id;
  }
}
