/**
 * Goes between the client and its worker: hands over what is published and asked, keeps what the worker has not answered, and makes up for a
 * worker that died. Invariants:
 *
 * - What was taken is told to a worker until one has reported it stored or refused; a new worker is told all of it again, in order, under
 *   the ids it had.
 * - What is waited for (fates, flushes, the connection) is asked of a new worker again.
 * - Commands go only to a worker that has opened the cache; publishes of one turn go in one message, before any other command.
 * - Listeners are called when all of this is settled, never in between.
 *
 * Modes: `running` takes all there is. `stopping`, by `stop()`: nothing is taken any more, what was taken is stored, then the worker closes the
 * cache. `stopped`: the worker has done so or is gone, every promise is settled, nothing of this client keeps the process.
 *
 * @module
 */
import { announce } from "./announce.ts";
import { askCredentials } from "./ask_credentials.ts";
import { TIMER_MS_MAX } from "./checks.ts";
import { ConnectionView, type Target } from "./connection_view.ts";
import type { Message, MessageId } from "./core/message.ts";
import type { ServerInfo } from "./core/ports.ts";
import type { FlushCounts, PublisherStatus, TickReport } from "./core/report.ts";
import { CacheError, fromWire, StoppedError, toWire } from "./errors.ts";
import type { CacheStatus, EventQueue, PersistStatus } from "./events.ts";
import { addExitFlush, isProcessEnding, removeExitFlush } from "./exit_flush.ts";
import { FateWaits } from "./fate_waits.ts";
import { Intake, type IntakeRequest } from "./intake.ts";
import type { Log } from "./log.ts";
import type { ResolvedOptions } from "./options.ts";
import { StoreNowAnswer, type WorkerCommand, type WorkerReport } from "./protocol.ts";
import { createStatus } from "./status.ts";
import { createWait, type Wait, WaitTable } from "./waits.ts";
import { WorkerLink } from "./worker_link.ts";

/** How many workers in a row may die without having stored anything before what they were given is refused. */
export const FRUITLESS_DEATHS_MAX = 5;
/** What a worker that is to stop may take besides `drainMs` until it is ended anyway, milliseconds. */
const STOP_GRACE_MS = 30_000;

type Lifecycle =
  | { readonly state: "running" }
  | { readonly state: "stopping"; readonly drainUntilMs: number; readonly wait: Wait<void>; readonly timer: ReturnType<typeof setTimeout> }
  | { readonly state: "stopped" };

type Answer = Extract<WorkerReport, { type: "answer" }>;

/** A question for the worker, without its number. */
export type Question =
  | { readonly type: "quarantined"; readonly afterId: MessageId; readonly countMax: number }
  | { readonly type: "requeue" | "purge"; readonly ids: readonly MessageId[] };

/** See the module's first lines. */
export class Courier {
  readonly #options: ResolvedOptions;
  readonly #events: EventQueue;
  readonly #log: Log;
  readonly #intake: Intake;
  readonly #link: WorkerLink;
  readonly #flushAtExit = () => this.#storeNow();

  #lifecycle: Lifecycle = { state: "running" };
  #cache: CacheStatus = { state: "closed" };
  #status: PublisherStatus | undefined;
  #isPostDue = false;
  #fruitlessDeathCount = 0;
  /** Messages that the present worker has refused, as far as was heard. */
  #refusedCount = 0;
  /** How long the main thread has slept in this turn, for the worker to store. */
  #sleptMs = 0;
  #nextRequestId = 1;

  readonly #openWaits: WaitTable<"open", void> = new WaitTable();
  readonly #connection: ConnectionView = new ConnectionView();
  readonly #fates: FateWaits = new FateWaits();
  readonly #answerWaits: WaitTable<number, Answer> = new WaitTable();

