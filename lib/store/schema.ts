/**
 * The tables, and how a database comes to have them.
 *
 * `user_version` is 1,000 × major + minor. Within a major the schema only grows, and what grows may be ignored: older code opens what newer code
 * has grown (a device that is rolled back), so statements name their columns. A newer major is refused, and nothing is written to it.
 *
 * @module
 */
import { CacheError } from "../errors.ts";
import type { SqliteDatabase } from "./ports.ts";

/** Stands in the header of the file: "PMQ1". */
export const APPLICATION_ID = 0x504d5131;
const MAJOR = 1;
const MINOR_COUNT = 1_000;

/** Step `n` leads to minor `n`. Steps are only ever added. */
const STEPS: readonly (readonly string[])[] = [
  [
    // Payload last: what stands before it is read without it.
    `CREATE TABLE message (
      id INTEGER PRIMARY KEY,
      qos INTEGER NOT NULL,
      retain INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      stored_at_epoch_ms INTEGER NOT NULL,
      stored_at_known_ms INTEGER NOT NULL,
      checksum INTEGER NOT NULL,
      topic TEXT NOT NULL,
      properties TEXT,
      payload BLOB NOT NULL
    ) STRICT`,
    // Narrow and apart, because it changes several times while a message is on its way: the message itself is written once.
    // Its QoS is the one it was sent at, which may be less than the message's own.
    `CREATE TABLE flight (
      id INTEGER PRIMARY KEY,
      qos INTEGER NOT NULL,
      stage INTEGER NOT NULL,
      packet_id INTEGER NOT NULL,
      send_number INTEGER NOT NULL,
      received_number INTEGER NOT NULL,
      attempts INTEGER NOT NULL
    ) STRICT`,
    `CREATE TABLE quarantine (
      id INTEGER PRIMARY KEY,
      reason TEXT NOT NULL,
      reason_code INTEGER,
      attempts INTEGER NOT NULL,
      quarantined_at_epoch_ms INTEGER NOT NULL,
      qos INTEGER NOT NULL,
      retain INTEGER NOT NULL,
      bytes INTEGER NOT NULL,
      stored_at_epoch_ms INTEGER NOT NULL,
      stored_at_known_ms INTEGER NOT NULL,
      checksum INTEGER NOT NULL,
      topic TEXT NOT NULL,
      properties TEXT,
      payload BLOB NOT NULL
    ) STRICT`,
    `CREATE TABLE fate (
      first_id INTEGER PRIMARY KEY,
      last_id INTEGER NOT NULL,
      fate TEXT NOT NULL
    ) STRICT`,
    `CREATE TABLE state (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      next_message_id INTEGER NOT NULL DEFAULT 1,
      packet_id_cursor INTEGER NOT NULL DEFAULT 0,
      session_broker TEXT,
      accepted INTEGER NOT NULL DEFAULT 0,
      delivered INTEGER NOT NULL DEFAULT 0,
      quarantined INTEGER NOT NULL DEFAULT 0,
      dropped INTEGER NOT NULL DEFAULT 0,
      expired INTEGER NOT NULL DEFAULT 0,
      purged INTEGER NOT NULL DEFAULT 0,
      damaged INTEGER NOT NULL DEFAULT 0,
      pending INTEGER NOT NULL DEFAULT 0,
      pending_bytes INTEGER NOT NULL DEFAULT 0,
      last_delivered_id INTEGER NOT NULL DEFAULT 0,
      last_epoch_ms INTEGER NOT NULL,
      last_known_ms INTEGER NOT NULL DEFAULT 0,
      forgotten_through_id INTEGER NOT NULL DEFAULT 0,
      fate_range_count INTEGER NOT NULL DEFAULT 0
    ) STRICT`,
    `CREATE TABLE note (key TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT, WITHOUT ROWID`,
    `CREATE TABLE identity (
      one INTEGER PRIMARY KEY CHECK (one = 1),
      cache_identity TEXT NOT NULL,
      client_id TEXT NOT NULL,
      created_at_epoch_ms INTEGER NOT NULL
    ) STRICT`,
  ],
];

