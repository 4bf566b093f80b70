/**
 * What a person should know, one line each, without secrets, and no more lines than a person can read.
 *
 * @module
 */

/** How much something matters, from least to most. */
export type LogLevel = "debug" | "info" | "warn" | "error";

/** From least to most. */
export const LOG_LEVELS = ["debug", "info", "warn", "error"] as const satisfies readonly LogLevel[];

/** One thing to know. */
export interface LogRecord {
  /** How much it matters. */
  readonly level: LogLevel;
  /** Wall clock, milliseconds since 1970. */
  readonly epochMs: number;
  /** What kind of thing, for programs: `disconnect`, `refused`. */
  readonly event: string;
  /** For a person. */
  readonly message: string;
  /** Which client. */
  readonly clientId: string;
  /** How many of this kind were left out since the last one. */
  readonly suppressedCount?: number;
}

/** Where the log goes. */
export interface LogOptions {
  /** The least that is logged. @default {"warn"} */
  readonly level?: LogLevel;
  /** Takes each record. Must not throw; what it throws is dropped. @default {a line on stderr} */
  readonly sink?: (record: LogRecord) => void;
}

/** {@linkcode LogOptions}, complete. */
export interface ResolvedLogOptions {
  readonly level: LogLevel;
  readonly sink: ((record: LogRecord) => void) | undefined;
}

/** Of each kind, so many records … */
const RECORDS_PER_WINDOW_MAX = 5;
/** … in so long. The rest is counted. */
const WINDOW_MS = 10_000;

interface Window {
  startMs: number;
  count: number;
  suppressedCount: number;
}

/** Writes records, few of each kind. */
export class Log {
  readonly #clientId: string;
  readonly #options: ResolvedLogOptions | false;
  readonly #windows: Map<string, Window> = new Map();

  /** `false`: nothing is logged. */
  constructor(clientId: string, options: ResolvedLogOptions | false) {
    this.#clientId = clientId;
    this.#options = options;
  }

  /** One record, unless its level is too low or there were too many of its kind. */
  write(level: LogLevel, event: string, message: string): void {
    if (this.#options === false || LOG_LEVELS.indexOf(level) < LOG_LEVELS.indexOf(this.#options.level)) return;
    const suppressedCount = this.#admit(event);
    if (suppressedCount === undefined) return;
    const record: LogRecord = {
      level,
      epochMs: Date.now(),
      event,
      message,
      clientId: this.#clientId,
      ...(suppressedCount === 0 ? {} : { suppressedCount }),
    };
    try {
      (this.#options.sink ?? writeLine)(record);
    } catch {
      // The log is no reason to stop; there is nowhere else to say it.
    }
  }

  /** How many were suppressed before this one; `undefined` if this one is, too. */
  #admit(event: string): number | undefined {
    const nowMs = performance.now();
    let window = this.#windows.get(event);
    if (window === undefined || nowMs - window.startMs >= WINDOW_MS) {
      const suppressedCount = window?.suppressedCount ?? 0;
      window = { startMs: nowMs, count: 1, suppressedCount: 0 };
      this.#windows.set(event, window);
      return suppressedCount;
    }
    if (window.count >= RECORDS_PER_WINDOW_MAX) {
      window.suppressedCount += 1;
      return undefined;
    }
    window.count += 1;
    return 0;
  }
}

/** A record as a line of names and values. */
export function formatRecord(record: LogRecord): string {
  const suppressed = record.suppressedCount === undefined ? "" : ` suppressed=${record.suppressedCount}`;
  const { level, event, clientId, message } = record;
  const time = new Date(record.epochMs).toISOString();
  return `${time} persistmq ${level} ${event} client=${JSON.stringify(clientId)} ${JSON.stringify(message)}${suppressed}`;
}

function writeLine(record: LogRecord): void {
  console.error(formatRecord(record));
}