  /** Starts nothing. */
  constructor(options: ResolvedOptions, events: EventQueue, log: Log) {
    this.#options = options;
    this.#events = events;
    this.#log = log;
    this.#intake = new Intake(options.queueBytesMax);
    this.#link = new WorkerLink(options.workerSource, options.worker, {
      onOpened: (report) => this.#onOpened(report),
      onOpenFailed: (error, willRetry) => this.#onOpenFailed(error, willRetry),
      onLost: (error, retryInMs) => this.#onLost(error, retryInMs),
      onReport: (report) => this.#onReport(report),
    });
  }

  // --------------------------------------------------------------------------------------------------- told by the client

  /** Throws a StoppedError, if so. */
  checkRunning(action: string): void {
    if (this.#lifecycle.state === "running") return;
    throw new StoppedError(`${action}: the client ${this.#lifecycle.state === "stopping" ? "is stopping" : "was stopped"}`);
  }

  /** Was there ever a wish to connect? */
  get wasTargeted(): boolean {
    return this.#connection.wasTargeted;
  }

  /** Resolves when the cache is open and connecting has begun. */
  async connect(target: Target): Promise<void> {
    this.#connection.aim(target);
    if (this.#link.isOpen) this.#postTarget();
    else await this.#opened();
  }

  /** Resolves when there is no connection, nor an attempt at one. */
  async disconnect(): Promise<void> {
    this.#connection.aim(undefined);
    if (!this.#link.isOpen) return;
    this.#post({ type: "disconnect" });
    await this.#connection.idle();
  }

  /** Resolves when there is a connection. */
  connected(signal: AbortSignal | undefined): Promise<ServerInfo> {
    return this.#connection.connected(signal);
  }

  /** Takes messages, checked. Resolves with the first id, when all are stored or delivered. Throws at once if they are not taken. */
  publish(
    messages: readonly Message[],
    byteCount: number,
    until: "stored" | "delivered",
    signal: AbortSignal | undefined,
    onRefused: (error: Error) => void,
  ): Promise<MessageId> {
    const wait = createWait<MessageId>(signal);
    const request: IntakeRequest = {
      messages,
      byteCount,
      onStored: (firstId, wasRepeated) => {
        if (until === "stored") return wait.resolve(firstId);
        const ids = messages.map((_, index) => firstId + index);
        Promise.all(ids.map((id) => this.#fates.delivered(id, signal))).then(() => wait.resolve(firstId), wait.reject);
        // An earlier worker may have delivered it and died before saying so.
        if (wasRepeated) this.#post({ type: "watch", ids });
      },
      onRefused(error) {
        onRefused(error);
        wait.reject(error);
      },
    };
    this.#intake.add(request);
    if (isProcessEnding()) this.#storeNow();
    else if (this.#link.isOpen) this.#postRequestsSoon();
    else this.#startLink();
    return wait.promise;
  }

  /** Resolves when the message was delivered. */
  async delivered(id: MessageId, signal: AbortSignal | undefined, action: string): Promise<void> {
    if (!this.#link.isOpen) await this.#opened(signal);
    const lastId = this.#intake.lastIssuedId ?? 0;
    if (id > lastId) throw new RangeError(`${action}: this cache has issued none beyond ${lastId}`);
    const delivered = this.#fates.delivered(id, signal);
    this.#post({ type: "watch", ids: [id] });
    await delivered;
  }

  /** Resolves when nothing that was taken before the call is pending. */
  async flush(signal: AbortSignal | undefined): Promise<FlushCounts> {
    // What has no number yet gets one before anyone is told that the cache is open.
    if (!this.#link.isOpen) await this.#opened(signal);
    const { command, flushed } = this.#fates.flush(this.#intake.lastIssuedId ?? 0, signal);
    this.#post(command);
    return await flushed;
  }

  /** Resolves with the worker's answer, or rejects with its error. */
  async ask(question: Question): Promise<Answer> {
    if (!this.#link.isOpen) await this.#opened();
    const requestId = this.#nextRequestId++;
    const answered = this.#answerWaits.add(requestId);
    this.#post({ ...question, requestId });
    const answer = await answered;
    if (answer.error !== undefined) throw fromWire(answer.error);
    return answer;
  }

  /** Stores what was taken, goes on delivering for a while, closes. Resolves when nothing is left of it. */
  stop(drainMs: number): Promise<void> {
    if (this.#lifecycle.state === "stopped") return Promise.resolve();
    if (this.#lifecycle.state === "stopping") return this.#lifecycle.wait.promise;
    const wait = createWait<void>();
    const timer = setTimeout(() => this.#giveUpStopping(), Math.min(drainMs + STOP_GRACE_MS, TIMER_MS_MAX));
    this.#lifecycle = { state: "stopping", drainUntilMs: performance.now() + drainMs, wait, timer };
    if (this.#link.isOpen) this.#postStop();
    else if (this.#intake.messageCount === 0 && (this.#link.isAtRest || this.#link.isWaiting)) this.#finish();
    // Otherwise the cache is being opened, or will be: `#onOpened` or `#onOpenFailed` goes on.
    return wait.promise;
  }

  /** One moment. */
  status(): PersistStatus {
    return createStatus({
      connection: this.#connection.status,
      broker: this.#connection.target?.broker,
      cache: this.#cache,
      queuedCount: this.#intake.messageCount,
      queuedBytes: this.#intake.byteCount,
      workerRestartCount: this.#link.restartCount,
    }, this.#status);
  }

  // -------------------------------------------------------------------------------------------------- told to the worker

  #opened(signal?: AbortSignal): Promise<void> {
    const opened = this.#openWaits.add("open", signal);
    this.#startLink();
    return opened;
  }

  #startLink(): void {
    addExitFlush(this.#flushAtExit);
    if (this.#link.isAtRest) this.#cache = { state: "opening" };
    this.#link.start();
  }

  #post(command: WorkerCommand): void {
    this.#postRequests();
    this.#link.post(command);
  }

  #postRequestsSoon(): void {
    if (this.#isPostDue) return;
    this.#isPostDue = true;
    queueMicrotask(() => {
      this.#isPostDue = false;
      if (this.#link.isOpen) this.#postRequests();
    });
  }

  #postRequests(): void {
    if (this.#intake.hasUnposted) this.#link.post({ type: "publish", requests: this.#intake.takeUnposted() });
  }

  #postTarget(): void {
    if (this.#connection.target === undefined) return;
    const { broker, credentials } = this.#connection.target;
    this.#post({ type: "connect", broker, ...(credentials === undefined ? {} : { credentials }) });
  }

  #postStop(): void {
    if (this.#lifecycle.state === "stopping") this.#post({ type: "stop", drainMs: this.#drainMs() });
  }

  /** What is left of it. */
  #drainMs(): number {
    return this.#lifecycle.state === "stopping" ? Math.max(0, Math.round(this.#lifecycle.drainUntilMs - performance.now())) : 0;
  }

  // ------------------------------------------------------------------------------------------------ told by the worker

  #onOpened({ nextMessageId, cacheIdentity, cachePath, status, warnings }: Extract<WorkerReport, { type: "opened" }>): void {
    this.#cache = { state: "open", path: cachePath, identity: cacheIdentity, warnings };
    this.#status = status;
    this.#connection.onStatus(status);
    this.#refusedCount = 0;
    // A `storeNow` may have carried what is told again here: the worker answers what it has.
    this.#intake.unpost();
    this.#intake.open(nextMessageId);
    this.#postRequests();
    if (this.#lifecycle.state === "running" || this.#drainMs() > 0) this.#postTarget();
    for (const command of this.#fates.commands()) this.#post(command);
    this.#postStop();
    this.#openWaits.resolve("open", undefined);
    for (const warning of warnings) this.#log.write("warn", "cache", warning);
    this.#events.changeStatus(true);
  }

  #onOpenFailed(error: Error, willRetry: boolean): void {
    this.#cache = { state: "failed", reason: error.message, willRetry };
    this.#refusedCount = 0;
    this.#intake.refuseAll((wasPosted) => storageError(error, wasPosted));
    this.#openWaits.reject("open", error);
    this.#announceError(error);
    if (this.#lifecycle.state === "stopping") this.#finish();
  }

  #onLost(error: Error, retryInMs: number): void {
    const wasConnected = this.#connection.isOnline;
    const reason = error.message;
    this.#cache = { state: "opening" };
    this.#connection.onLost(reason, retryInMs);
    this.#intake.unpost();
    this.#refusedCount = 0;
    this.#fruitlessDeathCount += 1;
    if (this.#fruitlessDeathCount >= FRUITLESS_DEATHS_MAX) this.#intake.refuseAll((wasPosted) => storageError(error, wasPosted));
    this.#answerWaits.rejectAll(() => error);
    if (wasConnected) {
      this.#events.add("disconnect", { reason, wasConnected, isTakenOver: false, isLoginRefused: false, retryInMs });
    }
    this.#announceError(error);
    if (this.#lifecycle.state === "stopping" && this.#intake.messageCount === 0) this.#finish();
  }

  #onReport(report: WorkerReport): void {
    switch (report.type) {
      case "tick":
        return this.#onTick(report.report);
      case "credentialsWanted":
        return void this.#provideCredentials();
      case "answer":
        return this.#answerWaits.resolve(report.requestId, report);
      case "stopped":
        if (report.error !== undefined) this.#announceError(fromWire(report.error));
        return this.#finish();
    }
  }

  #onTick(report: TickReport): void {
    const before = this.#connection.status.state;
    this.#sleptMs = 0;
    this.#status = report.status;
    this.#connection.onStatus(report.status);
    if (report.stored.length > 0) {
      this.#fruitlessDeathCount = 0;
      this.#intake.onStored(report.stored);
    }
    for (const { ids, error } of report.refused) {
      this.#refusedCount += ids[1] - ids[0] + 1;
      this.#intake.onRefused(ids, fromWire(error));
    }
    this.#fates.onDelivered(report.delivered);
    for (const fate of report.fates) this.#fates.onFate(fate);
    for (const flush of report.flushed) this.#fates.onFlushed(flush);
    if (report.delivered.length > 0) this.#events.add("delivered", { ids: report.delivered });
    for (const event of report.events) announce(event, this.#events, this.#log);
    this.#events.changeStatus(report.status.connection.state !== before);
  }

  async #provideCredentials(): Promise<void> {
    const { credentials } = this.#options;
    if (credentials === undefined) return;
    let command: WorkerCommand;
    try {
      const given = await askCredentials(credentials);
      command = { type: "credentials", ...(given === undefined ? {} : { credentials: given }) };
    } catch (error) {
      command = { type: "credentials", error: toWire(error) };
      this.#announceError(error instanceof Error ? error : new Error(String(error)));
    }
    if (this.#link.isOpen) this.#post(command);
  }

  #announceError(error: Error): void {
    this.#events.add("error", { error });
    this.#log.write("warn", "error", error.message);
    this.#events.changeStatus(true);
  }

  // ------------------------------------------------------------------------------------------------------------- the end

  /** Nothing more is to come: the worker has closed the cache, or is not to be had. */
  #finish(): void {
    if (this.#lifecycle.state !== "stopping") return;
    const { wait, timer } = this.#lifecycle;
    clearTimeout(timer);
    this.#lifecycle = { state: "stopped" };
    this.#cache = { state: "stopped" };
    this.#link.end();
    removeExitFlush(this.#flushAtExit);
    const stopped = (action: string) => new StoppedError(`${action}: the client was stopped`);
    this.#intake.refuseAll((wasPosted) => storageError(stopped("Cannot say that it is stored"), wasPosted));
    this.#openWaits.reject("open", stopped("Cannot wait for the cache"));
    this.#connection.end(stopped("Cannot wait for a connection"));
    this.#fates.rejectAll(stopped);
    this.#answerWaits.rejectAll(() => stopped("Cannot ask the worker"));
    this.#events.changeStatus(true);
    wait.resolve();
  }

  #giveUpStopping(): void {
    this.#announceError(new CacheError("Cannot wait for the worker to stop: it did not answer", { code: "worker", isStored: "unknown" }));
    this.#finish();
  }

  /** The process ends, or may: sleeps until the worker has stored what it was given, and says what it has not. */
  #storeNow(): void {
    const { messageCount } = this.#intake;
    if (messageCount === 0 || this.#lifecycle.state === "stopped") return;
    const unnumbered = this.#intake.takeUnnumbered();
    const numbered = this.#intake.takeUnposted();
    const answer = new StoreNowAnswer();
    const startMs = performance.now();
    const waitMs = this.#options.exitFlushMs - this.#sleptMs;
    if (!this.#link.postAtExit({ type: "storeNow", answer: answer.memory, numbered, unnumbered })) {
      return this.#log.write("error", "exit", `${messageCount} messages are not stored: there is no worker`);
    }
    const isAnswered = answer.wait(Math.max(0, waitMs));
    this.#sleptMs += performance.now() - startMs;
    if (!isAnswered) {
      const message =
        `${messageCount} messages may not be stored: the worker did not answer within ${this.#options.exitFlushMs} ms (exitFlushMs)`;
      return this.#log.write("error", "exit", message);
    }
    // If the process lives on after all, they keep the ids under which they were stored.
    if (unnumbered.length > 0 && answer.firstId > 0) this.#intake.open(answer.firstId);
    const refusedCount = answer.refusedCount - this.#refusedCount;
    if (refusedCount > 0) this.#log.write("error", "exit", `${refusedCount} messages are not stored: the cache did not take them`);
  }
}

/** Why a message was given up: what a worker was given may be on disk all the same. */
function storageError(cause: Error, wasPosted: boolean): Error {
  if (!wasPosted && (cause instanceof CacheError || cause instanceof StoppedError)) return cause;
  const code = cause instanceof CacheError ? cause.code : "worker";
  return new CacheError(`Cannot store the message: ${cause.message}`, { code, cause, isStored: wasPosted ? "unknown" : false });
}
