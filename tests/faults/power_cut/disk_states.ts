/**
 * What a disk may hold after the power was cut: all that was synced, and of the rest, which was on its way, whatever chance has left of it.
 *
 * @module
 */
import { mkdirSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { SeededRandom } from "../../simulation/seeded_random.ts";
import type { ContentStep, DiskSteps, Entry, File, NameModel, NameStep } from "./disk_steps.ts";

/**
 * What has become of that which was not synced: nothing has arrived, everything has, some writes have, or some 512-byte sectors have. Names
 * follow: on `ext4` they arrive in order, on `strict` each by itself.
 */
export type Remnant = "none" | "all" | "some" | "torn";

/** One moment at which the power is cut, and what is left then. */
export interface Cut {
  /** The lines of the trace from this one on never happened. */
  readonly at: number;
  readonly names: NameModel;
  readonly remnant: Remnant;
  /** Of chance. */
  readonly seed: number;
  /** Right after something left: an acknowledgement or a packet. */
  readonly isBoundary: boolean;
}

const SECTOR_BYTES = 512;

/** Contents as far as they are safe, which grow from cut to cut. */
class SafeContent {
  #bytes = new Uint8Array(0);
  #length = 0;
  #stepCount = 0;

  /** Takes what was synced before `at`, and gives what was begun and is not. */
  advance({ steps }: File, at: number): ContentStep[] {
    for (let step = steps[this.#stepCount]; step !== undefined && step.syncedAt < at; step = steps[++this.#stepCount]) this.#apply(step);
    return steps.slice(this.#stepCount).filter((step) => step.start < at);
  }

  /** With these steps besides. */
  with(steps: readonly ContentStep[]): Uint8Array {
    if (steps.length === 0) return this.#bytes.subarray(0, this.#length);
    const copy = new SafeContent();
    copy.#bytes = this.#bytes.slice(0, this.#length);
    copy.#length = this.#length;
    for (const step of steps) copy.#apply(step);
    return copy.#bytes.subarray(0, copy.#length);
  }

  #apply(step: ContentStep): void {
    if (step.kind === "resize") {
      this.#bytes.fill(0, step.length, this.#length);
      this.#reserve(step.length);
      this.#length = step.length;
    } else {
      const end = step.offset + step.bytes.length;
      this.#reserve(end);
      this.#bytes.set(step.bytes, step.offset);
      this.#length = Math.max(this.#length, end);
    }
  }

  #reserve(length: number): void {
    if (length <= this.#bytes.length) return;
    const bytes = new Uint8Array(Math.max(length, 2 * this.#bytes.length));
    bytes.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = bytes;
  }
}

/** Makes the states of one recording. Cuts must come in the order of their moments. */
export class DiskStates {
  readonly #disk: DiskSteps;
  readonly #contents = new Map<File, SafeContent>();
  #lastAt = -1;

  constructor(disk: DiskSteps) {
    this.#disk = disk;
  }

  /** Writes the state to a folder that stands for the recorded one, emptied before. */
  write({ at, names, remnant, seed }: Cut, folder: string): void {
    const random = new SeededRandom(seed);
    if (at < this.#lastAt) throw new Error(`Cannot cut at ${at}: the last cut was at ${this.#lastAt}`);
    this.#lastAt = at;
    rmSync(folder, { recursive: true, force: true });
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    const entries = this.#entries(at, names, remnant, random);
    // Parents come before what is in them.
    for (const path of [...entries.keys()].sort()) {
      const place = join(folder, path.slice(this.#disk.root.length));
      const entry = entries.get(path)!;
      if (path !== this.#disk.root && dirname(path) !== this.#disk.root && entries.get(dirname(path))?.kind !== "folder") continue;
      if (entry.kind === "folder") mkdirSync(place, { recursive: true, mode: 0o700 });
      else writeFileSync(place, this.#content(entry.file, at, remnant, random), { mode: 0o600 });
    }
  }

  #entries(at: number, model: NameModel, remnant: Remnant, random: SeededRandom): Map<string, Entry> {
    const begun = this.#disk.names.filter(({ start }) => start < at);
    const isSafe = ({ safeAt }: NameStep) => safeAt[model] < at;
    const unsafeCount = begun.filter((step) => !isSafe(step)).length;
    // In the order of the journal a part arrives from its beginning.
    let arriving = remnant === "all" ? Infinity : remnant === "none" ? 0 : random.below(unsafeCount + 1);
    const kept = begun.filter((step) => {
      if (isSafe(step) || remnant === "all") return true;
      return model === "ext4" ? arriving-- > 0 : remnant !== "none" && random.chance(0.5);
    });
    const entries = new Map<string, Entry>();
    for (const { path, entry } of kept.flatMap(({ changes }) => changes)) {
      if (entry === undefined) entries.delete(path);
      else entries.set(path, entry);
    }
    return entries;
  }

  #content(file: File, at: number, remnant: Remnant, random: SeededRandom): Uint8Array {
    const content = this.#contents.get(file) ?? new SafeContent();
    this.#contents.set(file, content);
    const unsafe = content.advance(file, at);
    switch (remnant) {
      case "none":
        return content.with([]);
      case "all":
        return content.with(unsafe);
      case "some":
        return content.with(unsafe.filter(() => random.chance(0.5)));
      case "torn":
        return content.with(unsafe.flatMap((step) => random.chance(0.5) ? tear(step, random) : random.chance(0.5) ? [step] : []));
    }
  }
}

/** The sectors of a write that have arrived. */
function tear(step: ContentStep, random: SeededRandom): ContentStep[] {
  if (step.kind === "resize") return [step];
  const sectors: ContentStep[] = [];
  for (let offset = step.offset; offset < step.offset + step.bytes.length;) {
    const end = Math.min(step.offset + step.bytes.length, (Math.floor(offset / SECTOR_BYTES) + 1) * SECTOR_BYTES);
    if (random.chance(0.5)) sectors.push({ ...step, offset, bytes: step.bytes.subarray(offset - step.offset, end - step.offset) });
    offset = end;
  }
  return sectors;
}