/** What this code makes, and knows to the last column. */
export const SCHEMA_VERSION: number = MAJOR * MINOR_COUNT + STEPS.length - 1;

/** Written once, when the cache is made. */
export interface Identity {
  /** Random, 32 hexadecimal digits. */
  readonly cacheIdentity: string;
  /** Whose session the packet ids belong to. */
  readonly clientId: string;
  /** By the wall clock of then, milliseconds since 1970. */
  readonly createdAtEpochMs: number;
}

/** One number that SQLite keeps in the header of the file. */
function readHeader(database: SqliteDatabase, name: "application_id" | "user_version"): number {
  return database.prepare(`PRAGMA ${name}`).get()?.[name] as number;
}

/** Is it a database of ours with tables (`cache`), or one without any (`empty`)? Throws a CacheError if it is neither. Writes nothing. */
export function recognize(database: SqliteDatabase): "cache" | "empty" {
  const applicationId = readHeader(database, "application_id");
  const version = readHeader(database, "user_version");
  const hasTables = database.prepare("SELECT name FROM sqlite_schema LIMIT 1").get() !== undefined;
  if (applicationId === 0 && version === 0 && !hasTables) return "empty";
  if (applicationId !== APPLICATION_ID) {
    throw new CacheError(`it is a database of another program (application_id ${applicationId})`, { code: "not-a-cache" });
  }
  if (Math.trunc(version / MINOR_COUNT) !== MAJOR) {
    throw new CacheError(
      `a newer version of PersistMQ made it (schema ${version}, known up to ${MAJOR * MINOR_COUNT + MINOR_COUNT - 1}); nothing was changed`,
      { code: "newer-schema" },
    );
  }
  return "cache";
}

/** Makes all tables in an empty database, in one transaction. */
export function createTables(database: SqliteDatabase, identity: Identity): void {
  inTransaction(database, () => {
    for (const step of STEPS) for (const sql of step) database.prepare(sql).run();
    const { cacheIdentity, clientId, createdAtEpochMs } = identity;
    database.prepare("INSERT INTO identity (one, cache_identity, client_id, created_at_epoch_ms) VALUES (1, ?, ?, ?)")
      .run(cacheIdentity, clientId, createdAtEpochMs);
    database.prepare("INSERT INTO state (one, last_epoch_ms) VALUES (1, ?)").run(createdAtEpochMs);
    database.prepare(`PRAGMA application_id = ${APPLICATION_ID}`).run();
    database.prepare(`PRAGMA user_version = ${SCHEMA_VERSION}`).run();
  });
}

/** Grows the tables to what this code knows, in one transaction; leaves alone what a newer minor has grown. */
export function growTables(database: SqliteDatabase): void {
  const version = readHeader(database, "user_version");
  if (version >= SCHEMA_VERSION) return;
  inTransaction(database, () => {
    for (const step of STEPS.slice(version % MINOR_COUNT + 1)) for (const sql of step) database.prepare(sql).run();
    database.prepare(`PRAGMA user_version = ${SCHEMA_VERSION}`).run();
  });
}

/** Whose it is. */
export function readIdentity(database: SqliteDatabase): Identity {
  const row = database.prepare("SELECT cache_identity, client_id, created_at_epoch_ms FROM identity").get();
  if (row === undefined) throw new CacheError("its identity is missing", { code: "damaged" });
  return {
    cacheIdentity: row.cache_identity as string,
    clientId: row.client_id as string,
    createdAtEpochMs: row.created_at_epoch_ms as number,
  };
}

/** On failure the connection is to be closed, which rolls back. */
function inTransaction(database: SqliteDatabase, work: () => void): void {
  database.prepare("BEGIN IMMEDIATE").run();
  work();
  database.prepare("COMMIT").run();
}
