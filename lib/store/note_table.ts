/**
 * Table `note`: small facts kept beside the queue.
 *
 * @module
 */
import type { SqliteDatabase } from "./ports.ts";

const SQL = {
  read: "SELECT value FROM note WHERE key = ?",
  write: "INSERT INTO note (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value",
} as const;

/** Its statements, on one connection. */
export class NoteTable {
  readonly #read;
  readonly #write;

  /** Prepares them. */
  constructor(database: SqliteDatabase) {
    this.#read = database.prepare(SQL.read);
    this.#write = database.prepare(SQL.write);
  }

  /** `undefined` if nothing was written under this key. */
  read(key: string): string | undefined {
    return this.#read.get(key)?.value as string | undefined;
  }

  /** Replaces what was written under this key. */
  write(key: string, value: string): void {
    this.#write.run(key, value);
  }
}
