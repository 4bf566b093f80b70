/**
 * Who waits for which message: `delivered(id)` and `flush()`.
 *
 * @module
 */
import type { Fate, FateOf } from "./ports.ts";
import type { MessageId } from "./message.ts";
import type { FateReport, FlushCounts, FlushReport } from "./report.ts";

interface Flush {
  readonly flushId: number;
  readonly throughId: MessageId;
  readonly counts: FlushCounts;
}

/** Notes fates and answers once. */
export class Waits {
  readonly #watched = new Set<MessageId>();
  #flushes: Flush[] = [];
  #fates: FateReport[] = [];

  get isFlushing(): boolean {
    return this.#flushes.length > 0;
  }

  watch(id: MessageId, fate: FateOf): void {
    if (fate === "pending") this.#watched.add(id);
    else this.#fates.push({ id, fate });
  }

  flush(flushId: number, throughId: MessageId): void {
    const counts = { delivered: 0, quarantined: 0, dropped: 0, expired: 0, purged: 0, damaged: 0 };
    this.#flushes.push({ flushId, throughId, counts });
  }

  /** A message has met its fate. Others than delivered are reported to all, delivered ones here only to those who wait. */
  settle(id: MessageId, fate: Exclude<Fate, "refused">, why: { readonly reason?: string; readonly reasonCode?: number } = {}): void {
    const wasWatched = this.#watched.delete(id);
    if (wasWatched || fate !== "delivered") this.#fates.push({ id, fate, ...why });
    for (const flush of this.#flushes) if (id <= flush.throughId) flush.counts[fate]++;
  }

  takeFates(): readonly FateReport[] {
    return this.#fates.splice(0);
  }

  /** Flushes for which nothing is pending any more. */
  takeFlushed(hasPendingThrough: (id: MessageId) => boolean): readonly FlushReport[] {
    const done = this.#flushes.filter(({ throughId }) => !hasPendingThrough(throughId));
    if (done.length > 0) this.#flushes = this.#flushes.filter((flush) => !done.includes(flush));
    return done.map(({ flushId, counts }) => ({ flushId, counts }));
  }
}
