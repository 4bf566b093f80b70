/**
 * File calls over `node:fs`, which both runtimes have.
 *
 * @module
 */
import * as fs from "node:fs";
import type { Files, PathInfo } from "../store/ports.ts";

/** What a runtime's path library does. */
export interface Paths {
  /** Absolute and normalized. */
  resolve(path: string): string;
  /** Joined and normalized. */
  join(...parts: string[]): string;
  /** Without the last part. */
  dirname(path: string): string;
}

const PERMISSION_BITS = 0o7777;
/** Does `code` say that the call found what it was not to find? */
const isExisting = (error: unknown): boolean => codeOf(error) === "EEXIST";
const isMissing = (error: unknown): boolean => codeOf(error) === "ENOENT";

function codeOf(error: unknown): unknown {
  return (error as { code?: unknown }).code;
}

/** Runs `call`; the errors that `isExpected` knows become `otherwise`. */
function unless<T>(isExpected: (error: unknown) => boolean, otherwise: T, call: () => T): T {
  try {
    return call();
  } catch (error) {
    if (isExpected(error)) return otherwise;
    throw error;
  }
}

function withOpen(path: string, flags: string, use: (descriptor: number) => void): void {
  const descriptor = fs.openSync(path, flags, 0o600);
  try {
    use(descriptor);
  } finally {
    fs.closeSync(descriptor);
  }
}

function kindOf(stats: fs.Stats): PathInfo["kind"] {
  return stats.isFile() ? "file" : stats.isDirectory() ? "folder" : stats.isSymbolicLink() ? "link" : "other";
}

/** The file calls of a runtime with these paths. */
export function createNodeFiles(paths: Paths): Files {
  const syncFolder = (path: string): void => withOpen(path, "r", fs.fsyncSync);
  return {
    absolute: (path) => paths.resolve(path),
    resolve: (path) => fs.realpathSync(path),
    join: (...parts) => paths.join(...parts),
    parent: (path) => paths.dirname(path),
    info(path) {
      const stats = fs.lstatSync(path, { throwIfNoEntry: false });
      if (stats === undefined) return undefined;
      const { dev: device, ino: inode, mode, uid, size: bytes } = stats;
      return { kind: kindOf(stats), device, inode, mode: mode & PERMISSION_BITS, uid, bytes };
    },
    createFolder: (path) => unless(isExisting, false, () => (fs.mkdirSync(path, { mode: 0o700 }), true)),
    createFile: (path) => unless(isExisting, false, () => (withOpen(path, "wx", () => {}), true)),
    restrict: (path) => fs.chmodSync(path, 0o600),
    readText: (path) => unless(isMissing, undefined, () => fs.readFileSync(path, "utf8")),
    writeText(path, text) {
      const beside = `${path}.new`;
      fs.rmSync(beside, { force: true });
      withOpen(beside, "wx", (descriptor) => {
        fs.writeFileSync(descriptor, text);
        fs.fsyncSync(descriptor);
      });
      fs.renameSync(beside, path);
      syncFolder(paths.dirname(path));
    },
    remove: (path) => unless(isMissing, undefined, () => fs.unlinkSync(path)),
    rename: (from, to) => fs.renameSync(from, to),
    syncFolder,
    list: (path) => fs.readdirSync(path),
    freeBytes(path) {
      const { bavail, bsize } = fs.statfsSync(path);
      return bavail * bsize;
    },
  };
}
