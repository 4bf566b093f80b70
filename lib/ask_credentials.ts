/**
 * Asks the program for the credentials of one connect.
 *
 * @module
 */
import { resolveCredentials } from "./address.ts";
import { readKeys } from "./checks.ts";
import type { Credentials } from "./core/ports.ts";

/** How long `credentials()` may take, milliseconds: a second less than the publisher waits. */
export const CREDENTIALS_MS_MAX = 29_000;

/** Rejects if the program's function fails, takes too long, or gives what are no credentials; never says what it gave. */
export async function askCredentials(
  credentials: () => Credentials | Promise<Credentials>,
  waitMs: number = CREDENTIALS_MS_MAX,
): Promise<Credentials | undefined> {
  const action = "Cannot use the credentials";
  let timer: ReturnType<typeof setTimeout> | undefined;
  const overdue = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`${action}: credentials() has not settled within ${waitMs} ms`)), waitMs);
  });
  try {
    const given = await Promise.race([credentials(), overdue]);
    return resolveCredentials(readKeys(given, ["username", "password"], action, "what credentials() gave"), action);
  } finally {
    clearTimeout(timer);
  }
}
