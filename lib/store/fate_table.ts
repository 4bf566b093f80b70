/**
 * Table `fate`: how messages left that were not delivered, as runs of ids. Bounded: the runs of the least ids are forgotten first, and whatever
 * lies at or below a forgotten one is never again said to have been delivered.
 *
 * @module
 */
import type { MessageId } from "../core/message.ts";
import type { Fate } from "../core/ports.ts";
import type { SqliteDatabase, SqliteRow } from "./ports.ts";
import type { OutboxState } from "./state_table.ts";

/** So many runs are kept. */
export const FATE_RANGES_MAX = 100_000;

/** The fates that stand in the table: delivered is the rule, and quarantined messages have a table of their own. */
export type RecordedFate = Exclude<Fate, "delivered" | "quarantined">;

const SQL = {
  before: "SELECT first_id, last_id, fate FROM fate WHERE first_id <= ? ORDER BY first_id DESC LIMIT 1",
  at: "SELECT first_id, last_id, fate FROM fate WHERE first_id = ?",
  first: "SELECT first_id, last_id, fate FROM fate ORDER BY first_id LIMIT 1",
  insert: "INSERT INTO fate (first_id, last_id, fate) VALUES (?, ?, ?)",
  remove: "DELETE FROM fate WHERE first_id = ?",
} as const;

/** Its statements, on one connection. */
export class FateTable {
  readonly #before;
  readonly #at;
  readonly #first;
  readonly #insert;
  readonly #remove;
  readonly #rangesMax: number;

  /** Prepares them. */
  constructor(database: SqliteDatabase, rangesMax: number = FATE_RANGES_MAX) {
    this.#before = database.prepare(SQL.before);
    this.#at = database.prepare(SQL.at);
    this.#first = database.prepare(SQL.first);
    this.#insert = database.prepare(SQL.insert);
    this.#remove = database.prepare(SQL.remove);
    this.#rangesMax = rangesMax;
  }

  /** All from `firstId` to `lastId` met this fate; runs that touch become one. */
  add(firstId: MessageId, lastId: MessageId, fate: RecordedFate, state: OutboxState): void {
    const before = this.#before.get(firstId - 1);
    const after = this.#at.get(lastId + 1);
    let first = firstId;
    let last = lastId;
    if (before?.last_id === firstId - 1 && before.fate === fate) first = this.#take(before, state).first;
    if (after?.fate === fate) last = this.#take(after, state).last;
    this.#insert.run(first, last, fate);
    state.fateRangeCount++;
    if (state.fateRangeCount > this.#rangesMax) {
      const oldest = this.#first.get();
      if (oldest !== undefined) state.forgottenThroughId = Math.max(state.forgottenThroughId, this.#take(oldest, state).last);
    }
  }

  #take(row: SqliteRow, state: OutboxState): { readonly first: MessageId; readonly last: MessageId } {
    const first = row.first_id as MessageId;
    this.#remove.run(first);
    state.fateRangeCount--;
    return { first, last: row.last_id as MessageId };
  }

  /** `undefined` if none is recorded. */
  find(id: MessageId): RecordedFate | undefined {
    const row = this.#before.get(id);
    return row !== undefined && id <= (row.last_id as MessageId) ? row.fate as RecordedFate : undefined;
  }
}
