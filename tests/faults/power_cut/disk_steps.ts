/**
 * What the recorded calls did to one folder of the disk, step by step, and from which moment on each step was synced.
 *
 * A file is its contents; names lead to it. Two models say when a name is safe:
 *
 * - `strict`: once the folder that holds the name was synced. POSIX promises no more.
 * - `ext4`: also once any file was synced later, as that commits the journal with all that came before.
 *
 * @module
 */
import { dirname } from "node:path";
import { bytesOf, type Call, descriptorOf, pathsOf, plainArguments, type Trace } from "./trace.ts";

/** When names are safe. */
export type NameModel = "strict" | "ext4";

/** Contents that some name led to. */
export interface File {
  readonly steps: ContentStep[];
}

/** What a name leads to. */
export type Entry = { readonly kind: "folder" } | { readonly kind: "file"; readonly file: File };

interface Step {
  /** See `Call`. */
  readonly start: number;
  readonly end: number;
}

/** Bytes were written, or the file was cut or extended to a length. */
export type ContentStep =
  & Step
  & {
    /** Where the sync that covers it had returned; Infinity: none does. */
    syncedAt: number;
  }
  & ({ readonly kind: "write"; readonly offset: number; readonly bytes: Uint8Array } | {
    readonly kind: "resize";
    readonly length: number;
  });

/** Names came and went, all at once. */
export type NameStep = Step & {
  /** By model, as in `ContentStep`. */
  readonly safeAt: Record<NameModel, number>;
  readonly changes: readonly { readonly path: string; readonly entry: Entry | undefined }[];
};

/** All that happened to a folder. */
export interface DiskSteps {
  readonly root: string;
  readonly names: readonly NameStep[];
  /** Where syncs had returned. */
  readonly syncs: readonly number[];
}

/** The part of SQLite's shared memory: not meant to outlive a power cut, and written without calls. */
function isMemory(path: string): boolean {
  return path.endsWith("-shm");
}

/** What was there before the recording is given as `base`: whole and safe. */
export function readDiskSteps({ calls }: Trace, root: string, base: ReadonlyMap<string, Uint8Array | "folder"> = new Map()): DiskSteps {
  const reader = new StepReader(root);
  for (const [path, content] of base) reader.addBase(path, content);
  for (const call of calls) reader.take(call);
  return { root, names: reader.names, syncs: reader.syncs };
}

const BEFORE: Step = { start: -1, end: -1 };

class StepReader {
  readonly names: NameStep[] = [];
  readonly syncs: number[] = [];
  readonly #root: string;
  /** As a process sees them. */
  readonly #entries = new Map<string, Entry>();
  readonly #open = new Map<number, File>();

  constructor(root: string) {
    this.#root = root;
  }

  addBase(path: string, content: Uint8Array | "folder"): void {
    const file: File = { steps: [] };
    const entry: Entry = content === "folder" ? { kind: "folder" } : { kind: "file", file };
    if (content !== "folder") file.steps.push({ ...BEFORE, syncedAt: -1, kind: "write", offset: 0, bytes: content });
    this.#name(BEFORE, [{ path, entry }], -1);
  }

  take(call: Call): void {
    switch (call.name) {
      case "open":
      case "openat":
      case "creat":
        return this.#takeOpen(call);
      case "mkdir":
      case "mkdirat":
        return this.#ifHere(call, ([path = ""]) => this.#name(call, [{ path, entry: { kind: "folder" } }]));
      case "unlink":
      case "unlinkat":
      case "rmdir":
        return this.#ifHere(call, ([path = ""]) => this.#name(call, [{ path, entry: undefined }]));
      case "rename":
      case "renameat":
      case "renameat2":
        return this.#ifHere(call, ([from = "", to = ""]) => this.#rename(call, from, to));
      case "write":
      case "writev":
      case "pwrite64":
      case "pwritev":
        return this.#write(call);
      case "ftruncate":
        return this.#ifOpen(call, (file) => this.#resize(call, file, Number(plainArguments(call)[1])));
      case "fallocate":
        return this.#ifOpen(call, (file) => this.#allocate(call, file));
      case "fsync":
      case "fdatasync":
        return this.#sync(call);
      default:
        if (call.args.includes(hex(this.#root))) throw new Error(`Cannot rebuild the disk: it was changed by ${call.name}(${call.args})`);
    }
  }

  #takeOpen(call: Call): void {
    this.#ifHere(call, ([path = ""]) => {
      const { args, result } = call;
      let entry = this.#entries.get(path);
      if (entry === undefined) {
        if (!args.includes("O_CREAT") && call.name !== "creat") throw new Error(`Cannot rebuild the disk: nobody made ${path}`);
        entry = { kind: "file", file: { steps: [] } };
        this.#name(call, [{ path, entry }]);
      } else if (entry.kind === "file" && args.includes("O_TRUNC")) this.#resize(call, entry.file, 0);
      if (entry.kind === "file") this.#open.set(result, entry.file);
      else this.#open.delete(result);
    });
  }

