/**
 * One connection to the database of an outbox, with all that was prepared on it.
 *
 * @module
 */
import { FateTable } from "./fate_table.ts";
import { FlightTable } from "./flight_table.ts";
import { MessageTable } from "./message_table.ts";
import { NoteTable } from "./note_table.ts";
import { RESULT, type SqliteDatabase, SqliteFailure, type SqliteStatement } from "./ports.ts";
import { QuarantineTable } from "./quarantine_table.ts";
import { StateTable } from "./state_table.ts";

/** Statements live as long as the connection: after `reopen()` there is another one. */
export class Connection {
  readonly #database: SqliteDatabase;
  readonly #rollback;
  /** Begins a transaction that may write. */
  readonly begin: SqliteStatement;
  /** On return it is durable. */
  readonly commit: SqliteStatement;
  readonly stateTable: StateTable;
  readonly messages: MessageTable;
  readonly flights: FlightTable;
  readonly quarantine: QuarantineTable;
  readonly fates: FateTable;
  readonly notes: NoteTable;

  /** Settles the log, prepares all, reads the flights. Throws a SqliteFailure, or a StoreError if what is read cannot be. */
  constructor(database: SqliteDatabase, fateRangesMax: number | undefined) {
    this.#database = database;
    settleLog(database);
    this.begin = database.prepare("BEGIN IMMEDIATE");
    this.commit = database.prepare("COMMIT");
    this.#rollback = database.prepare("ROLLBACK");
    this.stateTable = new StateTable(database);
    this.messages = new MessageTable(database);
    this.flights = new FlightTable(database);
    this.quarantine = new QuarantineTable(database);
    this.fates = new FateTable(database, fateRangesMax);
    this.notes = new NoteTable(database);
  }

  /** Ends a transaction without effect; false if that cannot be said. */
  rollBack(): boolean {
    try {
      this.#rollback.run();
      return true;
    } catch (error) {
      // SQLite has rolled back by itself, as it does when the disk is full: no transaction is active.
      return error instanceof SqliteFailure && error.resultCode === RESULT.error;
    }
  }

  /** All that counts is on the disk already: nothing that goes wrong here matters. */
  close(): void {
    try {
      this.#database.close();
    } catch (error) {
      if (!(error instanceof SqliteFailure)) throw error;
    }
  }
}

/**
 * Copies the write-ahead log to the database, synced. What a killed process or a failed sync left in the log can be read, and may yet be lost
 * with the power: a packet id read there and used could then come again, for another message.
 */
function settleLog(database: SqliteDatabase): void {
  try {
    const row = database.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get();
    if (row?.log !== row?.checkpointed) throw new SqliteFailure(RESULT.busy, "another program reads the write-ahead log");
  } catch (error) {
    // A full disk must not keep the cache shut, or it could never be emptied: the next COMMIT syncs the log, and nothing is sent before one.
    if (!(error instanceof SqliteFailure && error.resultCode === RESULT.full)) throw error;
  }
}
