/**
 * What goes wrong while a cache is opened, in words and codes for the caller.
 *
 * @module
 */
import { StoreError } from "../core/ports.ts";
import { CacheError, CacheFullError } from "../errors.ts";
import { RESULT, SqliteFailure } from "./ports.ts";

/** What the system's codes mean. */
const SYSTEM: Readonly<Record<string, string>> = {
  EACCES: "permission",
  EPERM: "permission",
  EROFS: "read-only",
  ENOENT: "not-a-folder",
  ENOTDIR: "not-a-folder",
  ELOOP: "not-a-folder",
  ENOSPC: "full",
  EDQUOT: "full",
};

/** What SQLite's codes mean. */
const SQLITE: Readonly<Record<number, string>> = {
  [RESULT.busy]: "busy",
  [RESULT.readOnly]: "read-only",
  [RESULT.ioError]: "io",
  [RESULT.corrupt]: "damaged",
  [RESULT.full]: "full",
  [RESULT.cannotOpen]: "permission",
  [RESULT.notADatabase]: "not-a-cache",
};

/** A CacheError for whatever was thrown; one that is a CacheError already gets the path in front of what it says. */
export function toCacheError(error: unknown, path: string): CacheError {
  const what = error instanceof Error ? error.message : String(error);
  const code = failureCode(error);
  const message = `Cannot open cache "${path}": ${what}`;
  const ErrorClass = error instanceof CacheError ? error.constructor as typeof CacheError : code === "full" ? CacheFullError : CacheError;
  return new ErrorClass(message, { code, cause: error });
}

/** One word for programs: `permission`, `read-only`, `full`, `damaged` and the like. */
export function failureCode(error: unknown): string {
  if (error instanceof CacheError) return error.code;
  if (error instanceof SqliteFailure) return SQLITE[error.resultCode] ?? "sqlite";
  if (error instanceof StoreError) return error.cause === undefined ? "damaged" : failureCode(error.cause);
  const { code } = error as { code?: unknown };
  return typeof code === "string" ? SYSTEM[code] ?? "io" : "cache";
}

/** Is it the system or the runtime that does not allow it? */
export function isNotAllowed(error: unknown): boolean {
  return failureCode(error) === "permission";
}