  #rename(call: Call, from: string, to: string): void {
    const entry = this.#entries.get(from);
    if (entry?.kind !== "file") throw new Error(`Cannot rebuild the disk: ${from}, which was renamed, is not a file that is known`);
    this.#name(call, [{ path: from, entry: undefined }, { path: to, entry }]);
  }

  #write(call: Call): void {
    this.#ifOpen(call, (file) => {
      const isPositioned = call.name.startsWith("p");
      const offset = isPositioned ? Number(plainArguments(call).at(-1)) : this.#appendAt(file);
      file.steps.push({ start: call.start, end: call.end, syncedAt: Infinity, kind: "write", offset, bytes: bytesOf(call) });
    });
  }

  /** Files that are written without saying where are written once, from their beginning on. */
  #appendAt({ steps }: File): number {
    return steps.reduce((length, step) => step.kind === "write" ? Math.max(length, step.offset + step.bytes.length) : step.length, 0);
  }

  #resize({ start, end }: Step, { steps }: File, length: number): void {
    steps.push({ start, end, syncedAt: Infinity, kind: "resize", length });
  }

  #allocate(call: Call, file: File): void {
    const [, mode, offset, length] = plainArguments(call);
    if (mode !== "0") throw new Error(`Cannot rebuild the disk: fallocate in mode ${mode}`);
    this.#resize(call, file, Math.max(this.#appendAt(file), Number(offset) + Number(length)));
  }

  #sync(call: Call): void {
    const target = descriptorOf(call);
    if (target === undefined || !this.#isHere(target.target) || isMemory(target.target)) return;
    this.syncs.push(call.end);
    const file = this.#open.get(target.number);
    const isCovered = (step: Step) => step.end < call.start;
    const steps = file?.steps ?? [];
    for (let i = steps.length - 1; i >= 0 && steps[i]!.syncedAt === Infinity; i--) if (isCovered(steps[i]!)) steps[i]!.syncedAt = call.end;
    for (const step of this.names) {
      if (!isCovered(step)) continue;
      step.safeAt.ext4 = Math.min(step.safeAt.ext4, call.end);
      const isInside = step.changes.every(({ path }) => dirname(path) === target.target);
      if (file === undefined && isInside) step.safeAt.strict = Math.min(step.safeAt.strict, call.end);
    }
  }

  #name({ start, end }: Step, changes: NameStep["changes"], safeAt = Infinity): void {
    for (const { path, entry } of changes) {
      if (entry === undefined) this.#entries.delete(path);
      else this.#entries.set(path, entry);
    }
    this.names.push({ start, end, safeAt: { strict: safeAt, ext4: safeAt }, changes });
  }

  /** Runs `use` on the paths that the call names, if they are in the folder. */
  #ifHere(call: Call, use: (paths: readonly string[]) => void): void {
    const paths = pathsOf(call);
    if (this.#isHere(paths[0]) && !isMemory(paths[0]!)) use(paths);
  }

  /** Runs `use` on the file that the call's descriptor stands for, if it is in the folder. */
  #ifOpen(call: Call, use: (file: File) => void): void {
    const target = descriptorOf(call);
    if (target === undefined || !this.#isHere(target.target) || isMemory(target.target)) return;
    const file = this.#open.get(target.number);
    if (file === undefined) throw new Error(`Cannot rebuild the disk: ${target.target} is written, and nobody opened it`);
    use(file);
  }

  /** In it, or it itself: what lies within is safe from the start. */
  #isHere(path: string | undefined): boolean {
    return path !== undefined && (path === this.#root || path.startsWith(`${this.#root}/`));
  }
}

function hex(path: string): string {
  return [...new TextEncoder().encode(path)].map((byte) => `\\x${byte.toString(16).padStart(2, "0")}`).join("");
}
