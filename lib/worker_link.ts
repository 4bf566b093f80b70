/**
 * The worker's life: started, heard when it is loaded, told to open the cache, heard when it dies, started again.
 *
 * Modes of a {@linkcode WorkerLink}:
 *
 * - `idle`: there is no worker. At first, and when one could not be started before the cache was ever open. `start()` leaves it.
 * - `loading`: the worker was started and has not said `loaded`. Left by `loaded`, by its death, or when it takes too long.
 * - `opening`: it was told to open the cache. Left by `opened`, `openFailed` or its death.
 * - `open`: it takes commands. Left by its death and by `end()`.
 * - `closed`: it lives but could not open the cache, which never was open before. `start()` tells it again.
 * - `waiting`: it died, or could not open the cache that was open before; it is tried again after a delay that grows.
 * - `ended`: for good.
 *
 * @module
 */
import { assert } from "./core/assert.ts";
import { CacheError, fromWire } from "./errors.ts";
import type { WorkerCommand, WorkerOptions, WorkerReport } from "./protocol.ts";

/** What is needed of a `Worker`. */
export interface WorkerLike {
  /** Sends a copy. */
  postMessage(message: unknown): void;
  /** Ends it at once. */
  terminate(): void;
  /** Listens for `message`, `error`, `messageerror` and, where there is such an event, `close`. */
  // deno-lint-ignore no-explicit-any -- the listeners of Worker differ by event
  addEventListener(type: string, listener: (event: any) => void): void;
}

/** Who hears of the worker's life. None of these may throw. */
export interface WorkerLinkListener {
  /** The cache is open, for the first time or again. The worker knows nothing of what its predecessor was told. */
  onOpened(report: Extract<WorkerReport, { type: "opened" }>): void;
  /** There is no worker, or the cache cannot be opened. `willRetry`: it will be tried again without being asked. */
  onOpenFailed(error: Error, willRetry: boolean): void;
  /** The worker died while the cache was open. It will be started again in so long. */
  onLost(error: Error, retryInMs: number): void;
  /** Any other report. */
  onReport(report: WorkerReport): void;
}

/** Milliseconds. */
const PATIENCE = {
  /** How long a worker may take to load: long, as a small device may be busy. */
  loadMsMax: 30_000,
  /** What a process that was stopped for a while is given to read what had arrived meanwhile. */
  loadGraceMs: 1_000,
};
/** Delays before a worker is started again, milliseconds. */
const RESTART_DELAY_MS_MIN = 100;
const RESTART_DELAY_MS_MAX = 10_000;
/** A worker that lived so long did not die of how it was started: delays start small again. */
const STABLE_MS = 30_000;

type Timer = ReturnType<typeof setTimeout>;

type State =
  | { readonly state: "idle" | "ended" }
  | { readonly state: "loading"; readonly worker: WorkerLike; readonly timer: Timer }
  | { readonly state: "opening" | "closed"; readonly worker: WorkerLike }
  | { readonly state: "open"; readonly worker: WorkerLike; readonly sinceMs: number }
  | { readonly state: "waiting"; readonly timer: Timer };

/** Owns the worker. */
export class WorkerLink {
  readonly #source: string | URL | (() => WorkerLike) | undefined;
  readonly #options: WorkerOptions;
  readonly #listener: WorkerLinkListener;
  readonly #patience: typeof PATIENCE;
  #state: State = { state: "idle" };
  #wasOpen = false;
  #restartDelayMs = RESTART_DELAY_MS_MIN;
  #restartCount = 0;

  /** Starts nothing. */
  constructor(
    source: string | URL | (() => WorkerLike) | undefined,
    options: WorkerOptions,
    listener: WorkerLinkListener,
    patience: typeof PATIENCE = PATIENCE,
  ) {
    this.#source = source;
    this.#options = options;
    this.#listener = listener;
    this.#patience = patience;
  }

  get isOpen(): boolean {
    return this.#state.state === "open";
  }

  /** Is nothing under way or due? */
  get isAtRest(): boolean {
    return this.#state.state === "idle" || this.#state.state === "closed";
  }

  /** Is there no worker, because its successor is not due yet? */
  get isWaiting(): boolean {
    return this.#state.state === "waiting";
  }

  /** How often a worker was started after the first. */
  get restartCount(): number {
    return this.#restartCount;
  }

