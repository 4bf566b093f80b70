/**
 * What one JavaScript runtime lends to the worker. Each adapter in `adapters/` exports one.
 *
 * @module
 */
import type { Clock, Random } from "./core/ports.ts";
import type { Files, Machine, SqliteDatabase } from "./store/ports.ts";

/** A runtime, real or simulated. */
export interface Runtime {
  /** Which one. */
  readonly name: "deno" | "bun";
  /** Its time. */
  readonly clock: Clock;
  /** Its chance. */
  readonly random: Random;
  /** Its file calls. */
  readonly files: Files;
  /** Where it runs. */
  readonly machine: Machine;
  /** Opens, creating the file if it is missing unless `readOnly`. Throws a SqliteFailure. */
  openDatabase(path: string, options?: { readonly readOnly?: boolean }): SqliteDatabase;
}
