/**
 * Lives of a device, recorded: a real client publishes to a real broker under strace, and each life becomes the steps on its disk, the packets on
 * its wire and the acknowledgements to its caller, in one order.
 *
 * @module
 */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { PersistClientOptions } from "../../../mod.ts";
import { Child } from "../../support/child.ts";
import { killTraced, recordingTo } from "../../support/strace.ts";
import type { Acknowledgement } from "./account.ts";
import type { DeviceArgument, DeviceLife, DeviceSaid } from "./device.ts";
import { type DiskSteps, readDiskSteps } from "./disk_steps.ts";
import { CLIENT_ID } from "./inspect.ts";
import { bytesOf, type Call, descriptorOf, readTrace, type Trace } from "./trace.ts";
import { readWireFacts, type WireFact } from "./wire_facts.ts";

/** One life, as it can be judged. */
export interface RecordedLife {
  readonly disk: DiskSteps;
  readonly facts: readonly WireFact[];
  readonly acknowledgements: readonly Acknowledgement[];
  /** Where anything happened. */
  readonly moments: readonly number[];
  readonly databaseInode: number;
}

/** What a life is to be like. */
export interface LifePlan extends Omit<DeviceLife, "type" | "options"> {
  readonly options: Omit<PersistClientOptions, "clientId" | "cachePath">;
}

/** The folder within the disk that was there before: the client makes the rest of the path. */
const CACHE = join("var", "cache");
const DATABASE = join(CACHE, "outbox.sqlite3");

/** Where folders are made that nothing needs to outlive: in memory, where there is such a place. */
export function makeScratchFolder(): string {
  const memory = "/dev/shm";
  return mkdtempSync(join(existsSync(memory) ? memory : tmpdir(), "persistmq-power-cut-"));
}

/** The cache on a disk, or on what is left of one. */
export function cacheOn(disk: string): string {
  return join(disk, CACHE);
}

/** The database in that cache. */
export function databaseOn(disk: string): string {
  return join(disk, DATABASE);
}

/** A process under strace, with one disk: a folder that is there, and stays when the recorder is removed. */
export class Recorder {
  readonly #folder = makeScratchFolder();
  readonly #disk: string;
  readonly #saidPath = join(this.#folder, "said");
  readonly #tracePath = join(this.#folder, "trace");
  readonly #child: Child<DeviceSaid>;
  readonly #lives: { readonly base: Map<string, Uint8Array | "folder">; databaseInode: number }[] = [];

  constructor(disk: string) {
    this.#disk = disk;
    this.#child = new Child<DeviceSaid>(new URL("./device.ts", import.meta.url), { saidPath: this.#saidPath } satisfies DeviceArgument, {
      prefix: recordingTo(this.#tracePath),
      // Otherwise Deno looks for a newer version of itself.
      environment: { DENO_NO_UPDATE_CHECK: "1" },
    });
  }

  /** The device lives on the disk as it is. Resolves when that life is over. */
  async live({ options, ...plan }: LifePlan): Promise<void> {
    const life = { base: readFolder(this.#disk), databaseInode: 0 };
    this.#lives.push(life);
    const livedCount = this.#child.said.length;
    const command: DeviceLife = {
      type: "live",
      options: { reconnect: { delayMsMin: 20, delayMsMax: 100 }, ...options, clientId: CLIENT_ID, cachePath: cacheOn(this.#disk) },
      ...plan,
    };
    this.#child.send(command);
    await this.#child.next("lived", (said) => this.#child.said.indexOf(said) >= livedCount);
    life.databaseInode = statSync(join(this.#disk, DATABASE)).ino;
  }

  /**
   * Puts something else on the disk. If the database is to look restored it gets another inode; otherwise it keeps the one it has, or the client
   * would take it for a copy and not go on with its session.
   */
  replaceDisk(other: string, { isRestored }: { readonly isRestored: boolean }): void {
    const database = join(this.#disk, DATABASE);
    const keepsDatabase = !isRestored && existsSync(database) && existsSync(join(other, DATABASE));
    // Two files at the same time have two inodes.
    if (isRestored && existsSync(database)) renameSync(database, join(this.#folder, "replaced"));
    for (const path of [...readFolder(this.#disk).keys()].reverse()) {
      if (path !== this.#disk && !(keepsDatabase && database.startsWith(path))) rmSync(path, { recursive: true });
    }
    for (const [path, content] of readFolder(other)) {
      const place = join(this.#disk, path.slice(other.length));
      if (content === "folder") mkdirSync(place, { recursive: true, mode: 0o700 });
      else writeFileSync(place, content, { mode: 0o600 });
    }
  }

  /** Ends the process, and gives its lives. */
  async finish(): Promise<RecordedLife[]> {
    await this.#child.stop();
    return divide(readTrace(this.#tracePath), this.#saidPath).map((trace, i) => {
      const { base, databaseInode } = this.#lives[i]!;
      const disk = readDiskSteps(trace, this.#disk, base);
      const facts = readWireFacts(trace);
      const acknowledgements = readAcknowledgements(trace, this.#saidPath);
      const moments = [
        ...disk.names.flatMap(({ start, end }) => [start, end]),
        ...disk.syncs,
        ...trace.calls.filter(({ name }) => name === "pwrite64").flatMap(({ start, end }) => [start, end]),
        ...[...facts, ...acknowledgements].map(({ at }) => at),
      ].filter((at) => at >= 0);
      return { disk, facts, acknowledgements, moments: [...new Set(moments)].sort((a, b) => a - b), databaseInode };
    });
  }

  /** Ends what is left and removes what was recorded. */
  remove(): void {
    killTraced(this.#child.pid);
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** Everything in a folder, and the folder itself; parents first. */
export function readFolder(folder: string): Map<string, Uint8Array | "folder"> {
  const all = new Map<string, Uint8Array | "folder">([[folder, "folder"]]);
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) { for (const [inner, content] of readFolder(path)) all.set(inner, content); }
    else if (!entry.name.endsWith("-shm")) all.set(path, readFileSync(path));
  }
  return all;
}

function saidBy(call: Call, saidPath: string): string | undefined {
  return call.name === "write" && descriptorOf(call)?.target === saidPath ? bytesOf(call).toString() : undefined;
}

/** One trace for each life, its places those of the whole. */
function divide({ calls, length }: Trace, saidPath: string): Trace[] {
  const marks = calls.map((call) => ({ call, text: saidBy(call, saidPath) }));
  const begins = marks.filter(({ text }) => text === "begin\n").map(({ call }) => call.start);
  const ends = marks.filter(({ text }) => text === "end\n").map(({ call }) => call.start);
  return begins.map((begin, i) => ({ calls: calls.filter(({ start }) => start >= begin && start <= (ends[i] ?? length)), length }));
}

function readAcknowledgements({ calls }: Trace, saidPath: string): Acknowledgement[] {
  return calls.flatMap((call) => {
    const [, id, number] = /^ack (\d+) (\d+)\n$/.exec(saidBy(call, saidPath) ?? "") ?? [];
    return id === undefined ? [] : [{ at: call.start, id: Number(id), number: Number(number) }];
  });
}
