/**
 * Promises that something else settles, and that an AbortSignal may end. What is waited for goes on regardless.
 *
 * @module
 */

/** One promise. Settling it again does nothing. */
export interface Wait<Value> {
  readonly promise: Promise<Value>;
  resolve(value: Value): void;
  reject(error: unknown): void;
}

/** A new wait. When `signal`, not aborted yet, aborts, it rejects with the signal's reason, and `onAborted` is called. */
export function createWait<Value>(signal?: AbortSignal, onAborted?: () => void): Wait<Value> {
  const { promise, resolve, reject } = Promise.withResolvers<Value>();
  if (signal === undefined) return { promise, resolve, reject };
  const onAbort = () => {
    reject(signal.reason);
    onAborted?.();
  };
  signal.addEventListener("abort", onAbort, { once: true });
  // A signal may live as long as the program: it must not keep every wait that it was once given.
  const forget = () => signal.removeEventListener("abort", onAbort);
  return {
    promise,
    resolve(value) {
      forget();
      resolve(value);
    },
    reject(error) {
      forget();
      reject(error);
    },
  };
}

/** Waits by key: several may wait for the same. */
export class WaitTable<Key, Value> {
  readonly #waits: Map<Key, Set<Wait<Value>>> = new Map();

  /** The keys that are waited for. */
  keys(): Key[] {
    return [...this.#waits.keys()];
  }

  /** How many keys are waited for. */
  get size(): number {
    return this.#waits.size;
  }

  has(key: Key): boolean {
    return this.#waits.has(key);
  }

  /** Waits for `key`. */
  add(key: Key, signal?: AbortSignal): Promise<Value> {
    if (signal?.aborted) return Promise.reject(signal.reason);
    const wait: Wait<Value> = createWait<Value>(signal, () => {
      const others = this.#waits.get(key);
      others?.delete(wait);
      if (others?.size === 0) this.#waits.delete(key);
    });
    const waits = this.#waits.get(key);
    if (waits === undefined) this.#waits.set(key, new Set([wait]));
    else waits.add(wait);
    return wait.promise;
  }

  resolve(key: Key, value: Value): void {
    for (const wait of this.#take(key)) wait.resolve(value);
  }

  reject(key: Key, error: unknown): void {
    for (const wait of this.#take(key)) wait.reject(error);
  }

  rejectAll(createError: (key: Key) => unknown): void {
    for (const key of this.keys()) this.reject(key, createError(key));
  }

  #take(key: Key): Iterable<Wait<Value>> {
    const waits = this.#waits.get(key);
    this.#waits.delete(key);
    return waits ?? [];
  }
}
