/**
 * Table `quarantine`: messages set aside, whole, with the reason why. They move between it and table `message` inside SQLite.
 *
 * @module
 */
import type { MessageId } from "../core/message.ts";
import type { OutboxBatch, QuarantinedMessage } from "../core/ports.ts";
import { decodeMessage, MESSAGE_COLUMNS } from "./message_row.ts";
import type { SqliteDatabase, SqliteRow } from "./ports.ts";

/** One entry of a batch. */
export type QuarantineMark = NonNullable<OutboxBatch["quarantined"]>[number];

const WHY_COLUMNS = "reason, reason_code, attempts, quarantined_at_epoch_ms";

const SQL = {
  setAside:
    `INSERT INTO quarantine (${MESSAGE_COLUMNS}, ${WHY_COLUMNS}) SELECT ${MESSAGE_COLUMNS}, ?2, ?3, ?4, ?5 FROM message WHERE id = ?1`,
  putBack: `INSERT INTO message (${MESSAGE_COLUMNS}) SELECT ${MESSAGE_COLUMNS} FROM quarantine WHERE id = ?`,
  remove: "DELETE FROM quarantine WHERE id = ?",
  bytes: "SELECT bytes FROM quarantine WHERE id = ?",
  page: `SELECT ${MESSAGE_COLUMNS}, ${WHY_COLUMNS} FROM quarantine WHERE id > ? ORDER BY id LIMIT ?`,
} as const;

/** Its statements, on one connection. */
export class QuarantineTable {
  readonly #setAside;
  readonly #putBack;
  readonly #remove;
  readonly #bytes;
  readonly #page;

  /** Prepares them. */
  constructor(database: SqliteDatabase) {
    this.#setAside = database.prepare(SQL.setAside);
    this.#putBack = database.prepare(SQL.putBack);
    this.#remove = database.prepare(SQL.remove);
    this.#bytes = database.prepare(SQL.bytes);
    this.#page = database.prepare(SQL.page);
  }

  /** Copies the message here; false if it is not pending. */
  setAside({ id, reason, reasonCode, attempts }: QuarantineMark, atEpochMs: number): boolean {
    return this.#setAside.run(id, reason, reasonCode ?? null, attempts, atEpochMs) === 1;
  }

  /** Moves a message that is here back to table `message`; its size. */
  putBack(id: MessageId): number {
    const bytes = this.#bytes.get(id)?.bytes as number;
    this.#putBack.run(id);
    this.#remove.run(id);
    return bytes;
  }

  /** False if it is not here. */
  remove(id: MessageId): boolean {
    return this.#remove.run(id) === 1;
  }

  /** Is it here? */
  has(id: MessageId): boolean {
    return this.#bytes.get(id) !== undefined;
  }

  /** By id, at most `countMax`. Throws a DamagedRowError if a row cannot be trusted. */
  read(afterId: MessageId, countMax: number): readonly QuarantinedMessage[] {
    return this.#page.all(afterId, countMax).map(decodeQuarantined);
  }
}

function decodeQuarantined(row: SqliteRow): QuarantinedMessage {
  return {
    ...decodeMessage(row),
    reason: row.reason as string,
    ...(row.reason_code === null ? {} : { reasonCode: row.reason_code as number }),
    attempts: row.attempts as number,
    quarantinedAtEpochMs: row.quarantined_at_epoch_ms as number,
  };
}
