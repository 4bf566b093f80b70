/**
 * A worker that does as it is told by a test: it keeps the commands that reach it and says the reports that the test gives it. Both cross as copies,
 * as they do between threads.
 *
 * @module
 */
import type { TickReport } from "../../lib/core/report.ts";
import type { WorkerCommand, WorkerReport } from "../../lib/protocol.ts";
import type { WorkerLike } from "../../lib/worker_link.ts";
import { within } from "./deadline.ts";

type Type = WorkerCommand["type"];
type CommandOf<T extends Type, C> = C extends { readonly type: infer U } ? T extends U ? C : never : never;
type Command<T extends Type> = CommandOf<T, WorkerCommand>;

/** Status of an empty cache that is not connected. */
export const EMPTY_STATUS: TickReport["status"] = {
  connection: { state: "idle", sinceEpochMs: 0 },
  ledger: { accepted: 0, delivered: 0, quarantined: 0, dropped: 0, expired: 0, purged: 0, damaged: 0, pending: 0, pendingBytes: 0 },
  lastDeliveredId: 0,
  inFlightCount: 0,
  inFlightMax: 0,
  propertiesDroppedCount: 0,
  downgradedCount: 0,
};

/** See above. */
export class FakeWorker implements WorkerLike {
  /** All that it was told, in order. */
  readonly commands: WorkerCommand[] = [];
  isTerminated = false;
  readonly #listeners: Map<string, ((event: unknown) => void)[]> = new Map();
  #waiting: { readonly isMeant: (command: WorkerCommand) => boolean; readonly resolve: (command: WorkerCommand) => void }[] = [];
  #heardCount = 0;

  postMessage(message: unknown): void {
    const command = message instanceof Object && "answer" in message ? message as WorkerCommand : structuredClone(message) as WorkerCommand;
    this.commands.push(command);
    this.#waiting = this.#waiting.filter(({ isMeant, resolve }) => {
      if (isMeant(command)) resolve(command);
      return !isMeant(command);
    });
  }

  terminate(): void {
    this.isTerminated = true;
  }

  addEventListener(type: string, listener: (event: unknown) => void): void {
    this.#listeners.set(type, [...this.#listeners.get(type) ?? [], listener]);
  }

  /** The next command of this type that was not asked for before. */
  async told<T extends Type>(type: T): Promise<Command<T>> {
    const isMeant = (command: WorkerCommand) => command.type === type;
    const index = this.commands.findIndex((command, index) => index >= this.#heardCount && isMeant(command));
    const command = index >= 0
      ? this.commands[index]!
      : await within(new Promise<WorkerCommand>((resolve) => this.#waiting.push({ isMeant, resolve })), `the command ${type}`);
    this.#heardCount = this.commands.indexOf(command) + 1;
    return command as Command<T>;
  }

  /** Types of all commands, in order. */
  get types(): Type[] {
    return this.commands.map(({ type }) => type);
  }

  say(report: WorkerReport): void {
    this.#dispatch("message", new MessageEvent("message", { data: structuredClone(report) }));
  }

  /** Loads, and opens a cache. */
  async open(nextMessageId = 1, status: TickReport["status"] = EMPTY_STATUS, warnings: readonly string[] = []): Promise<void> {
    this.say({ type: "loaded" });
    await this.told("open");
    this.say({ type: "opened", nextMessageId, cacheIdentity: "0".repeat(32), cachePath: "/cache", status, warnings });
  }

  /** One tick in which nothing happened but this. */
  tick(report: Partial<TickReport>): void {
    const nothing = { stored: [], refused: [], delivered: [], fates: [], flushed: [], events: [], status: EMPTY_STATUS };
    this.say({ type: "tick", report: { ...nothing, ...report } });
  }

  /** An uncaught error. True if the program would go on. */
  die(message: string): boolean {
    const event = new ErrorEvent("error", { message, cancelable: true });
    this.#dispatch("error", event);
    return event.defaultPrevented;
  }

  /** Any other event of a worker. */
  emit(type: "messageerror" | "close"): void {
    this.#dispatch(type, new Event(type));
  }

  #dispatch(type: string, event: unknown): void {
    for (const listener of this.#listeners.get(type) ?? []) listener(event);
  }
}

/** Gives a client one fake after the other. */
export class FakeWorkers {
  readonly all: FakeWorker[] = [];
  #waiting: (() => void)[] = [];

  /** For the option `worker`. */
  readonly start = (): WorkerLike => {
    const worker = new FakeWorker();
    this.all.push(worker);
    for (const resolve of this.#waiting.splice(0)) resolve();
    return worker;
  };

  /** The worker of this number, from 0, as soon as it was started. */
  async number(index: number): Promise<FakeWorker> {
    while (this.all.length <= index) {
      await within(new Promise<void>((resolve) => this.#waiting.push(resolve)), `worker ${index} to be started`);
    }
    return this.all[index]!;
  }
}
