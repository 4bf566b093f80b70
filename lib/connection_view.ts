/**
 * What the main thread knows of the connection: which one is wished for, what the worker last said of it, what is true while there is no worker,
 * and who waits for it.
 *
 * @module
 */
import { showBroker } from "./address.ts";
import type { Broker, Credentials, ServerInfo } from "./core/ports.ts";
import type { ConnectionStatus, PublisherStatus } from "./core/report.ts";
import { WaitTable } from "./waits.ts";

/** What to connect to. */
export interface Target {
  readonly broker: Broker;
  readonly credentials: Credentials | undefined;
}

/** See above. */
export class ConnectionView {
  #target: Target | undefined;
  #wasTargeted = false;
  #status: ConnectionStatus = { state: "idle", sinceEpochMs: Date.now() };
  /** That the status speaks of. */
  #broker: Broker | undefined;
  readonly #connectedWaits: WaitTable<"connected", ServerInfo> = new WaitTable();
  readonly #idleWaits: WaitTable<"idle", void> = new WaitTable();

  get status(): ConnectionStatus {
    return this.#status;
  }

  get isOnline(): boolean {
    return this.#status.state === "online";
  }

  /** What is wished for; `undefined`: to be offline. */
  get target(): Target | undefined {
    return this.#target;
  }

  /** Was there ever a wish to connect? */
  get wasTargeted(): boolean {
    return this.#wasTargeted;
  }

  /** The wish has changed; the worker is to be told. */
  aim(target: Target | undefined): void {
    this.#target = target;
    if (target === undefined) return;
    this.#wasTargeted = true;
    this.#idleWaits.resolve("idle", undefined);
  }

  /** Resolves when there is a connection to what is wished for. */
  async connected(signal: AbortSignal | undefined): Promise<ServerInfo> {
    return this.#serverOfTarget() ?? await this.#connectedWaits.add("connected", signal);
  }

  /** Resolves when there is neither a connection nor an attempt at one, or a new wish. */
  idle(): Promise<void> {
    return this.#idleWaits.add("idle");
  }

  /** The worker's word. */
  onStatus({ connection, broker }: PublisherStatus): void {
    this.#status = connection;
    this.#broker = broker;
    const server = this.#serverOfTarget();
    if (server !== undefined) this.#connectedWaits.resolve("connected", server);
    if (connection.state === "idle" || connection.state === "stopped") this.#idleWaits.resolve("idle", undefined);
  }

  /** There is no worker, and so no connection, for so long at least. */
  onLost(reason: string, retryInMs: number): void {
    const sinceEpochMs = Date.now();
    this.#status = this.#target === undefined
      ? { state: "idle", sinceEpochMs }
      : { state: "offline", sinceEpochMs, retryAtEpochMs: sinceEpochMs + retryInMs, attempt: 0, reason };
    this.#idleWaits.resolve("idle", undefined);
  }

  /** There will be none any more. */
  end(error: Error): void {
    this.#status = { state: "stopped", sinceEpochMs: Date.now() };
    this.#connectedWaits.reject("connected", error);
    this.#idleWaits.resolve("idle", undefined);
  }

  /** What the broker said that is wished for; `undefined` while there is no connection to it. */
  #serverOfTarget(): ServerInfo | undefined {
    if (this.#status.state !== "online" || this.#target === undefined || this.#broker === undefined) return undefined;
    // After a change of broker the last report may still speak of the one before.
    return showBroker(this.#broker) === showBroker(this.#target.broker) ? this.#status.server : undefined;
  }
}
