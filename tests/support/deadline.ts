/**
 * Tests wait for events. A deadline is the safety net that turns a wait without end into a failure that says what was waited for.
 *
 * @module
 */

/** Long enough for a loaded machine; nothing waits so long that works. */
export const DEADLINE_MS = 30_000;

/** For a test of several waits: Bun's own limit is 5 seconds. */
export const TEST_MS_MAX = 90_000;

/** The promise's outcome; a rejection if it has none in time. `what` completes "Cannot wait any longer for". */
export function within<T>(promise: Promise<T>, what: string | (() => string), ms = DEADLINE_MS): Promise<T> {
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      reject(new Error(`Cannot wait any longer for ${typeof what === "string" ? what : what()}: ${ms} ms have passed`));
    }, ms);
  });
  return Promise.race([promise, late]).finally(() => clearTimeout(timer));
}
