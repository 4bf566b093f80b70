/**
 * A publishing process that is killed and started again on the same cache, with book kept of what each of its lives handed over and had
 * acknowledged, and of how far its messages had come when it died.
 *
 * @module
 */
import { cpSync, mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Flight } from "../../lib/core/ports.ts";
import type { Runtime } from "../../lib/runtime.ts";
import { openCache } from "../../lib/store/open_cache.ts";
import type { PersistClientOptions } from "../../mod.ts";
import { Child } from "../support/child.ts";
import { within } from "../support/deadline.ts";
import { killTraced } from "../support/strace.ts";
import type { KillExchanges } from "./kill_exchanges.ts";
import type { PublisherCommand, PublisherSaid } from "./publisher_process.ts";

/** How far a message has come: on disk, PUBLISH has left, PUBREC was seen, PUBREL has reached the broker. */
export const STAGES = ["stored", "sent", "received", "released"] as const;
/** See {@linkcode STAGES}. */
export type KillStage = typeof STAGES[number];

/** Readings of one life are numbered from its own number times this, plus 1: numbers grow from life to life. */
const LIFE = 100_000;

/** See above. */
export class Victim {
  /** Numbers of the readings whose `publish()` resolved. */
  readonly acknowledged = new Set<number>();
  /** Numbers of all that were handed to `publish()`. */
  readonly handedOver = new Set<number>();
  /** How many kills found messages in which stage. */
  readonly killsByStage: Record<KillStage, number> = { stored: 0, sent: 0, received: 0, released: 0 };
  killCount = 0;
  sessionLostCount = 0;
  /** How many duplicates the client said were possible, in all. */
  duplicatesPossibleCount = 0;
  readonly #folder = mkdtempSync(join(tmpdir(), "persistmq-kill-"));
  readonly #options: PersistClientOptions;
  readonly #runtime: Runtime;
  readonly #exchanges: KillExchanges;
  #child: Child<PublisherSaid> | undefined;
  #life = 0;
  #next = 0;

  constructor(runtime: Runtime, exchanges: KillExchanges, options: Omit<PersistClientOptions, "cachePath">) {
    this.#runtime = runtime;
    this.#exchanges = exchanges;
    this.#options = { reconnect: { delayMsMin: 20, delayMsMax: 100 }, ...options, cachePath: this.cachePath };
  }

  get cachePath(): string {
    return join(this.#folder, "cache");
  }

  /** A further file for the test, removed with all. */
  path(name: string): string {
    return join(this.#folder, name);
  }

  /** A new process, told to open the cache. With words in front of its command it may be somebody else who ends it. */
  start(port: number, prefix: readonly string[] = []): void {
    this.#next = ++this.#life * LIFE + 1;
    const onSaid = (said: PublisherSaid) => this.#hear(said);
    this.#child = new Child<PublisherSaid>(new URL("./publisher_process.ts", import.meta.url), this.#options, { prefix, onSaid });
    this.#send({ type: "connect", port });
  }

  /** Hands over so many readings, all at once unless `perSecond` is given. */
  publish(count: number, perSecond?: number): void {
    const first = this.#next;
    this.#next += count;
    for (let number = first; number < this.#next; number++) this.handedOver.add(number);
    this.#send({ type: "publish", first, count, ...(perSecond === undefined ? {} : { perSecond }) });
  }

  /** Resolves when the cache is open. */
  async opened(): Promise<void> {
    const said = await Promise.race([this.#running.next("opened"), this.#running.next("notOpened")]);
    if (said.type === "notOpened") throw new Error(`Cannot go on: the cache was not opened. ${said.name}: ${said.message}`);
  }

  /** Resolves when all that was handed over in this life is stored. */
  async stored(): Promise<void> {
    const last = this.#next - 1;
    await this.#running.next("stored", ({ number }) => number === last);
  }

  /** SIGKILL. Only for one that nobody else is to end. */
  kill(): void {
    this.#running.kill();
  }

  /** Resolves when the process has died and what it left was looked at. */
  async died(): Promise<Record<KillStage, number>> {
    const { code, signal } = await within(this.#running.exited, "the process to die");
    if (signal !== "SIGKILL") throw new Error(`Cannot call it killed: it ended with ${signal ?? code}. It wrote: ${this.#running.stderr}`);
    this.killCount++;
    const counts = this.#countStages();
    for (const stage of STAGES) if (counts[stage] > 0) this.killsByStage[stage]++;
    return counts;
  }

  /** Resolves when everything was delivered. */
  async flush(): Promise<void> {
    const { said } = this.#running;
    const before = said.length;
    this.#send({ type: "flush" });
    await this.#running.next("flushed", (flushed) => said.indexOf(flushed) >= before);
  }

  /** Resolves when everything was delivered and the process has ended of itself. */
  async finish(): Promise<void> {
    await this.flush();
    await this.#running.stop();
    this.#child = undefined;
  }

  /** Ends whatever is left. */
  remove(): void {
    if (this.#child !== undefined) killTraced(this.#child.pid);
    this.#child?.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  get #running(): Child<PublisherSaid> {
    if (this.#child === undefined) throw new Error("Cannot speak to the process: it was not started");
    return this.#child;
  }

  #send(command: PublisherCommand): void {
    this.#running.send(command);
  }

  /** Looks at a copy: the cache itself is left as the process left it. */
  #countStages(): Record<KillStage, number> {
    const copy = this.path("copy");
    cpSync(this.cachePath, copy, { recursive: true });
    const { clientId } = this.#options;
    const cache = openCache(this.#runtime, {
      cachePath: copy,
      clientId,
      durability: "power-loss",
      lockWaitMs: 0,
      allowSharedCache: false,
    });
    try {
      const flights = cache.outbox.flights();
      const stageOf = ({ stage, packetId }: Flight): KillStage => stage !== "received" ? "sent" : this.#exchanges.stageOf(packetId);
      const count = (stage: KillStage) => flights.filter((flight) => stageOf(flight) === stage).length;
      return {
        stored: cache.outbox.ledger().pending - flights.length,
        sent: count("sent"),
        received: count("received"),
        released: count("released"),
      };
    } finally {
      cache.close();
      rmSync(copy, { recursive: true });
    }
  }

  #hear(said: PublisherSaid): void {
    if (said.type === "stored") this.acknowledged.add(said.number);
    if (said.type !== "sessionlost") return;
    this.sessionLostCount++;
    this.duplicatesPossibleCount += said.duplicatesPossibleCount;
  }
}
