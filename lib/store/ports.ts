/**
 * What the store needs from a runtime: the shape that the runtimes' SQLite drivers share, and a few file calls.
 *
 * @module
 */

/** What SQLite takes and gives. Integers come back as numbers; none beyond 2^53 is stored. */
export type SqliteValue = null | number | string | Uint8Array;

/** A row by column name. */
export type SqliteRow = Readonly<Record<string, SqliteValue>>;

/** One prepared statement. It lives as long as its connection. Every failure is a {@linkcode SqliteFailure}. */
export interface SqliteStatement {
  /** How many rows an INSERT, UPDATE or DELETE touched; for any other statement the number means nothing. */
  run(...values: SqliteValue[]): number;
  /** All rows; the statement is over when it returns. */
  all(...values: SqliteValue[]): readonly SqliteRow[];
  /** The first row; the statement is over when it returns. */
  get(...values: SqliteValue[]): SqliteRow | undefined;
}

/** One connection. Every failure is a {@linkcode SqliteFailure}. */
export interface SqliteDatabase {
  /** One statement; text after its end is not looked at. */
  prepare(sql: string): SqliteStatement;
  /** Ends its statements, rolls back what is open and frees every lock at once. A second call does nothing. */
  close(): void;
}

/** Primary result codes of SQLite that the store tells apart. */
export const RESULT = {
  error: 1,
  busy: 5,
  readOnly: 8,
  ioError: 10,
  corrupt: 11,
  full: 13,
  cannotOpen: 14,
  notADatabase: 26,
} as const;

/** Thrown by the adapters for whatever SQLite refuses. */
export class SqliteFailure extends Error {
  /** Name of the class. */
  override readonly name: string = "SqliteFailure";
  /** Primary result code, such as those in {@linkcode RESULT}. 0 if the driver did not say. */
  readonly resultCode: number;
  /** Says what SQLite said. */
  constructor(resultCode: number, message: string, options?: ErrorOptions) {
    super(message, options);
    this.resultCode = resultCode;
  }
}

/** What a path is. */
export interface PathInfo {
  /** What is there. */
  readonly kind: "file" | "folder" | "link" | "other";
  /** With `inode` it names one file of this machine, whatever its path. */
  readonly device: number;
  /** See `device`. */
  readonly inode: number;
  /** Permission bits, such as 0o700. */
  readonly mode: number;
  /** Whose it is. */
  readonly uid: number;
  /** Size of a file. */
  readonly bytes: number;
}

/**
 * A few file calls, synchronous. Failures are errors with the system's `code`, such as `ENOENT`; `EACCES` also where it is the runtime that
 * allows no more.
 */
export interface Files {
  /** Absolute and normalized; touches nothing. */
  absolute(path: string): string;
  /** The same place without links; it must exist. */
  resolve(path: string): string;
  /** Parts to one path. */
  join(...parts: string[]): string;
  /** The path without its last part; of the root, the root. */
  parent(path: string): string;
  /** `undefined` if nothing is there. Does not follow a link at the end of the path. */
  info(path: string): PathInfo | undefined;
  /** Creates one folder, 0700; its parent must exist. False if something is there already. */
  createFolder(path: string): boolean;
  /** Creates an empty file 0600, exclusively; false if something is there already. */
  createFile(path: string): boolean;
  /** Takes a file from group and others (0600) by its path alone, without opening it. */
  restrict(path: string): void;
  /** `undefined` if nothing is there. */
  readText(path: string): string | undefined;
  /** Replaces the file whole: written beside it, synced, renamed, folder synced. 0600. */
  writeText(path: string, text: string): void;
  /** A missing file is already removed. */
  remove(path: string): void;
  /** Replaces what is at `to`. Durable once the folder was synced. */
  rename(from: string, to: string): void;
  /** Names that were made, changed or removed in it survive a power cut when this returns. */
  syncFolder(path: string): void;
  /** Names in a folder, in no order. */
  list(path: string): readonly string[];
  /** Bytes free for this user; `undefined` if the runtime may not say. */
  freeBytes(path: string): number | undefined;
}

/** The machine and the process that the store runs in. What the runtime may not say is `undefined`. */
export interface Machine {
  /** Of this process. */
  pid(): number;
  /** Of this process. */
  uid(): number | undefined;
  /** Of this machine. */
  hostname(): string | undefined;
  /** Names the time since the machine was started: another one after each boot. */
  bootId(): string | undefined;
  /** Does a process with this pid live on this machine? */
  isAlive(pid: number): boolean | undefined;
}
