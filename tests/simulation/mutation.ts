/**
 * The simulator over a core with one fault in it: a copy of the shipped sources, patched by exact text, loaded from a folder of its own.
 */
import { cpSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import type { Disk } from "./memory_outbox.ts";

/** Replaces one place in one file below `lib/`. */
export interface Patch {
  readonly file: string;
  readonly find: string;
  readonly replace: string;
}

/** Packet ids come round quickly, so that what is wrong with them shows in a short life. */
export const FEW_PACKET_IDS: Patch = {
  file: "core/message.ts",
  find: "export const PACKET_ID_MAX = 65_279;",
  replace: "export const PACKET_ID_MAX = 16;",
};

/** The core's own assertions would stop a mutant before it does any harm; here the harm is to be seen. */
export const NO_ASSERTIONS: Patch = {
  file: "core/assert.ts",
  find: "if (!condition) throw",
  replace: "if (false as boolean) throw",
};

/** What a simulation needs of `lib/`. */
const SOURCES = ["core", "store", "errors.ts", "runtime.ts", "adapters/node_sqlite.ts"];

/** The patched one. */
export interface Simulator extends Pick<typeof import("./simulate.ts"), "simulate" | "shrink"> {
  /** The real outbox, patched too. */
  readonly newSqliteDisk: () => Disk;
}

const root = fileURLToPath(new URL("../../", import.meta.url));

/** Loads it, calls `use`, and removes it. */
export async function withPatchedSimulator<T>(patches: readonly Patch[], use: (simulator: Simulator) => T): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "persistmq-mutant-"));
  try {
    for (const name of SOURCES) cpSync(join(root, "lib", name), join(folder, "lib", name), { recursive: true });
    for (const name of readdirSync(join(root, "tests/simulation"))) {
      if (!name.endsWith("_test.ts")) {
        cpSync(join(root, "tests/simulation", name), join(folder, "tests/simulation", name), { recursive: true });
      }
    }
    for (const patch of patches) apply(patch, join(folder, "lib", patch.file));
    const load = (name: string) => import(pathToFileURL(join(folder, "tests/simulation", name)).href);
    const { simulate, shrink }: typeof import("./simulate.ts") = await load("simulate.ts");
    const { SqliteDisk }: typeof import("./sqlite_disk.ts") = await load("sqlite_disk.ts");
    return use({ simulate, shrink, newSqliteDisk: () => new SqliteDisk() });
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function apply({ file, find, replace }: Patch, path: string): void {
  const text = readFileSync(path, "utf8");
  const count = text.split(find).length - 1;
  if (count !== 1) throw new Error(`Cannot patch ${file}: the text stands there ${count} times, not once: ${find}`);
  writeFileSync(path, text.replace(find, () => replace));
}