  /** Begins an attempt to open the cache, unless one is under way or due; `onOpened` or `onOpenFailed` says how it went. */
  start(): void {
    if (this.#state.state === "idle") this.#spawn();
    else if (this.#state.state === "closed") this.#open(this.#state.worker);
  }

  /** Only while it is open. */
  post(command: WorkerCommand): void {
    assert(this.#state.state === "open", "the worker has opened the cache");
    this.#state.worker.postMessage(command);
  }

  /** At the end of the process: whatever state it is in, short of `ended`. False if there is no worker to be had. */
  postAtExit(command: WorkerCommand): boolean {
    if (this.#state.state === "idle" || this.#state.state === "waiting") this.#spawn();
    switch (this.#state.state) {
      case "loading":
      case "closed":
        // Not loaded, it has its listener set before it reads this all the same. If it says `loaded` after all, it is told to open once more, which
        // does nothing while it is opening or open.
        this.#state.worker.postMessage({ type: "open", options: this.#options } satisfies WorkerCommand);
        break;
      case "opening":
      case "open":
        break;
      default:
        return false;
    }
    this.#state.worker.postMessage(command);
    return true;
  }

  /** Terminates the worker and starts no other. */
  end(): void {
    const before = this.#state;
    this.#state = { state: "ended" };
    if ("timer" in before) clearTimeout(before.timer);
    if ("worker" in before) before.worker.terminate();
  }

  #spawn(): void {
    if (this.#state.state === "waiting") clearTimeout(this.#state.timer);
    if (this.#wasOpen) this.#restartCount += 1;
    let worker: WorkerLike;
    try {
      worker = createWorker(this.#source);
      this.#listen(worker);
    } catch (error) {
      return this.#failed(startError(error instanceof Error ? error.message : String(error)), undefined);
    }
    const timer = setTimeout(() => this.#onLoadOverdue(worker, true), this.#patience.loadMsMax);
    this.#state = { state: "loading", worker, timer };
  }

  #listen(worker: WorkerLike): void {
    // A worker that was replaced may still have something to say: it is no longer heard.
    const isPresent = () => "worker" in this.#state && this.#state.worker === worker;
    worker.addEventListener("message", (event: MessageEvent<WorkerReport>) => {
      if (isPresent()) this.#onReport(worker, event.data);
    });
    worker.addEventListener("error", (event: ErrorEvent) => {
      // Otherwise Deno ends the program.
      event.preventDefault();
      if (isPresent()) this.#died(event.message);
    });
    worker.addEventListener("messageerror", () => {
      if (isPresent()) this.#died("a report could not be read");
    });
    // Only Bun says it when a worker ends itself.
    worker.addEventListener("close", () => {
      if (isPresent()) this.#died("it ended");
    });
  }

  #onReport(worker: WorkerLike, report: WorkerReport): void {
    switch (report.type) {
      case "loaded":
        if (this.#state.state !== "loading") return;
        clearTimeout(this.#state.timer);
        return this.#open(worker);
      case "opened":
        if (this.#state.state === "loading") clearTimeout(this.#state.timer);
        this.#wasOpen = true;
        this.#state = { state: "open", worker, sinceMs: performance.now() };
        return this.#listener.onOpened(report);
      case "openFailed":
        return this.#failed(fromWire(report.error), worker);
      case "failed":
        return this.#died(report.error.message);
      default:
        return this.#listener.onReport(report);
    }
  }

  #open(worker: WorkerLike): void {
    this.#state = { state: "opening", worker };
    worker.postMessage({ type: "open", options: this.#options } satisfies WorkerCommand);
  }

  #onLoadOverdue(worker: WorkerLike, hasGrace: boolean): void {
    if (this.#state.state !== "loading" || this.#state.worker !== worker) return;
    if (hasGrace) {
      this.#state = { state: "loading", worker, timer: setTimeout(() => this.#onLoadOverdue(worker, false), this.#patience.loadGraceMs) };
    } else {
      this.#died(`it did not answer within ${this.#patience.loadMsMax} ms`);
    }
  }

  /** The present worker is of no more use. */
  #died(reason: string): void {
    assert("worker" in this.#state, "there is a worker that can die");
    const before = this.#state;
    before.worker.terminate();
    if (before.state === "loading") {
      clearTimeout(before.timer);
      return this.#failed(startError(reason), undefined);
    }
    const error = new CacheError(`Cannot go on with the worker: ${reason}`, { code: "worker", isStored: "unknown" });
    if (before.state !== "open") return this.#failed(error, undefined);
    if (performance.now() - before.sinceMs >= STABLE_MS) this.#restartDelayMs = RESTART_DELAY_MS_MIN;
    const retryInMs = this.#restartDelayMs;
    this.#wait();
    this.#listener.onLost(error, retryInMs);
  }

  /** An attempt to open the cache has failed. */
  #failed(error: Error, worker: WorkerLike | undefined): void {
    if (this.#wasOpen) {
      worker?.terminate();
      this.#wait();
    } else {
      this.#state = worker === undefined ? { state: "idle" } : { state: "closed", worker };
    }
    this.#listener.onOpenFailed(error, this.#wasOpen);
  }

  #wait(): void {
    this.#state = { state: "waiting", timer: setTimeout(() => this.#spawn(), this.#restartDelayMs) };
    this.#restartDelayMs = Math.min(this.#restartDelayMs * 2, RESTART_DELAY_MS_MAX);
  }
}

function createWorker(source: string | URL | (() => WorkerLike) | undefined): WorkerLike {
  if (typeof source === "function") return source();
  const options = { type: "module", name: "persistmq" } as const;
  if (source !== undefined) return new Worker(source, options);
  return new Worker(new URL("./worker.ts", import.meta.url), options);
}

/** Never called: that it stands here makes `deno compile` embed the worker, which is otherwise named by its URL only. */
export function embedWorker(): Promise<unknown> {
  return import("./worker.ts");
}

function startError(reason: string): CacheError {
  const hint = "a bundled program passes its own worker file in the option worker, see the README";
  return new CacheError(`Cannot start the worker: ${reason.trim()} (${hint})`, { code: "worker" });
}
