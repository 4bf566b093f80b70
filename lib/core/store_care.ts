/**
 * Whether the outbox can be used, and when to try again.
 *
 * - `good`: commits work.
 * - `full`: there was no room; nothing is sent, what is decided waits in memory, publishes are tried and refused. Left when it is time to try again.
 * - `broken`: the outcome of a commit is unknown, or the disk cannot be read. Publishes are refused and connections given up until the outbox is
 *   open again and everything was read anew.
 *
 * @module
 */
import type { StoreError } from "./ports.ts";

const RETRY_MS = { min: 250, max: 10_000 };
const DOUBLINGS_MAX = 10;

type State =
  | { readonly name: "good" }
  | { readonly name: "full" | "broken"; readonly retryAtMs: number; readonly message: string };

/** Keeps the state and draws out the retries. */
export class StoreCare {
  #state: State = { name: "good" };
  #failureCount = 0;

  get isGood(): boolean {
    return this.#state.name === "good";
  }

  get isBroken(): boolean {
    return this.#state.name === "broken";
  }

  /** What failed; `undefined` while all is well. */
  get message(): string | undefined {
    return this.#state.name === "good" ? undefined : this.#state.message;
  }

  /** Is it the first failure since the last commit that worked? */
  fail(error: StoreError, nowMs: number): boolean {
    const retryAtMs = nowMs + Math.min(RETRY_MS.max, RETRY_MS.min * 2 ** Math.min(this.#failureCount, DOUBLINGS_MAX));
    this.#state = { name: error.kind === "full" ? "full" : "broken", retryAtMs, message: error.message };
    return this.#failureCount++ === 0;
  }

  /** When to try again; Infinity while all is well. */
  get retryAtMs(): number {
    return this.#state.name === "good" ? Infinity : this.#state.retryAtMs;
  }

  /** Worth a try again: the next commit shows. */
  mend(): void {
    this.#state = { name: "good" };
  }

  /** A commit has worked. */
  succeed(): void {
    this.#state = { name: "good" };
    this.#failureCount = 0;
  }
}
