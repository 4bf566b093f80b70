/**
 * Settings of SQLite. The runtimes' drivers differ in their defaults, so each is set, and read back: a setting that did not take would only
 * show after a power cut.
 *
 * @module
 */
import { CacheError } from "../errors.ts";
import type { SqliteDatabase } from "./ports.ts";

/** What a commit survives: a power cut, or only the end of the process. */
export type Durability = "power-loss" | "process-crash";

/**
 * The log is copied to the database when it has so many pages (4 MB). Fewer: each page is written more often, and flash wears. More: a longer
 * log to read at the start, and more that one damaged bit in it can take away.
 */
const CHECKPOINT_PAGES = 1_000;
/** To this the log is cut after a great transaction. */
const LOG_BYTES_MAX = 8 * 1024 * 1024;
/** How long to wait for a program that reads the cache, or for a worker that is ending and has not closed it yet, milliseconds. */
const BUSY_TIMEOUT_MS = 2_000;
/** Memory for pages, KiB: the same whatever the backlog. */
const PAGE_CACHE_KIB = 4_096;

/** Read back as `reads`, where that differs from what is set. */
interface Setting {
  readonly name: string;
  readonly value: string | number;
  readonly reads?: string | number;
}

const BUSY_TIMEOUT: Setting = { name: "busy_timeout", value: BUSY_TIMEOUT_MS };

/** These hold for the life of the file, and only take before its first table. */
const CREATION: readonly Setting[] = [
  { name: "page_size", value: 4_096 },
  // Without it no space could ever be given back; what is free is given back in idle time, not by each commit.
  { name: "auto_vacuum", value: "INCREMENTAL", reads: 2 },
];

function settings(durability: Durability): readonly Setting[] {
  return [
    BUSY_TIMEOUT,
    // Other processes may read a live cache.
    { name: "locking_mode", value: "normal" },
    { name: "journal_mode", value: "wal" },
    // In WAL mode FULL syncs every commit. NORMAL syncs at checkpoints alone: a power cut takes the last commits, and leaves the rest whole.
    durability === "power-loss" ? { name: "synchronous", value: "FULL", reads: 2 } : { name: "synchronous", value: "NORMAL", reads: 1 },
    // On macOS, where fsync() alone leaves data in the drive.
    { name: "fullfsync", value: 1 },
    { name: "checkpoint_fullfsync", value: 1 },
    { name: "wal_autocheckpoint", value: CHECKPOINT_PAGES },
    { name: "journal_size_limit", value: LOG_BYTES_MAX },
    // A stray write in mapped memory would be a write to the file, and a failing disk would be a signal.
    { name: "mmap_size", value: 0 },
    { name: "cache_size", value: -PAGE_CACHE_KIB },
    { name: "temp_store", value: "MEMORY", reads: 2 },
    // Damage is noticed where it is read, before it spreads.
    { name: "cell_size_check", value: 1 },
    { name: "foreign_keys", value: 0 },
    // Nothing in the file may run functions.
    { name: "trusted_schema", value: 0 },
    // Overwriting with zeros what is deleted would wear flash, and hide nothing there.
    { name: "secure_delete", value: 0 },
  ];
}

/** First of all, on every connection: one driver waits five seconds, another not at all. */
export function applyBusyTimeout(database: SqliteDatabase): void {
  apply(database, BUSY_TIMEOUT);
}

/** Before the first table of a new database. */
export function applyCreationPragmas(database: SqliteDatabase): void {
  for (const setting of CREATION) apply(database, setting);
}

/** On every connection that writes. */
export function applyPragmas(database: SqliteDatabase, durability: Durability): void {
  for (const setting of settings(durability)) apply(database, setting);
}

function apply(database: SqliteDatabase, { name, value, reads = value }: Setting): void {
  database.prepare(`PRAGMA ${name} = ${value}`).all();
  const row = database.prepare(`PRAGMA ${name}`).get();
  const read = row === undefined ? undefined : Object.values(row)[0];
  if (read !== reads) throw new CacheError(`SQLite does not take the setting ${name} = ${value}, it answers ${read}`, { code: "sqlite" });
}
