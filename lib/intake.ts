/**
 * What was handed to `publish()` and is not yet reported stored.
 *
 * - A request is a message, or several that are stored together or not at all. Requests keep their order.
 * - A request has no numbers until the cache has said which is the next free one; from then on each gets its own at once, and keeps it.
 * - A copy stays here until the worker has reported it stored or refused, so that a new worker can be given it again.
 * - All copies together are bounded, except that one which finds nothing here is always taken.
 *
 * @module
 */
import { assert } from "./core/assert.ts";
import type { IdRange, Message, MessageId, NumberedMessage } from "./core/message.ts";
import type { PublishRequest } from "./core/report.ts";
import { CacheFullError } from "./errors.ts";

/** What a message counts for besides its own bytes: what it takes to keep it in memory. */
export const MESSAGE_OVERHEAD_BYTES = 256;

/** Who waits for a request. None of these may throw. */
export interface RequestListener {
  /** On disk and synced. `wasRepeated`: a worker was given it before, so it may have gone further since. */
  onStored(firstId: MessageId, wasRepeated: boolean): void;
  onRefused(error: Error): void;
}

/** One `publish()` or `publishMany()`. */
export interface IntakeRequest extends RequestListener {
  readonly messages: readonly Message[];
  readonly byteCount: number;
}

interface Entry {
  readonly request: IntakeRequest;
  firstId: MessageId | undefined;
  /** How many workers were given it. */
  postCount: number;
}

/** The requests that are on their way to the disk. */
export class Intake {
  readonly #byteCountMax: number;
  #byteCount = 0;
  #messageCount = 0;
  /** `undefined` until the cache was first open. */
  #nextMessageId: MessageId | undefined;
  #unnumbered: Entry[] = [];
  /** How many of `#unnumbered` a `storeNow` has carried already. */
  #unnumberedSentCount = 0;
  /** By first id, in its order. */
  readonly #numbered: Map<MessageId, Entry> = new Map();
  /** Numbered, not given to the present worker. */
  #unposted: Entry[] = [];

  /** Bounded to so many bytes. */
  constructor(byteCountMax: number) {
    this.#byteCountMax = byteCountMax;
  }

  get byteCount(): number {
    return this.#byteCount;
  }

  get messageCount(): number {
    return this.#messageCount;
  }

  /** The greatest id given out; `undefined` until the cache was open. */
  get lastIssuedId(): MessageId | undefined {
    return this.#nextMessageId === undefined ? undefined : this.#nextMessageId - 1;
  }

  get hasUnposted(): boolean {
    return this.#unposted.length > 0;
  }

  /** Takes a request, or throws a CacheFullError. */
  add(request: IntakeRequest): void {
    if (this.#messageCount > 0 && this.#byteCount + request.byteCount > this.#byteCountMax) {
      const waiting = `${this.#messageCount} messages with ${this.#byteCount} bytes wait to be stored, ${this.#byteCountMax} bytes may`;
      throw new CacheFullError(`Cannot publish: ${waiting} (queueBytesMax)`, { code: "queue-full" });
    }
    const entry: Entry = { request, firstId: undefined, postCount: 0 };
    this.#byteCount += request.byteCount;
    this.#messageCount += request.messages.length;
    if (this.#nextMessageId === undefined) this.#unnumbered.push(entry);
    else this.#number(entry);
  }

  /** The cache is open, and `nextMessageId` the least id it takes. What had no number gets one. */
  open(nextMessageId: MessageId): void {
    // A worker that was started again knows nothing of ids that were given out but never reached a disk.
    this.#nextMessageId = Math.max(this.#nextMessageId ?? 1, nextMessageId);
    const unnumbered = this.#unnumbered;
    this.#unnumbered = [];
    this.#unnumberedSentCount = 0;
    for (const entry of unnumbered) this.#number(entry);
  }

  /** A new worker: it is to be given everything. */
  unpost(): void {
    this.#unposted = [...this.#numbered.values()];
    this.#unnumberedSentCount = 0;
  }

  /** What the present worker was not given yet, with numbers. */
  takeUnposted(): PublishRequest[] {
    const entries = this.#unposted;
    this.#unposted = [];
    return entries.map((entry) => {
      entry.postCount += 1;
      return numberMessages(entry);
    });
  }

  /** What has no number and was not taken this way before: for `storeNow`. */
  takeUnnumbered(): (readonly Message[])[] {
    const entries = this.#unnumbered.slice(this.#unnumberedSentCount);
    this.#unnumberedSentCount = this.#unnumbered.length;
    return entries.map((entry) => {
      entry.postCount += 1;
      return entry.request.messages;
    });
  }

  onStored(ranges: readonly IdRange[]): void {
    for (const entry of this.#remove(ranges)) entry.request.onStored(firstIdOf(entry), entry.postCount > 1);
  }

  onRefused(ids: IdRange, error: Error): void {
    for (const entry of this.#remove([ids])) entry.request.onRefused(error);
  }

  /** Gives up on all. `wasPosted`: a worker was given it, so it may be on disk. */
  refuseAll(createError: (wasPosted: boolean) => Error): void {
    const entries = [...this.#numbered.values(), ...this.#unnumbered];
    this.#numbered.clear();
    this.#unnumbered = [];
    this.#unnumberedSentCount = 0;
    this.#unposted = [];
    this.#byteCount = 0;
    this.#messageCount = 0;
    for (const entry of entries) entry.request.onRefused(createError(entry.postCount > 0));
  }

  #number(entry: Entry): void {
    assert(this.#nextMessageId !== undefined, "the cache has said which id is free");
    entry.firstId = this.#nextMessageId;
    this.#nextMessageId += entry.request.messages.length;
    assert(Number.isSafeInteger(this.#nextMessageId), "ids stay safe integers");
    this.#numbered.set(entry.firstId, entry);
    this.#unposted.push(entry);
  }

  #remove(ranges: readonly IdRange[]): Entry[] {
    const removed: Entry[] = [];
    for (const [first, last] of ranges) {
      for (let id = first; id <= last;) {
        const entry = this.#numbered.get(id);
        // What was given up here may be reported later all the same.
        id += entry?.request.messages.length ?? 1;
        if (entry === undefined) continue;
        this.#numbered.delete(firstIdOf(entry));
        this.#byteCount -= entry.request.byteCount;
        this.#messageCount -= entry.request.messages.length;
        removed.push(entry);
      }
    }
    return removed;
  }
}

function firstIdOf(entry: Entry): MessageId {
  assert(entry.firstId !== undefined, "a request that a worker was given has numbers");
  return entry.firstId;
}

function numberMessages(entry: Entry): NumberedMessage[] {
  const firstId = firstIdOf(entry);
  return entry.request.messages.map((message, index) => ({ id: firstId + index, ...message }));
}
