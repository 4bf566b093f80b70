/**
 * The worker: opens the cache with what the runtime lends, owns the one timer, carries commands in and reports out. A program does not import
 * this, unless it makes a worker file of its own for a bundler:
 *
 * @example A worker file for a bundled program
 * ```ts ignore
 * import "@persistmq/persistmq/worker";
 * ```
 *
 * @module
 */
import { assert } from "./core/assert.ts";
import { Publisher } from "./core/publisher.ts";
import type { TickReport } from "./core/report.ts";
import { TIMER_MS_MAX } from "./checks.ts";
import { CacheError, toWire } from "./errors.ts";
import { createLazyTransport } from "./lazy_transport.ts";
import { StoreNowAnswer, type WorkerCommand, type WorkerOptions, type WorkerReport } from "./protocol.ts";
import type { Runtime } from "./runtime.ts";
import { openCache } from "./store/open_cache.ts";

/** What is needed of a worker's global scope, on either runtime. */
interface WorkerScope {
  onmessage: ((event: MessageEvent<WorkerCommand>) => void) | null;
  postMessage(report: WorkerReport): void;
  addEventListener(type: "error" | "unhandledrejection", listener: (event: ErrorEvent & PromiseRejectionEvent) => void): void;
  readonly setImmediate?: (callback: () => void) => unknown;
  readonly process?: { on(event: "uncaughtException" | "unhandledRejection", listener: (error: unknown) => void): void };
  readonly WorkerGlobalScope?: unknown;
  readonly Bun?: { readonly isMainThread: boolean };
}

type StoreNow = Extract<WorkerCommand, { type: "storeNow" }>;

/** `ended`: stopped, or failed; nothing is done any more. */
type State =
  | { readonly state: "closed" | "ended" }
  | { readonly state: "opening"; readonly storeNows: StoreNow[] }
  | { readonly state: "open"; readonly publisher: Publisher; readonly runtime: Runtime };

/** A process that ends is not held up for ever by a disk that takes nothing. */
const TICKS_WITHOUT_ANSWER_MAX = 3;

/** What runs in the worker. */
class WorkerHost {
  readonly #scope: WorkerScope;
  #state: State = { state: "closed" };
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isTickDue = false;
  /** Messages taken and neither stored nor refused. */
  #unansweredCount = 0;
  #refusedCount = 0;

  constructor(scope: WorkerScope) {
    this.#scope = scope;
  }

  take(command: WorkerCommand): void {
    try {
      this.#take(command);
    } catch (error) {
      this.fail(error);
    }
  }

  /** Something is wrong with PersistMQ itself, or with what it runs on: to go on would risk what is stored. */
  fail(error: unknown): void {
    if (this.#state.state === "ended") return;
    this.#end();
    this.#scope.postMessage({ type: "failed", error: toWire(error) });
  }

  #take(command: WorkerCommand): void {
    if (command.type === "open") return void this.#open(command.options);
    if (command.type === "storeNow") return this.#storeNow(command);
    // What was on its way when the worker stopped or failed has nobody to answer it.
    if (this.#state.state === "ended") return;
    assert(this.#state.state === "open", `the cache is open when the worker is told to ${command.type}`);
    const { publisher } = this.#state;
    switch (command.type) {
      case "publish":
        for (const request of command.requests) this.#unansweredCount += request.length;
        return publisher.accept(command.requests);
      case "connect":
        return publisher.connect(command.broker, command.credentials);
      case "disconnect":
        return publisher.disconnect();
      case "credentials":
        return publisher.provideCredentials(command.credentials, command.error);
      case "watch":
        return publisher.watch(command.ids);
      case "flush":
        return publisher.flush(command.flushId, command.throughId);
      case "quarantined":
        return this.#answer(command.requestId, () => ({ quarantined: publisher.quarantined(command.afterId, command.countMax) }));
      case "requeue":
        return this.#answer(command.requestId, () => ({ ids: publisher.requeue(command.ids) }));
      case "purge":
        return this.#answer(command.requestId, () => ({ ids: publisher.purge(command.ids) }));
      case "stop":
        return publisher.stop(command.drainMs);
    }
  }

  async #open(options: WorkerOptions): Promise<void> {
    if (this.#state.state !== "closed") return;
    const opening = { state: "opening", storeNows: [] as StoreNow[] } as const;
    this.#state = opening;
    try {
      const runtime = await openRuntime();
      const cache = openCache(runtime, options);
      const publisher = new Publisher({
        clock: runtime.clock,
        random: runtime.random,
        outbox: cache.outbox,
        createTransport: (listener) => createLazyTransport(() => loadTransport(options), listener),
        listener: {
          onWake: () => this.#arm(),
          onReport: (report) => this.#report(report),
          onCredentialsWanted: () => this.#scope.postMessage({ type: "credentialsWanted" }),
          onStopped: (error) => {
            cache.close();
            this.#end();
            this.#scope.postMessage({ type: "stopped", ...(error === undefined ? {} : { error }) });
          },
        },
      }, options.publisher);
      this.#state = { state: "open", publisher, runtime };
      this.#scope.postMessage({
        type: "opened",
        nextMessageId: publisher.nextMessageId(),
        cacheIdentity: cache.identity.cacheIdentity,
        cachePath: cache.path,
        status: publisher.status(),
        warnings: cache.warnings,
      });
    } catch (error) {
      this.#state = { state: "closed" };
      const shown = error instanceof CacheError
        ? error
        : new CacheError(`Cannot open cache "${options.cachePath}": ${messageOf(error)}`, { cause: error });
      this.#scope.postMessage({ type: "openFailed", error: toWire(shown) });
    }
    for (const storeNow of opening.storeNows) this.take(storeNow);
    this.#arm();
  }

