/**
 * A publishing process and the book of what its `publish()` said: the one that is given trouble with its disk.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { Child } from "../support/child.ts";
import { DEADLINE_MS } from "../support/deadline.ts";
import { killTraced, type Spoilt } from "../support/strace.ts";
import type { Tally } from "../support/workload.ts";
import type { Trouble, TroubledCommand, TroubledSaid } from "./io_error_process.ts";

const APART_MS = 4;
const PROBE_EVERY_MS = 50;
/** The kernel counts processor time in these. */
const TICKS_PER_SECOND = 100;

/** A fault of the disk, without where. */
export type DiskFault = Pick<Spoilt, "calls" | "effect" | "when">;

/** See above. */
export class Patient {
  /** `publish()` has resolved. */
  readonly stored = new Set<number>();
  /** It has rejected, and does not know. */
  readonly unknown = new Set<number>();
  /** It has rejected: not stored. */
  readonly refused = new Set<number>();
  readonly troubles: Trouble[] = [];
  errorCount = 0;
  readonly #folder = mkdtempSync(join(tmpdir(), "persistmq-io-error-"));
  #child: Child<TroubledSaid> | undefined;
  #next = 1;

  /** Starts it, with words in front of its command if need be, and has it connect. */
  start(port: number, prefix: readonly string[] = []): void {
    const options = { clientId: "patient", cachePath: this.cachePath, reconnect: { delayMsMin: 20, delayMsMax: 100 } };
    this.#child = new Child<TroubledSaid>(new URL("./io_error_process.ts", import.meta.url), options, {
      prefix,
      onSaid: (said) => this.#hear(said),
    });
    this.connect(port);
  }

  get child(): Child<TroubledSaid> {
    assert(this.#child !== undefined, "it was started");
    return this.#child;
  }

  get cachePath(): string {
    return join(this.#folder, "cache");
  }

  /** The fault, on the files of this cache. */
  spoil(fault: DiskFault, ...furtherNames: readonly string[]): Spoilt {
    const names = ["outbox.sqlite3", "outbox.sqlite3-wal", "outbox.sqlite3-journal", ...furtherNames];
    return { ...fault, paths: names.map((name) => join(this.cachePath, name)), logPath: join(this.#folder, "strace") };
  }

  connect(port: number): void {
    this.#send({ type: "connect", port });
  }

  /** The next answer to `connectAsync()`: what is wrong, or nothing. */
  async opened(answerCount: number): Promise<Trouble | undefined> {
    const answers = () => this.child.said.filter((said) => said.type === "opened" || said.type === "notOpened");
    const isMine = (said: TroubledSaid) => answers()[answerCount] === said;
    const said = await Promise.race([this.child.next("opened", isMine), this.child.next("notOpened", isMine)]);
    return said.type === "opened" ? undefined : said.trouble;
  }

  /** Resolves when each of so many messages was answered. */
  async publish(count: number): Promise<void> {
    const first = this.#next;
    this.#next += count;
    this.#send({ type: "publish", first, count, apartMs: APART_MS });
    for (let number = first; number < first + count; number++) {
      await Promise.race([
        this.child.next("stored", (said) => said.number === number),
        this.child.next("rejected", (said) => said.number === number),
      ]);
    }
  }

  /** Resolves when a message was stored again: nobody did anything for it. How many had been refused till then. */
  async recovered(): Promise<number> {
    const deadlineMs = performance.now() + DEADLINE_MS;
    for (let refusedCount = 0; performance.now() < deadlineMs; refusedCount++) {
      await this.publish(1);
      if (this.stored.has(this.#next - 1)) return refusedCount;
      await delay(PROBE_EVERY_MS);
    }
    return assert.fail(`it did not recover within ${DEADLINE_MS} ms: ${this.troubles.at(-1)?.message}`);
  }

  /** Processor time that it has used, milliseconds. */
  cpuMs(): number {
    const fields = readFileSync(`/proc/${this.child.pid}/stat`, "utf8").split(") ")[1]!.split(" ");
    return (Number(fields[11]) + Number(fields[12])) * 1000 / TICKS_PER_SECOND;
  }

  /** Resolves when everything was delivered and the process has ended of itself. */
  async finish(): Promise<void> {
    this.#send({ type: "flush" });
    await this.child.next("flushed");
    await this.stop();
  }

  /** SIGKILL, for one that was started with words in front of its command. Resolves when it is dead. */
  async killTraced(): Promise<void> {
    killTraced(this.child.pid);
    await this.child.exited;
    this.#child = undefined;
  }

  /** Resolves when the process has ended of itself. */
  async stop(): Promise<void> {
    await this.child.stop();
    this.#child = undefined;
  }

  remove(): void {
    if (this.#child !== undefined) killTraced(this.#child.pid);
    this.#child?.kill();
    rmSync(this.#folder, { recursive: true, force: true });
  }

  /** What `publish()` said is what came of it, and whatever it complained of, it said clearly. */
  check(tally: Tally): void {
    assert.deepEqual([...this.stored].filter((number) => !tally.has(number)), [], "what was acknowledged has arrived");
    assert.deepEqual(tally.numbers.filter((number) => this.refused.has(number)), [], "what was refused has not arrived");
    const strange = tally.numbers.filter((number) => !this.stored.has(number) && !this.unknown.has(number));
    assert.deepEqual(strange, [], "what arrived was acknowledged, or it was said that nobody knew");
    assert.deepEqual([tally.duplicates, tally.outOfOrder, tally.altered], [0, 0, 0], "duplicates, out of order, altered");
    for (const trouble of this.troubles) checkTrouble(trouble);
  }

  #send(command: TroubledCommand): void {
    this.child.send(command);
  }

  #hear(said: TroubledSaid): void {
    if (said.type === "stored") this.stored.add(said.number);
    if (said.type === "error") this.errorCount++;
    if (said.type !== "rejected") return;
    (said.trouble.isStored === "unknown" ? this.unknown : this.refused).add(said.number);
    this.troubles.push(said.trouble);
  }
}

/** An error that a program can act on and a person can read. */
export function checkTrouble(trouble: Trouble): void {
  const { name, message, code, isStored, isCacheError } = trouble;
  const shown = JSON.stringify(trouble);
  assert(isCacheError && (name === "CacheError" || name === "CacheFullError"), `it is a CacheError: ${shown}`);
  assert.match(message, /^Cannot .+: .+/, "it says what cannot be done and why");
  assert.equal(name === "CacheFullError", code === "full", `a full disk is said to be full, nothing else is: ${shown}`);
  assert(code !== "full" || isStored === false, `what finds no room is not stored: ${shown}`);
}
