/**
 * The database file of a cache: found, made, opened.
 *
 * @module
 */
import type { Random } from "../core/ports.ts";
import { CacheError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { logOf } from "./cache_place.ts";
import type { Files, SqliteDatabase } from "./ports.ts";
import { applyBusyTimeout, applyCreationPragmas, applyPragmas, type Durability } from "./pragmas.ts";
import { createTables, growTables, type Identity, readIdentity, recognize } from "./schema.ts";

/** The identity in the database, or `undefined` if there is none. What is refused stays as it is to the last byte. */
export function findDatabase(runtime: Runtime, path: string): Identity | undefined {
  const { files } = runtime;
  refuseLink(files, path);
  const log = files.info(logOf(path));
  if ((files.info(path)?.bytes ?? 0) > 0) {
    // A log that was left would go to the database when a connection that may write is closed; one that may not would leave an empty log.
    // But where the power failed while the cache was made, a rollback journal may stand beside both, and only one that may write can settle that.
    const readOnly = log !== undefined && files.info(`${path}-journal`) === undefined;
    return using(
      connect(runtime, path, { readOnly }),
      (database) => recognize(database) === "cache" ? readIdentity(database) : undefined,
    );
  }
  // SQLite would remove the log, and what it holds.
  if ((log?.bytes ?? 0) > 0) throw new CacheError(`${path} is gone, while its write-ahead log is there`, { code: "damaged" });
  return undefined;
}

/** A new database with all its tables, durable to its name in the folder. Over an empty one, such as a start that was cut short leaves. */
export function createDatabase(runtime: Runtime, path: string, durability: Durability, clientId: string): Identity {
  const { files, random, clock } = runtime;
  files.createFile(path);
  const identity: Identity = { cacheIdentity: randomIdentity(random), clientId, createdAtEpochMs: Math.floor(clock.epochMs()) };
  using(connect(runtime, path), (database) => {
    applyCreationPragmas(database);
    applyPragmas(database, durability);
    createTables(database, identity);
  });
  files.syncFolder(files.parent(path));
  return identity;
}

/** Of a cache that is there: its settings made, its tables grown. */
export function openDatabase(runtime: Runtime, path: string, durability: Durability): SqliteDatabase {
  const database = connect(runtime, path);
  try {
    applyPragmas(database, durability);
    growTables(database);
    requireWritable(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/**
 * SQLite opens what it may not write to for reading, where even BEGIN IMMEDIATE is content to read: it would only be said at the first batch.
 * This changes nothing.
 */
function requireWritable(database: SqliteDatabase): void {
  database.prepare("DELETE FROM note WHERE key IS NULL").run();
}

/** SQLite follows links, and would open, or make, a file elsewhere. */
export function refuseLink(files: Files, path: string): void {
  const kind = files.info(path)?.kind ?? "file";
  if (kind !== "file") throw new CacheError(`${path} is not a file but a ${kind}`, { code: "not-a-cache" });
}

/** Earlier ones may damage a database when two connections write or checkpoint at the same moment. */
const SQLITE_VERSION_MIN = [3, 51, 3] as const;

/** Says so if it is such a one. */
export function checkVersion(runtime: Runtime, warnings: string[]): void {
  const version = using(
    runtime.openDatabase(":memory:"),
    (database) => database.prepare("SELECT sqlite_version() AS version").get()?.version,
  );
  const numbers = String(version).split(".").map(Number);
  const index = SQLITE_VERSION_MIN.findIndex((least, index) => numbers[index] !== least);
  if (index >= 0 && !(numbers[index]! > SQLITE_VERSION_MIN[index]!)) {
    warnings.push(
      `SQLite ${version} has a fault in its write-ahead log that ${
        SQLITE_VERSION_MIN.join(".")
      } has not: let no other program open the cache`,
    );
  }
}

function connect(runtime: Runtime, path: string, options?: { readonly readOnly: boolean }): SqliteDatabase {
  const database = runtime.openDatabase(path, options);
  try {
    applyBusyTimeout(database);
    return database;
  } catch (error) {
    database.close();
    throw error;
  }
}

/** Runs `use` on a connection and closes it. */
function using<T>(database: SqliteDatabase, use: (database: SqliteDatabase) => T): T {
  try {
    return use(database);
  } finally {
    database.close();
  }
}

/** 128 random bits, 32 hexadecimal digits. */
function randomIdentity(random: Random): string {
  return Array.from({ length: 4 }, () => Math.floor(random.next() * 2 ** 32).toString(16).padStart(8, "0")).join("");
}
