/**
 * Gathers what one tick has to say, and says it once.
 *
 * @module
 */
import type { MessageId } from "./message.ts";
import { toRanges } from "./ranges.ts";
import type { Failure, FateReport, FlushReport, PublisherEvent, PublisherStatus, TickReport } from "./report.ts";

/** Filled during a tick, emptied by `build()`. */
export class ReportBuilder {
  #stored: MessageId[] = [];
  #delivered: MessageId[] = [];
  #refused: { readonly id: MessageId; readonly error: Failure }[] = [];
  #fates: FateReport[] = [];
  #flushed: FlushReport[] = [];
  #events: PublisherEvent[] = [];

  get isEmpty(): boolean {
    return this.#stored.length + this.#delivered.length + this.#refused.length + this.#fates.length + this.#flushed.length +
        this.#events.length === 0;
  }

  stored(id: MessageId): void {
    this.#stored.push(id);
  }

  delivered(id: MessageId): void {
    this.#delivered.push(id);
  }

  refused(id: MessageId, error: Failure): void {
    this.#refused.push({ id, error });
  }

  fates(fates: readonly FateReport[]): void {
    this.#fates.push(...fates);
  }

  flushed(flushes: readonly FlushReport[]): void {
    this.#flushed.push(...flushes);
  }

  event(event: PublisherEvent): void {
    this.#events.push(event);
  }

  build(status: PublisherStatus): TickReport {
    const report: TickReport = {
      stored: toRanges(this.#stored),
      refused: this.#refusedRanges(),
      delivered: toRanges(this.#delivered),
      fates: this.#fates,
      flushed: this.#flushed,
      events: this.#events,
      status,
    };
    this.#stored = [];
    this.#delivered = [];
    this.#refused = [];
    this.#fates = [];
    this.#flushed = [];
    this.#events = [];
    return report;
  }

  /** Neighbours refused for one reason share it. */
  #refusedRanges(): TickReport["refused"] {
    const ranges: { ids: [MessageId, MessageId]; error: Failure }[] = [];
    for (const { id, error } of this.#refused) {
      const last = ranges.at(-1);
      if (last !== undefined && last.error === error && last.ids[1] + 1 === id) last.ids[1] = id;
      else ranges.push({ ids: [id, id], error });
    }
    return ranges;
  }
}
