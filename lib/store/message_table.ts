/**
 * Table `message`: what is pending, waiting or in flight.
 *
 * @module
 */
import type { MessageId, NumberedMessage, StoredMessage } from "../core/message.ts";
import type { Moment } from "../core/ports.ts";
import { decodeMessage, encodeMessage, MESSAGE_COLUMNS } from "./message_row.ts";
import type { SqliteDatabase } from "./ports.ts";

const NEVER_SENT = "NOT EXISTS (SELECT 1 FROM flight WHERE flight.id = message.id)";

const SQL = {
  insert: `INSERT INTO message (${MESSAGE_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)`,
  remove: "DELETE FROM message WHERE id BETWEEN ? AND ?",
  bytes: "SELECT sum(bytes) AS bytes FROM message WHERE id BETWEEN ? AND ?",
  one: `SELECT ${MESSAGE_COLUMNS} FROM message WHERE id = ?`,
  exists: "SELECT 1 FROM message WHERE id = ?",
  first: "SELECT id, stored_at_epoch_ms FROM message ORDER BY id LIMIT 1",
  sizes: `SELECT id, bytes FROM message WHERE id > ? AND ${NEVER_SENT} ORDER BY id LIMIT ?`,
  queued: `SELECT ${MESSAGE_COLUMNS} FROM message WHERE id > ? AND id <= ? AND ${NEVER_SENT} ORDER BY id`,
} as const;

/** Its statements, on one connection. */
export class MessageTable {
  readonly #insert;
  readonly #remove;
  readonly #bytes;
  readonly #one;
  readonly #exists;
  readonly #first;
  readonly #sizes;
  readonly #queued;

  /** Prepares them. */
  constructor(database: SqliteDatabase) {
    this.#insert = database.prepare(SQL.insert);
    this.#remove = database.prepare(SQL.remove);
    this.#bytes = database.prepare(SQL.bytes);
    this.#one = database.prepare(SQL.one);
    this.#exists = database.prepare(SQL.exists);
    this.#first = database.prepare(SQL.first);
    this.#sizes = database.prepare(SQL.sizes);
    this.#queued = database.prepare(SQL.queued);
  }

  /** Stores it; its size in bytes. */
  insert(message: NumberedMessage, at: Moment): number {
    const { values, bytes } = encodeMessage(message, at);
    this.#insert.run(...values);
    return bytes;
  }

  /** Takes out all from `first` to `last`. How many there were, and their size. */
  remove(first: MessageId, last: MessageId): { readonly count: number; readonly bytes: number } {
    const bytes = this.#bytes.get(first, last)?.bytes as number | null | undefined;
    return { count: this.#remove.run(first, last), bytes: bytes ?? 0 };
  }

  /** Is it pending? */
  has(id: MessageId): boolean {
    return this.#exists.get(id) !== undefined;
  }

  /** Throws a DamagedRowError if the row cannot be trusted. */
  read(id: MessageId): StoredMessage | undefined {
    const row = this.#one.get(id);
    return row === undefined ? undefined : decodeMessage(row);
  }

  /** The one with the least id. */
  first(): { readonly id: MessageId; readonly storedAtEpochMs: number } | undefined {
    const row = this.#first.get();
    return row === undefined ? undefined : { id: row.id as MessageId, storedAtEpochMs: row.stored_at_epoch_ms as number };
  }

  /** Sizes are looked at first: a page of great payloads would not fit in memory. */
  readQueued(afterId: MessageId, countMax: number, bytesMax: number): readonly StoredMessage[] {
    let lastId: MessageId | undefined;
    let bytes = 0;
    for (const row of this.#sizes.all(afterId, countMax)) {
      bytes += row.bytes as number;
      if (lastId !== undefined && bytes > bytesMax) break;
      lastId = row.id as MessageId;
    }
    return lastId === undefined ? [] : this.#queued.all(afterId, lastId).map(decodeMessage);
  }
}
