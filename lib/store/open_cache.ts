/**
 * Opens a cache: folder, lock, database, outbox; in this order, so that whoever is refused has changed nothing.
 *
 * @module
 */
import { CacheError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { checkVersion, createDatabase, findDatabase, openDatabase, refuseLink } from "./cache_database.ts";
import { toCacheError } from "./cache_errors.ts";
import { openFolder } from "./cache_folder.ts";
import { CacheLock } from "./cache_lock.ts";
import { CachePlace } from "./cache_place.ts";
import type { Durability } from "./pragmas.ts";
import type { Identity } from "./schema.ts";
import { disownIfInDoubt } from "./session_doubt.ts";
import { SqliteOutbox } from "./sqlite_outbox.ts";

/** How to open. */
export interface OpenCacheOptions {
  /** The folder; absolute, or relative to the working directory. */
  readonly cachePath: string;
  /** Whose cache it is: another client's is refused. */
  readonly clientId: string;
  /** What a commit survives. */
  readonly durability: Durability;
  /** How long to wait for another holder of the cache, milliseconds. */
  readonly lockWaitMs: number;
  /** Take a folder that every user may write to. */
  readonly allowSharedCache: boolean;
}

/** A cache in use. */
export interface OpenCache {
  /** Its queue. */
  readonly outbox: SqliteOutbox;
  /** What it was given when it was made. */
  readonly identity: Identity;
  /** The folder, absolute and without links. */
  readonly path: string;
  /** Sentences for a person: what is not as it should be, which check could not be made. */
  readonly warnings: readonly string[];
  /** Closes the outbox and frees the lock. A second call does nothing. */
  close(): void;
}

const DATABASE_NAME = "outbox.sqlite3";

/** Throws a CacheLockedError within a second (or `lockWaitMs`), a CacheFullError, or a CacheError; then nothing is held. */
export function openCache(runtime: Runtime, options: OpenCacheOptions): OpenCache {
  const { files, machine } = runtime;
  const { cachePath, clientId, allowSharedCache, lockWaitMs } = options;
  const warnings: string[] = [];
  let lock: CacheLock | undefined;
  try {
    const folder = openFolder(cachePath, { files, machine, allowSharedCache, warnings });
    checkVersion(runtime, warnings);
    refuseLink(files, files.join(folder, "lock"));
    lock = new CacheLock(runtime, { folder, clientId, waitMs: lockWaitMs });
    return openLocked(runtime, options, folder, lock, warnings);
  } catch (error) {
    lock?.release();
    throw toCacheError(error, cachePath);
  }
}

function openLocked(
  runtime: Runtime,
  { clientId, durability }: OpenCacheOptions,
  folder: string,
  lock: CacheLock,
  warnings: string[],
): OpenCache {
  const { files, machine } = runtime;
  const path = files.join(folder, DATABASE_NAME);
  const identity = findDatabase(runtime, path) ?? createDatabase(runtime, path, durability, clientId);
  if (identity.clientId !== clientId) {
    throw new CacheError(`it belongs to client "${identity.clientId}", not to "${clientId}": use another cachePath, or rebind it`, {
      code: "other-client",
    });
  }
  const outbox = new SqliteOutbox({
    openDatabase: () => openDatabase(runtime, path, durability),
    place: new CachePlace(files, { lock: lock.path, database: path }),
  });
  try {
    const isSynced = durability === "power-loss";
    disownIfInDoubt(outbox, { bootId: machine.bootId(), inode: files.info(path)?.inode, isSynced }, warnings);
  } catch (error) {
    outbox.close();
    throw error;
  }
  return {
    outbox,
    identity,
    path: folder,
    warnings,
    close() {
      outbox.close();
      lock.release();
    },
  };
}
