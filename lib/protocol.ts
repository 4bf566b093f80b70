/**
 * All that crosses between the main thread and the worker: two unions of plain data. The main thread sends commands, the worker reports.
 *
 * The worker sends `loaded` once its `onmessage` is set; the main thread sends nothing before that, but at exit. Then `open` is answered by
 * `opened` or `openFailed`, and only after `opened` may anything else come. Publishes of one turn cross in one `publish`. Reports of one tick
 * cross in one `tick`.
 *
 * @module
 */
import type { Broker, Credentials, QuarantinedMessage } from "./core/ports.ts";
import type { Message, MessageId } from "./core/message.ts";
import type { Failure, PublisherOptions, PublisherStatus, PublishRequest, TickReport } from "./core/report.ts";

/** What the worker needs of the client's options; resolved, complete, plain. */
export interface WorkerOptions {
  readonly clientId: string;
  /** Absolute or relative to the working directory. */
  readonly cachePath: string;
  readonly allowSharedCache: boolean;
  readonly durability: "power-loss" | "process-crash";
  readonly lockWaitMs: number;
  readonly publisher: PublisherOptions;
  /** MQTT.js options that pass through: TLS material, will, keepalive, WebSocket options. Plain data. */
  readonly mqtt: Readonly<Record<string, unknown>>;
}

/** Main thread to worker. */
export type WorkerCommand =
  | { readonly type: "open"; readonly options: WorkerOptions }
  | { readonly type: "publish"; readonly requests: readonly PublishRequest[] }
  | { readonly type: "connect"; readonly broker: Broker; readonly credentials?: Credentials }
  | { readonly type: "disconnect" }
  /** Answers a `credentialsWanted`. */
  | { readonly type: "credentials"; readonly credentials?: Credentials; readonly error?: Failure }
  /** Report the fate of these ids, at once if they have one. */
  | { readonly type: "watch"; readonly ids: readonly MessageId[] }
  /** Report when no message up to this id is pending. */
  | { readonly type: "flush"; readonly flushId: number; readonly throughId: MessageId }
  | { readonly type: "quarantined"; readonly requestId: number; readonly afterId: MessageId; readonly countMax: number }
  | { readonly type: "requeue" | "purge"; readonly requestId: number; readonly ids: readonly MessageId[] }
  /**
   * Used when the process ends, may come before `opened` and even before `loaded`: store now all that came before this, then `numbered`, then
   * `unnumbered`, which take the next free ids in turn; then write the answer into `answer` (see {@linkcode StoreNowAnswer}) and notify.
   */
  | {
    readonly type: "storeNow";
    readonly answer: SharedArrayBuffer;
    readonly numbered: readonly PublishRequest[];
    readonly unnumbered: readonly (readonly Message[])[];
  }
  | { readonly type: "stop"; readonly drainMs: number };

/**
 * The answer to `storeNow`, in shared memory, as the main thread sleeps while it waits. `done` is written last and notified.
 */
export class StoreNowAnswer {
  /** What crosses. */
  readonly memory: SharedArrayBuffer;
  readonly #flags: Int32Array;
  readonly #numbers: Float64Array;

  /** Wraps memory that came across, or makes some. */
  constructor(memory: SharedArrayBuffer = new SharedArrayBuffer(24)) {
    this.memory = memory;
    this.#flags = new Int32Array(memory, 0, 2);
    this.#numbers = new Float64Array(memory, 8, 2);
  }

  /** The id that the first of `unnumbered` took; 0 if the cache could not be opened. */
  get firstId(): MessageId {
    return this.#numbers[0] ?? 0;
  }

  /** How many messages this worker has refused in its life: the difference to what the main thread has heard of is news. */
  get refusedCount(): number {
    return this.#numbers[1] ?? 0;
  }

  /** Worker: all is stored or refused. */
  finish(firstId: MessageId, refusedCount: number): void {
    this.#numbers[0] = firstId;
    this.#numbers[1] = refusedCount;
    Atomics.store(this.#flags, 0, 1);
    Atomics.notify(this.#flags, 0);
  }

  /** Main thread: sleeps until the worker has finished; false if it has not within `waitMs`. */
  wait(waitMs: number): boolean {
    return Atomics.wait(this.#flags, 0, 0, waitMs) !== "timed-out";
  }
}

/** Worker to main thread. */
export type WorkerReport =
  | { readonly type: "loaded" }
  | {
    readonly type: "opened";
    readonly nextMessageId: MessageId;
    /** Random identity of the cache, 32 hexadecimal digits. */
    readonly cacheIdentity: string;
    /** The folder, absolute. */
    readonly cachePath: string;
    readonly status: PublisherStatus;
    /** What a person should know, such as a check that could not be made. */
    readonly warnings: readonly string[];
  }
  | { readonly type: "openFailed"; readonly error: Failure }
  | { readonly type: "tick"; readonly report: TickReport }
  | { readonly type: "credentialsWanted" }
  | {
    readonly type: "answer";
    readonly requestId: number;
    readonly quarantined?: readonly QuarantinedMessage[];
    readonly ids?: readonly MessageId[];
    readonly error?: Failure;
  }
  /** The cache is closed, the worker may be ended. */
  | { readonly type: "stopped"; readonly error?: Failure }
  /** The worker cannot go on; it is to be ended and started again. */
  | { readonly type: "failed"; readonly error: Failure };
