/**
 * Who waits for the fate of messages: `delivered(id)`, `until: "delivered"`, `flush()`.
 *
 * @module
 */
import type { IdRange, MessageId } from "./core/message.ts";
import type { FateReport, FlushCounts, FlushReport } from "./core/report.ts";
import { DeliveryError } from "./errors.ts";
import type { WorkerCommand } from "./protocol.ts";
import { WaitTable } from "./waits.ts";

/** Promises that the worker's reports settle. */
export class FateWaits {
  readonly #delivered: WaitTable<MessageId, void> = new WaitTable();
  readonly #flushes: WaitTable<number, FlushCounts> = new WaitTable();
  readonly #throughIds: Map<number, MessageId> = new Map();
  #nextFlushId = 1;

  /** Resolves when the message was delivered. The worker is to be told to watch it, unless its delivery is still to come. */
  delivered(id: MessageId, signal: AbortSignal | undefined): Promise<void> {
    return this.#delivered.add(id, signal);
  }

  /** Resolves when nothing up to `throughId` is pending; with what the worker is to be told. */
  flush(
    throughId: MessageId,
    signal: AbortSignal | undefined,
  ): { readonly command: WorkerCommand; readonly flushed: Promise<FlushCounts> } {
    const flushId = this.#nextFlushId++;
    this.#throughIds.set(flushId, throughId);
    const flushed = this.#flushes.add(flushId, signal).finally(() => this.#throughIds.delete(flushId));
    return { command: { type: "flush", flushId, throughId }, flushed };
  }

  /** What a new worker is to be told. */
  commands(): WorkerCommand[] {
    const ids = this.#delivered.keys();
    const flushes = [...this.#throughIds].map(([flushId, throughId]) => ({ type: "flush", flushId, throughId }) as const);
    return ids.length === 0 ? flushes : [{ type: "watch", ids }, ...flushes];
  }

  onDelivered(ranges: readonly IdRange[]): void {
    for (const [first, last] of ranges) {
      for (let id = first; id <= last && this.#delivered.size > 0; id++) this.#delivered.resolve(id, undefined);
    }
  }

  onFate({ id, fate, reason, reasonCode }: FateReport): void {
    if (!this.#delivered.has(id) || fate === "pending") return;
    if (fate === "delivered") return this.#delivered.resolve(id, undefined);
    const action = `Cannot deliver message ${id}`;
    if (fate === "unissued") return this.#delivered.reject(id, new RangeError(`${action}: this cache has never issued it`));
    const message = `${action}: ${FATE_TEXTS[fate]}${reason === undefined ? "" : `, ${reason}`}`;
    this.#delivered.reject(id, new DeliveryError(message, { code: fate, id, ...(reasonCode === undefined ? {} : { reasonCode }) }));
  }

  onFlushed({ flushId, counts }: FlushReport): void {
    this.#flushes.resolve(flushId, counts);
  }

  /** Nobody will ever know. */
  rejectAll(createError: (action: string) => Error): void {
    this.#delivered.rejectAll((id) => createError(`Cannot wait for message ${id}, which stays in the cache`));
    this.#flushes.rejectAll(() => createError("Cannot flush"));
  }
}

const FATE_TEXTS = {
  refused: "it was not stored",
  quarantined: "it is quarantined",
  dropped: "it was dropped",
  expired: "it expired",
  purged: "it was purged",
  damaged: "it was damaged on the disk",
  forgotten: "it is so long ago that its fate is not known any more",
} as const;
