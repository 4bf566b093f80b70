/**
 * A map whose changes count at once for those who read it, and for good only when they are kept: it goes along with a transaction.
 *
 * @module
 */

/** See above. */
export class DraftMap<K, V extends NonNullable<unknown>> {
  readonly #kept: Map<K, V>;
  readonly #changes = new Map<K, V | undefined>();

  /** Starts with these. */
  constructor(entries: Iterable<readonly [K, V]>) {
    this.#kept = new Map(entries);
  }

  /** As changed. */
  get(key: K): V | undefined {
    return this.#changes.size > 0 && this.#changes.has(key) ? this.#changes.get(key) : this.#kept.get(key);
  }

  /** As changed. */
  has(key: K): boolean {
    return this.get(key) !== undefined;
  }

  /** `undefined` takes the key out. */
  set(key: K, value: V | undefined): void {
    this.#changes.set(key, value);
  }

  /** As changed, in no order. */
  values(): V[] {
    const values = [...this.#changes.values()].filter((value) => value !== undefined);
    for (const [key, value] of this.#kept) if (!this.#changes.has(key)) values.push(value);
    return values;
  }

  /** The transaction is durable. */
  keep(): void {
    for (const [key, value] of this.#changes) {
      if (value === undefined) this.#kept.delete(key);
      else this.#kept.set(key, value);
    }
    this.#changes.clear();
  }

  /** The transaction did not happen. */
  discard(): void {
    this.#changes.clear();
  }
}
