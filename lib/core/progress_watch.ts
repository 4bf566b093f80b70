/**
 * Notices a peer that takes nothing and answers nothing. Time counts from the last byte that the operating system took while some were waiting,
 * or from the last acknowledgement, whichever is later: a large message over a slow link makes progress all the while, and a ping that is
 * answered while acknowledgements are not is none.
 *
 * @module
 */
import type { Transport } from "./ports.ts";

/** For one connection after another. */
export class ProgressWatch {
  readonly #transport: Transport;
  readonly #timeoutMs: number;
  #seenCount = 0;
  #atMs = -Infinity;
  #wasBuffered = false;

  constructor(transport: Transport, timeoutMs: number) {
    this.#transport = transport;
    this.#timeoutMs = timeoutMs;
  }

  /** A new connection, an acknowledgement, or the first packet after a pause. */
  restart(nowMs: number): void {
    this.#atMs = nowMs;
    this.#seenCount = this.#transport.progress();
  }

  /** Is it time to give the peer up? */
  isOver(nowMs: number, owedCount: number): boolean {
    const isBuffered = this.#transport.bufferedBytes() > 0;
    const count = this.#transport.progress();
    if (count !== this.#seenCount && (isBuffered || this.#wasBuffered)) this.#atMs = nowMs;
    this.#seenCount = count;
    this.#wasBuffered = isBuffered;
    return nowMs >= this.dueAtMs(owedCount);
  }

  /** When it would be, without any progress until then; Infinity while nothing is owed. */
  dueAtMs(owedCount: number): number {
    return owedCount > 0 || this.#transport.bufferedBytes() > 0 ? this.#atMs + this.#timeoutMs : Infinity;
  }
}