  // ------------------------------------------------------------------------------------------------------------- the timer

  /** Sees to it that `tick()` comes when it is due. */
  #arm(): void {
    if (this.#state.state !== "open" || this.#isTickDue) return;
    clearTimeout(this.#timer);
    const { publisher, runtime } = this.#state;
    const waitMs = publisher.wakeAtMs() - runtime.clock.monotonicMs();
    if (waitMs <= 0) {
      // Not at once: what else arrives in this turn belongs to the same commit.
      this.#isTickDue = true;
      if (this.#scope.setImmediate === undefined) setTimeout(() => this.#tick(), 0);
      else this.#scope.setImmediate(() => this.#tick());
    } else if (waitMs < Infinity) {
      this.#timer = setTimeout(() => this.#tick(), Math.min(Math.ceil(waitMs), TIMER_MS_MAX));
    }
  }

  #tick(): void {
    this.#isTickDue = false;
    if (this.#state.state !== "open") return;
    try {
      this.#state.publisher.tick();
      this.#arm();
    } catch (error) {
      this.fail(error);
    }
  }

  #end(): void {
    this.#state = { state: "ended" };
    clearTimeout(this.#timer);
  }

  // ------------------------------------------------------------------------------------------------------------- reports

  #report(report: TickReport): void {
    for (const [first, last] of report.stored) this.#unansweredCount -= last - first + 1;
    for (const { ids: [first, last] } of report.refused) {
      this.#unansweredCount -= last - first + 1;
      this.#refusedCount += last - first + 1;
    }
    this.#scope.postMessage({ type: "tick", report });
  }

  #answer(requestId: number, ask: () => Omit<Extract<WorkerReport, { type: "answer" }>, "type" | "requestId">): void {
    try {
      this.#scope.postMessage({ type: "answer", requestId, ...ask() });
    } catch (error) {
      const wire = error instanceof CacheError ? toWire(error) : { ...toWire(error), name: "CacheError", code: "storage" };
      this.#scope.postMessage({ type: "answer", requestId, error: wire });
    }
  }

  /** The main thread sleeps until this is done. */
  #storeNow(command: StoreNow): void {
    if (this.#state.state === "opening") return void this.#state.storeNows.push(command);
    const answer = new StoreNowAnswer(command.answer);
    const messageCount = [...command.numbered, ...command.unnumbered].reduce((sum, request) => sum + request.length, 0);
    if (this.#state.state !== "open") return answer.finish(0, this.#refusedCount + messageCount);
    const { publisher } = this.#state;
    publisher.accept(command.numbered);
    const firstId = publisher.nextMessageId();
    let id = firstId;
    publisher.accept(command.unnumbered.map((messages) => messages.map((message) => ({ id: id++, ...message }))));
    this.#unansweredCount += messageCount;
    try {
      for (let fruitless = 0; this.#unansweredCount > 0 && fruitless < TICKS_WITHOUT_ANSWER_MAX;) {
        const before = this.#unansweredCount;
        publisher.tick();
        fruitless = this.#unansweredCount < before ? 0 : fruitless + 1;
      }
    } finally {
      answer.finish(firstId, this.#refusedCount + Math.max(0, this.#unansweredCount));
    }
    this.#arm();
  }
}

/** What this runtime lends; only its own adapter is loaded. */
async function openRuntime(): Promise<Runtime> {
  const adapter = "Bun" in globalThis ? await import("./adapters/bun.ts") : await import("./adapters/deno.ts");
  return await adapter.openRuntime();
}

async function loadTransport({ clientId, mqtt }: WorkerOptions) {
  const { createMqttTransport } = await import("./adapters/mqtt_transport.ts");
  return (listener: Parameters<typeof createMqttTransport>[1]) => createMqttTransport({ clientId, mqtt }, listener);
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

const scope = globalThis as unknown as WorkerScope;
if (scope.WorkerGlobalScope === undefined && scope.Bun?.isMainThread !== false) {
  throw new Error("Cannot run the worker here: this module is for a Web Worker, which PersistClient starts");
}
const host = new WorkerHost(scope);
// First of all, and without waiting for anything: what is posted to a worker that does not listen yet may be lost.
scope.onmessage = ({ data }) => host.take(data);
// Deno would end the whole program, Bun this worker without a word.
scope.addEventListener("error", (event) => {
  event.preventDefault();
  host.fail(event.error ?? event.message);
});
scope.addEventListener("unhandledrejection", (event) => {
  event.preventDefault();
  host.fail(event.reason);
});
if ("Bun" in globalThis) {
  scope.process?.on("uncaughtException", (error) => host.fail(error));
  scope.process?.on("unhandledRejection", (error) => host.fail(error));
}
scope.postMessage({ type: "loaded" });
