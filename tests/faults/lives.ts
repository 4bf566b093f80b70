/**
 * A publishing process that is ended and started again on the same cache, with book kept of what each of its lives published.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PersistClientOptions } from "../../mod.ts";
import { Child } from "../support/child.ts";
import { within } from "../support/deadline.ts";
import { killInFlight, type OpeningPacket } from "../support/kill_in_flight.ts";
import type { WireWatch } from "../support/wire_watch.ts";
import type { Tally } from "../support/workload.ts";
import type { PublisherSaid } from "./publisher_process.ts";

/** Readings of one life are numbered from its own number times this, plus 1: numbers grow from life to life. */
const LIFE = 100_000;

/** See above. */
export class Lives {
  /** Numbers of the readings whose `publish()` resolved. */
  readonly acknowledged: number[] = [];
  sessionLostCount = 0;
  /** How many duplicates the client said were possible, in all. */
  duplicatesPossibleCount = 0;
  /** Messages in flight at the times it was killed. */
  readonly inFlight: number[] = [];
  readonly #folder = mkdtempSync(join(tmpdir(), "persistmq-faults-"));
  readonly #options: PersistClientOptions;
  #child: Child<PublisherSaid> | undefined;
  #life = 0;
  #first = 0;
  readonly #waiting = new Set<() => void>();

  constructor(options: Omit<PersistClientOptions, "cachePath">) {
    this.#options = { reconnect: { delayMsMin: 20, delayMsMax: 100 }, ...options, cachePath: join(this.#folder, "cache") };
  }

  get child(): Child<PublisherSaid> {
    assert(this.#child !== undefined, "it has been started");
    return this.#child;
  }

  /** A new process opens the cache. Resolves with what it found there. */
  async start(port: number): Promise<Extract<PublisherSaid, { type: "opened" }>> {
    this.#first = ++this.#life * LIFE + 1;
    this.#child = new Child<PublisherSaid>(new URL("./publisher_process.ts", import.meta.url), this.#options, {
      onSaid: (said) => this.#hear(said),
    });
    this.#child.send({ type: "connect", port });
    const said = await Promise.race([this.#child.next("opened"), this.#child.next("notOpened")]);
    if (said.type === "notOpened") assert.fail(`${said.name}: ${said.message}`);
    return said;
  }

  /** Resolves when so many more readings are stored. Without `perSecond` they are all handed over at once. */
  async publish(count: number, perSecond?: number): Promise<void> {
    const target = this.acknowledged.length + count;
    this.child.send({ type: "publish", first: this.#first, count, ...(perSecond === undefined ? {} : { perSecond }) });
    this.#first += count;
    await within(this.#acknowledgedCount(target), () => `${target} stored messages, there are ${this.acknowledged.length}`);
  }

  /** Hands over so many readings and waits for nothing. */
  publishSome(count: number, perSecond: number): void {
    this.child.send({ type: "publish", first: this.#first, count, perSecond });
    this.#first += count;
  }

  /** SIGKILL while the n-th such packet passes. */
  async killInFlight(watch: WireWatch, packet: OpeningPacket, nth: number): Promise<void> {
    this.inFlight.push(await within(killInFlight(this.child, watch, packet, nth), `a ${packet} to kill the process at`));
  }

  /** SIGKILL now. */
  async kill(): Promise<void> {
    this.child.kill();
    await this.child.exited;
  }

  /** Resolves when everything published in this life, and before it, was delivered. */
  async flush(): Promise<void> {
    this.child.send({ type: "flush" });
    const { waiting } = await this.child.next("flushed");
    assert.equal(waiting, 0, "after flush() nothing waits in the cache");
  }

  async stop(): Promise<void> {
    await this.#child?.stop();
    this.#child = undefined;
  }

  /** Ends whatever is left, for the end of a test that may have failed. */
  async remove(): Promise<void> {
    this.#child?.kill();
    await this.#child?.exited;
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /**
   * What was acknowledged has arrived; nothing arrived that was not published; of each life it is an unbroken run from its first message, as a
   * message that was stored while `publish()` had not yet resolved may arrive, but none after one that was not stored; first arrivals are in
   * order.
   */
  checkArrived(tally: Tally): void {
    const missing = this.acknowledged.filter((number) => !tally.has(number));
    assert.deepEqual(missing, [], "every acknowledged message has arrived");
    assert.equal(tally.altered, 0, "no message was altered");
    assert.equal(tally.outOfOrder, 0, "first arrivals are in the order of publish()");
    let expected = 0;
    for (const number of tally.numbers) {
      if (number % LIFE === 1) expected = number;
      assert.equal(number, expected++, "what arrived of one life is an unbroken run");
    }
  }

  #hear(said: PublisherSaid): void {
    if (said.type === "sessionlost") {
      this.sessionLostCount++;
      this.duplicatesPossibleCount += said.duplicatesPossibleCount;
    }
    if (said.type !== "stored") return;
    this.acknowledged.push(said.number);
    for (const check of this.#waiting) check();
  }

  #acknowledgedCount(count: number): Promise<void> {
    if (this.acknowledged.length >= count) return Promise.resolve();
    return new Promise((resolve, reject) => {
      const check = () => {
        if (this.acknowledged.length < count) return;
        this.#waiting.delete(check);
        resolve();
      };
      this.#waiting.add(check);
      this.child.exited.then(() =>
        reject(new Error(`Cannot wait for ${count} stored messages: the process has ended. It wrote: ${this.child.stderr}`))
      );
    });
  }
}
