/**
 * The lock of a cache: a SQLite file in which this client keeps an exclusive transaction open for its lifetime. The system frees it when the
 * process ends, however it ends, and the runtime does when the worker ends.
 *
 * It is never opened by a file call: closing it would drop the lock that the process holds on it. Who holds it stands in a file beside it.
 *
 * @module
 */
import { CacheLockedError } from "../errors.ts";
import type { Runtime } from "../runtime.ts";
import { failureCode, isNotAllowed } from "./cache_errors.ts";
import { type Files, RESULT, type SqliteDatabase, SqliteFailure } from "./ports.ts";

/** Long enough for a worker or a process that is ending to be gone, and far less than the second that a refusal may take. */
const WAIT_MS_MIN = 300;

/** Who holds it. */
export interface LockOwner {
  /** Its process. */
  readonly pid: number;
  /** Its machine, if that could be told. */
  readonly host?: string;
  /** When it took the lock, milliseconds since 1970. */
  readonly startedAtEpochMs: number;
  /** Its client. */
  readonly clientId: string;
}

/** What is locked. */
export interface LockRequest {
  /** The cache. */
  readonly folder: string;
  /** For whom. */
  readonly clientId: string;
  /** How long to wait for another holder, milliseconds. */
  readonly waitMs: number;
}

/** The garbage collector would free a lock that nobody refers to any more. */
const held = new Set<CacheLock>();

/** A lock that is held. */
export class CacheLock {
  /** The file that is locked. */
  readonly path: string;
  readonly #runtime: Runtime;
  readonly #database: SqliteDatabase;
  readonly #ownerPath: string;

  /** Throws a CacheLockedError that names the holder, if there is one. */
  constructor(runtime: Runtime, { folder, clientId, waitMs }: LockRequest) {
    const { files, machine, clock } = runtime;
    this.#runtime = runtime;
    this.path = files.join(folder, "lock");
    this.#ownerPath = files.join(folder, "lock.owner");
    this.#database = runtime.openDatabase(this.path);
    try {
      lock(this.#database, Math.max(waitMs, WAIT_MS_MIN));
      restrict(files, this.path);
      const host = machine.hostname();
      writeOwner(files, this.#ownerPath, {
        pid: machine.pid(),
        ...(host === undefined ? {} : { host }),
        startedAtEpochMs: clock.epochMs(),
        clientId,
      });
    } catch (error) {
      this.#database.close();
      const isLocked = error instanceof SqliteFailure && error.resultCode === RESULT.busy;
      throw isLocked ? new CacheLockedError(describeHolder(runtime, this.#ownerPath), { code: "locked", cause: error }) : error;
    }
    held.add(this);
  }

  /** A second call does nothing. */
  release(): void {
    if (!held.delete(this)) return;
    try {
      // While it is held: afterwards it may be a successor's.
      this.#runtime.files.remove(this.#ownerPath);
    } catch {
      // Only a name stays behind.
    } finally {
      this.#database.close();
    }
  }
}

/** With its journal in memory the transaction leaves no file behind, whatever ends it. */
function lock(database: SqliteDatabase, waitMs: number): void {
  database.prepare(`PRAGMA busy_timeout = ${Math.ceil(waitMs)}`).all();
  database.prepare("PRAGMA journal_mode = MEMORY").all();
  database.prepare("BEGIN EXCLUSIVE").run();
  // On a file that may only be read BEGIN EXCLUSIVE is content to share. This is never committed.
  database.prepare("PRAGMA user_version = 1").run();
}

/** SQLite makes it readable for all. It is empty, so where the file system or its owner does not allow this, nothing is lost. */
function restrict(files: Files, path: string): void {
  try {
    files.restrict(path);
  } catch (error) {
    if (!isNotAllowed(error)) throw error;
  }
}

function describeHolder({ files, machine }: Runtime, ownerPath: string): string {
  const owner = readOwner(files, ownerPath);
  const host = machine.hostname();
  const isHere = owner?.host === undefined || host === undefined || owner.host === host;
  // One that was killed could not take its name away, and its successor may not have written its own yet.
  if (owner === undefined || (isHere && machine.isAlive(owner.pid) === false)) return "another client holds it";
  const where = isHere && owner.pid === machine.pid()
    ? "this very process"
    : `process ${owner.pid}${owner.host === undefined ? "" : ` on ${owner.host}`}`;
  return `client "${owner.clientId}" in ${where} holds it`;
}

/** A full disk must not keep the cache shut, or it could never be emptied: only a name is lost. */
function writeOwner(files: Files, path: string, owner: LockOwner): void {
  try {
    files.writeText(path, `${JSON.stringify(owner)}\n`);
  } catch (error) {
    if (failureCode(error) !== "full") throw error;
  }
}

/** `undefined` if it is damaged, not there, or not to be read: only a name is lost. */
function readOwner(files: Files, path: string): LockOwner | undefined {
  try {
    const owner = JSON.parse(files.readText(path) ?? "null") as Partial<LockOwner> | null;
    return typeof owner?.pid === "number" && typeof owner.clientId === "string" ? owner as LockOwner : undefined;
  } catch {
    return undefined;
  }
}
