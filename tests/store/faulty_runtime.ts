/**
 * A runtime whose SQLite fails at a chosen call.
 *
 * @module
 */
import type { Runtime } from "../../lib/runtime.ts";
import { type SqliteDatabase, SqliteFailure, type SqliteRow, type SqliteStatement, type SqliteValue } from "../../lib/store/ports.ts";

/** Which call fails, counted from when it is set. */
export interface Fault {
  readonly atCall: number;
  readonly resultCode: number;
  /** `before`: the call does nothing. `after`: it does its work, and yet fails: the outcome is unknown. */
  readonly when: "before" | "after";
  /** Only this call, or this one and all that follow. */
  readonly lasts: "once" | "on";
}

/** See above. */
export class FaultyRuntime implements Runtime {
  readonly name;
  readonly clock;
  readonly random;
  readonly files;
  readonly machine;
  readonly #runtime: Runtime;
  #fault: Fault | undefined;
  #callCount = 0;
  /** Did the fault come about? */
  hasFailed = false;

  constructor(runtime: Runtime) {
    ({ name: this.name, clock: this.clock, random: this.random, files: this.files, machine: this.machine } = runtime);
    this.#runtime = runtime;
  }

  /** `undefined`: nothing fails any more. Counting starts anew. */
  set(fault: Fault | undefined): void {
    this.#fault = fault;
    this.#callCount = 0;
    this.hasFailed = false;
  }

  openDatabase(path: string, options?: { readonly readOnly?: boolean }): SqliteDatabase {
    const database = this.#call(`open ${path}`, () => this.#runtime.openDatabase(path, options), (opened) => opened.close());
    return {
      prepare: (sql) => this.#wrap(sql, this.#call(`prepare ${sql}`, () => database.prepare(sql))),
      close: () => database.close(),
    };
  }

  #wrap(sql: string, statement: SqliteStatement): SqliteStatement {
    return {
      run: (...values: SqliteValue[]): number => this.#call(sql, () => statement.run(...values)),
      all: (...values: SqliteValue[]): readonly SqliteRow[] => this.#call(sql, () => statement.all(...values)),
      get: (...values: SqliteValue[]): SqliteRow | undefined => this.#call(sql, () => statement.get(...values)),
    };
  }

  #call<T>(what: string, call: () => T, undo?: (result: T) => void): T {
    const fault = this.#fault;
    this.#callCount++;
    const isDue = fault !== undefined && (fault.lasts === "on" ? this.#callCount >= fault.atCall : this.#callCount === fault.atCall);
    if (!isDue) return call();
    this.hasFailed = true;
    if (fault.when === "after") {
      const result = call();
      undo?.(result);
    }
    throw new SqliteFailure(fault.resultCode, `made to fail: ${what}`);
  }
}
