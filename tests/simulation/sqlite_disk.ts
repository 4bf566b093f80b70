/**
 * The real outbox over a real SQLite database that outlives the process, and a COMMIT that fails when it is told to. Every return from COMMIT is a
 * sync here, so a power cut takes nothing more than a crash does: what a disk loses is shown by rebuilding real disks, not here.
 */
import type { MessageId } from "../../lib/core/message.ts";
import type { Outbox, OutboxBatch } from "../../lib/core/ports.ts";
import { openNodeDatabase } from "../../lib/adapters/node_sqlite.ts";
import { RESULT, type SqliteDatabase, SqliteFailure, type SqliteStatement } from "../../lib/store/ports.ts";
import { createTables } from "../../lib/store/schema.ts";
import { SqliteOutbox, type SqliteOutboxOptions } from "../../lib/store/sqlite_outbox.ts";
import type { CommitFault, Disk } from "./memory_outbox.ts";

export class SqliteDisk implements Disk {
  readonly #database = openNodeDatabase(":memory:");
  fault: () => CommitFault = () => "none";
  onCommitted: (batch: OutboxBatch) => void = () => {};
  /** Of the process that runs, or was the last to run. */
  #outbox: SqliteOutbox | undefined;

  constructor() {
    createTables(this.#database, { cacheIdentity: "0".repeat(32), clientId: "device", createdAtEpochMs: 0 });
  }

  openOutbox(): Outbox {
    this.#abandonTransaction();
    let isStart = true; // a process starts once the disk lets it; only a later reopen() meets the trouble
    const openDatabase = () => {
      if (!isStart && this.fault() !== "none") throw new SqliteFailure(RESULT.ioError, "the disk still gives errors");
      isStart = false;
      return new FaultyDatabase(this.#database, () => this.fault());
    };
    return this.#outbox = new WatchedOutbox({ openDatabase }, (batch) => this.onCommitted(batch));
  }

  inFlightIds(): readonly MessageId[] {
    return this.#database.prepare("SELECT id FROM flight ORDER BY send_number").all().map(({ id }) => id as MessageId);
  }

  isSessionDoubted(): boolean {
    return this.#database.prepare("SELECT session_broker AS broker FROM state").get()!.broker === null;
  }

  cutPower(): void {}

  /** The same contents will do: the one they were copied from is not used any more. */
  copy(): SqliteDisk {
    this.#abandonTransaction();
    this.#database.prepare("UPDATE state SET session_broker = NULL").run();
    return this;
  }

  /** A process that dies within a transaction leaves none behind. */
  #abandonTransaction(): void {
    if (this.#outbox === undefined) return;
    try {
      this.#database.prepare("ROLLBACK").run();
    } catch (error) {
      if (!(error instanceof SqliteFailure)) throw error;
    }
  }
}

/** Tells of every batch that is on disk. */
class WatchedOutbox extends SqliteOutbox {
  readonly #onCommitted: (batch: OutboxBatch) => void;

  constructor(options: SqliteOutboxOptions, onCommitted: (batch: OutboxBatch) => void) {
    super(options);
    this.#onCommitted = onCommitted;
  }

  override commit(batch: OutboxBatch): void {
    super.commit(batch);
    this.#onCommitted(batch);
  }
}

/** Fails at COMMIT as it is told to; is never closed, since it is the disk. */
class FaultyDatabase implements SqliteDatabase {
  readonly #database: SqliteDatabase;
  readonly #fault: () => CommitFault;

  constructor(database: SqliteDatabase, fault: () => CommitFault) {
    this.#database = database;
    this.#fault = fault;
  }

  prepare(sql: string): SqliteStatement {
    const statement = this.#database.prepare(sql);
    if (sql !== "COMMIT") return statement;
    return {
      all: (...values) => statement.all(...values),
      get: (...values) => statement.get(...values),
      run: (...values) => {
        const fault = this.#fault();
        if (fault === "full") throw new SqliteFailure(RESULT.full, "the disk is full");
        if (fault === "failed-lost") throw new SqliteFailure(RESULT.ioError, "the disk gave an error");
        const changes = statement.run(...values);
        if (fault === "failed-kept") throw new SqliteFailure(RESULT.ioError, "the disk gave an error");
        return changes;
      },
    };
  }

  close(): void {}
}
