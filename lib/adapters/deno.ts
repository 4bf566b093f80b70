/**
 * What Deno lends: `node:sqlite`, `@std/path`, `@std/fs`, and the file calls that it shares with Node. It asks for no permission that it can do
 * without: what was not granted is unknown, and nobody is prompted for it.
 *
 * @module
 */
import process from "node:process";
import type { Runtime } from "../runtime.ts";
import type { Files, Machine, PathInfo } from "../store/ports.ts";
import { createNodeFiles } from "./node_files.ts";
import { BOOT_ID_PATH, nodeMachine } from "./node_machine.ts";
import { openNodeDatabase } from "./node_sqlite.ts";
import { webClock, webRandom } from "./web_clock.ts";

/** Call it on Deno only. */
export async function openRuntime(): Promise<Runtime> {
  // Not by static imports: those would end a compiled Bun worker at its start, where neither exists.
  const path = await import("@std/path");
  const { existsSync } = await import("@std/fs");
  const files = createNodeFiles({
    resolve: path.resolve,
    join: (first = ".", ...others) => path.join(first, ...others),
    dirname: path.dirname,
  });
  return {
    name: "deno",
    clock: webClock,
    random: webRandom,
    files: withCodes({
      ...files,
      info,
      syncFolder(folder) {
        if (!isGranted({ name: "read", path: folder })) throw notAllowed(`Requires read access to "${folder}"`);
        files.syncFolder(folder);
      },
      freeBytes: (folder) => isGranted({ name: "sys", kind: "statfs" }) ? files.freeBytes(folder) : undefined,
    }),
    machine: createMachine(existsSync),
    openDatabase: openNodeDatabase,
  };
}

function isGranted(descriptor: Deno.PermissionDescriptor): boolean {
  return Deno.permissions.querySync(descriptor).state === "granted";
}

/** Asked before every batch is reported stored; Deno's own call takes a quarter of the time of Node's. */
function info(path: string): PathInfo | undefined {
  try {
    const { isFile, isDirectory, isSymlink, dev, ino, mode, uid, size } = Deno.lstatSync(path);
    const kind = isFile ? "file" : isDirectory ? "folder" : isSymlink ? "link" : "other";
    return { kind, device: dev, inode: ino ?? 0, mode: (mode ?? 0) & 0o7777, uid: uid ?? 0, bytes: size };
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

function notAllowed(message: string, cause?: unknown): Error {
  return Object.assign(new Error(message, { cause }), { code: "EACCES" });
}

/** Deno's refusals carry no code of the system. */
function withCodes(files: Files): Files {
  const coded = Object.entries(files).map(([name, call]) => [name, (...values: unknown[]) => {
    try {
      return call(...values);
    } catch (error) {
      throw error instanceof Deno.errors.NotCapable ? notAllowed(error.message, error) : error;
    }
  }]);
  return Object.fromEntries(coded);
}

function createMachine(existsSync: (path: string) => boolean): Machine {
  return {
    ...nodeMachine,
    uid: () => isGranted({ name: "sys", kind: "uid" }) ? nodeMachine.uid() : undefined,
    hostname: () => isGranted({ name: "sys", kind: "hostname" }) ? nodeMachine.hostname() : undefined,
    bootId: () => isGranted({ name: "read", path: BOOT_ID_PATH }) ? nodeMachine.bootId() : undefined,
    isAlive(pid) {
      if (pid === process.pid) return true;
      if (isGranted({ name: "run" })) return nodeMachine.isAlive(pid);
      const folder = `/proc/${pid}`;
      if (Deno.build.os !== "linux" || !isGranted({ name: "read", path: folder })) return undefined;
      try {
        return existsSync(folder);
      } catch {
        return undefined; // Leave to read files is not enough for these: Deno wants all that there is.
      }
    },
  };
}
