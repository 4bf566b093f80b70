/**
 * SQLite through `node:sqlite`.
 *
 * @module
 */
import { DatabaseSync, type StatementSync } from "node:sqlite";
import { RESULT, type SqliteDatabase, SqliteFailure, type SqliteRow, type SqliteStatement, type SqliteValue } from "../store/ports.ts";

/** Opens, creating the file if it is missing unless `readOnly`. */
export function openNodeDatabase(path: string, { readOnly = false }: { readonly readOnly?: boolean } = {}): SqliteDatabase {
  return new NodeDatabase(attempt(() => new DatabaseSync(path, { readOnly })));
}

class NodeDatabase implements SqliteDatabase {
  readonly #database: DatabaseSync;

  constructor(database: DatabaseSync) {
    this.#database = database;
  }

  prepare(sql: string): SqliteStatement {
    return new NodeStatement(attempt(() => this.#database.prepare(sql)));
  }

  close(): void {
    if (this.#database.isOpen) attempt(() => this.#database.close());
  }
}

class NodeStatement implements SqliteStatement {
  readonly #statement: StatementSync;

  constructor(statement: StatementSync) {
    this.#statement = statement;
  }

  run(...values: SqliteValue[]): number {
    try {
      return this.#statement.run(...values).changes as number;
    } catch (error) {
      throw toFailure(error);
    }
  }

  all(...values: SqliteValue[]): readonly SqliteRow[] {
    try {
      return this.#statement.all(...values) as unknown as SqliteRow[];
    } catch (error) {
      throw toFailure(error);
    }
  }

  get(...values: SqliteValue[]): SqliteRow | undefined {
    try {
      return this.#statement.get(...values) as SqliteRow | undefined;
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
  const { message, errcode, name } = error as { message: string; errcode?: unknown; name: string };
  // Where a database cannot be opened there is no code, only the text, or Deno's own refusal.
  const isUnopened = name === "NotCapable" || message.startsWith("unable to open database file");
  const resultCode = typeof errcode === "number" ? errcode & PRIMARY : isUnopened ? RESULT.cannotOpen : 0;
  return new SqliteFailure(resultCode, message, { cause: error });
}
