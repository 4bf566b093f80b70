/**
 * The last moment: when the process ends, what was handed to `publish()` is stored before it does.
 *
 * No worker is waited for by a process that ends, on any runtime, so the main thread sleeps until the worker has stored. Which hook is heard
 * where (measured): `exit` on Bun at every end; on Deno at `process.exit()`. `unload` on Deno also at `Deno.exit()`. At an uncaught error or rejection
 * Deno fires neither, but `uncaughtExceptionMonitor`, which changes nothing about how the process ends. A signal without a handler ends a
 * process at once: nothing can be heard.
 *
 * @module
 */
/** What is needed of the global `process`, which both runtimes have. */
interface ProcessLike {
  on(event: string, listener: () => void): void;
  off(event: string, listener: () => void): void;
}

/** Stores what it holds, now. Must not throw. */
export type ExitFlush = () => void;

const { process } = globalThis as unknown as { readonly process: ProcessLike };

const flushes: Set<ExitFlush> = new Set();

let isEnding = false;

/** Is the process past the point where it could go on? What is published now is to be stored at once. */
export function isProcessEnding(): boolean {
  return isEnding;
}

/** `flush` is called when the process ends, or may be about to; perhaps several times. */
export function addExitFlush(flush: ExitFlush): void {
  if (flushes.size === 0) {
    process.on("exit", onEnd);
    process.on("uncaughtExceptionMonitor", flushAll);
    globalThis.addEventListener?.("unload", onEnd);
  }
  flushes.add(flush);
}

/** `flush` is not called any more. Without clients nothing of this stays behind. */
export function removeExitFlush(flush: ExitFlush): void {
  if (!flushes.delete(flush) || flushes.size > 0) return;
  process.off("exit", onEnd);
  process.off("uncaughtExceptionMonitor", flushAll);
  globalThis.removeEventListener?.("unload", onEnd);
}

function onEnd(): void {
  isEnding = true;
  flushAll();
}

function flushAll(): void {
  for (const flush of flushes) flush();
}
