/**
 * Notices a peer that takes nothing and answers nothing. Time counts from the last byte that the operating system took while some were waiting,
 * or from the last acknowledgement, whichever is later: a ping that is answered while acknowledgements are not is no progress. What the system
 * has taken may still be on its way for long: the transport says how much patience a large message asks for.
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
  /** Since progress was last measured, bytes have been seen waiting: it means that they are being taken. */
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
    const isBuffered = this.#isBuffered();
    const count = this.#transport.progress();
    if (count !== this.#seenCount && this.#wasBuffered) this.#atMs = nowMs;
    this.#seenCount = count;
    this.#wasBuffered = isBuffered;
    return nowMs >= this.dueAtMs(owedCount);
  }

  /** When it would be, without any progress until then; Infinity while nothing is owed. To be asked after writing, too. */
  dueAtMs(owedCount: number): number {
    return this.#isBuffered() || owedCount > 0 ? this.#atMs + this.#timeoutMs * this.#transport.patience() : Infinity;
  }

  /** Takes note of it as well. */
  #isBuffered(): boolean {
    const isBuffered = this.#transport.bufferedBytes() > 0;
    this.#wasBuffered ||= isBuffered;
    return isBuffered;
  }
}
