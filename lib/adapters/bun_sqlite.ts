/**
 * SQLite through `bun:sqlite`, which only Bun can import: its class is handed in.
 *
 * @module
 */
import type { Runtime } from "../runtime.ts";
import { type SqliteDatabase, SqliteFailure, type SqliteRow, type SqliteStatement, type SqliteValue } from "../store/ports.ts";

/** What is used of `Database` of `bun:sqlite`. */
export interface BunDatabaseClass {
  new (path: string, options: { readonly?: boolean; readwrite?: boolean; create?: boolean }): BunDatabase;
}

interface BunDatabase {
  prepare(sql: string): BunStatement;
  close(throwOnError: boolean): void;
}

interface BunStatement {
  run(...values: SqliteValue[]): { readonly changes: number };
  all(...values: SqliteValue[]): readonly SqliteRow[];
  get(...values: SqliteValue[]): SqliteRow | null;
  finalize(): void;
}

/** Gives a function that opens, creating the file if it is missing unless `readOnly`. */
export function bunDatabaseOpener(Database: BunDatabaseClass): Runtime["openDatabase"] {
  return (path, { readOnly = false } = {}) =>
    new BunSqliteDatabase(attempt(() => new Database(path, readOnly ? { readonly: true } : { readwrite: true, create: true })));
}

class BunSqliteDatabase implements SqliteDatabase {
  readonly #database: BunDatabase;
  /** A statement left alone keeps the connection, and with it every lock, until the garbage is collected: all are ended by hand. */
  readonly #statements: BunStatement[] = [];
  #isOpen = true;

  constructor(database: BunDatabase) {
    this.#database = database;
  }

  prepare(sql: string): SqliteStatement {
    const statement = attempt(() => this.#database.prepare(sql));
    this.#statements.push(statement);
    return new BunSqliteStatement(statement);
  }

  close(): void {
    if (!this.#isOpen) return;
    this.#isOpen = false;
    attempt(() => {
      for (const statement of this.#statements) statement.finalize();
      this.#database.close(true);
    });
  }
}

class BunSqliteStatement implements SqliteStatement {
  readonly #statement: BunStatement;

  constructor(statement: BunStatement) {
    this.#statement = statement;
  }

  run(...values: SqliteValue[]): number {
    try {
      return this.#statement.run(...values).changes;
    } catch (error) {
      throw toFailure(error);
    }
  }

  all(...values: SqliteValue[]): readonly SqliteRow[] {
    try {
      return this.#statement.all(...values);
    } catch (error) {
      throw toFailure(error);
    }
  }

  get(...values: SqliteValue[]): SqliteRow | undefined {
    try {
      return this.#statement.get(...values) ?? undefined;
    } catch (error) {
      throw toFailure(error);
    }
  }
}

function attempt<T>(call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw toFailure(error);
  }
}

/** The low byte of an extended result code is the primary one. */
const PRIMARY = 0xff;

function toFailure(error: unknown): SqliteFailure {
  const { message, errno } = error as { message: string; errno?: unknown };
  return new SqliteFailure(typeof errno === "number" ? errno & PRIMARY : 0, message, { cause: error });
}
