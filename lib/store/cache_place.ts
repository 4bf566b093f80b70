/**
 * Where the cache lies: its files, pinned by device and inode. SQLite goes on writing to files that were removed or replaced, and all of it
 * would be gone at the next start.
 *
 * @module
 */
import { StoreError } from "../core/ports.ts";
import type { Files } from "./ports.ts";

/** Files that stay the same for as long as the cache is open. */
export interface CachePaths {
  /** The lock that is held. */
  readonly lock: string;
  /** The database that is open. */
  readonly database: string;
}

/** The write-ahead log that SQLite keeps beside a database. */
export function logOf(databasePath: string): string {
  return `${databasePath}-wal`;
}

/** See above. */
export class CachePlace {
  readonly #files: Files;
  readonly #logPath: string;
  readonly #pins: Map<string, string | undefined>;

  /** Pins what is there now; the log is pinned for itself. */
  constructor(files: Files, { lock, database }: CachePaths) {
    this.#files = files;
    this.#logPath = logOf(database);
    this.#pins = new Map([lock, database].map((path) => [path, this.#nameOf(path)]));
  }

  /** Once the database is open: from now on this is its log. */
  pinLog(): void {
    this.#pins.set(this.#logPath, this.#nameOf(this.#logPath));
  }

  /** Before the database is closed, which ends the log: what it holds goes to the database, even if its file was removed. */
  releaseLog(): void {
    this.#pins.delete(this.#logPath);
  }

  /** Throws a StoreError if a pinned file was removed or replaced. Takes microseconds. */
  check(): void {
    for (const [path, pinned] of this.#pins) {
      const found = this.#nameOf(path);
      if (found === undefined || found !== pinned) {
        throw new StoreError(
          "failed",
          `Cannot go on with the cache: ${path} was ${found === undefined ? "removed" : "replaced"} while in use`,
        );
      }
    }
  }

  #nameOf(path: string): string | undefined {
    const info = this.#files.info(path);
    return info === undefined ? undefined : `${info.device}:${info.inode}`;
  }
}
