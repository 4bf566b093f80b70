/**
 * The folder of a cache: made private, found, and looked at before anything in it is trusted.
 *
 * @module
 */
import { CacheError } from "../errors.ts";
import { isNotAllowed } from "./cache_errors.ts";
import type { Files, Machine, PathInfo } from "./ports.ts";

/** What is needed to judge a folder. */
export interface FolderContext {
  /** File calls. */
  readonly files: Files;
  /** Tells who the user is. */
  readonly machine: Machine;
  /** May anybody on this machine write there? */
  readonly allowSharedCache: boolean;
  /** Takes sentences for a person. */
  readonly warnings: string[];
}

const WRITABLE_BY_GROUP = 0o020;
const WRITABLE_BY_OTHERS = 0o002;
/** Below so many free bytes a person is told. */
const FREE_BYTES_WARNED = 64 * 1024 * 1024;

/** Makes the folder if it is missing and gives its path, absolute and without links. */
export function openFolder(cachePath: string, context: FolderContext): string {
  const { files } = context;
  checkPath(cachePath);
  const absolute = files.absolute(cachePath);
  makeFolder(absolute, context);
  const folder = files.resolve(absolute);
  const info = files.info(folder);
  if (info?.kind !== "folder") throw new CacheError("there is a file in its place", { code: "not-a-folder" });
  checkAccess(info, context);
  checkSpace(folder, context);
  return folder;
}

/** SQLite takes these for databases in memory or of no name: caches that forget. */
function checkPath(cachePath: string): void {
  if (cachePath === "" || cachePath === ":memory:" || cachePath.startsWith("file:") || cachePath.includes("\0")) {
    throw new CacheError("that is not the path of a folder", { code: "not-a-folder" });
  }
}

/** With its parents, each 0700, and each entered durably in its own parent. */
function makeFolder(path: string, context: FolderContext): void {
  const { files, warnings } = context;
  const parent = files.parent(path);
  try {
    if (!files.createFolder(path)) return;
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ENOENT" || parent === path) throw error;
    makeFolder(parent, context);
    files.createFolder(path);
  }
  try {
    files.syncFolder(parent);
  } catch (error) {
    if (!isNotAllowed(error)) throw error;
    warnings.push(
      `The new folder ${path} could not be synced in ${parent}, which may not be read: a power cut within seconds may take it away`,
    );
  }
}

function checkAccess({ mode, uid }: PathInfo, { machine, allowSharedCache, warnings }: FolderContext): void {
  if ((mode & WRITABLE_BY_OTHERS) !== 0 && !allowSharedCache) {
    throw new CacheError(`every user of this machine may write there (mode ${mode.toString(8)}); allowSharedCache takes it as it is`, {
      code: "world-writable",
    });
  }
  if ((mode & WRITABLE_BY_GROUP) !== 0) warnings.push(`The cache folder may be written by its group (mode ${mode.toString(8)})`);
  const user = machine.uid();
  if (user === undefined) warnings.push("Whose the cache folder is was not checked: this runtime may not tell the user (--allow-sys=uid)");
  else if (user !== uid) warnings.push(`The cache folder belongs to user ${uid}, this is user ${user}`);
}

function checkSpace(folder: string, { files, warnings }: FolderContext): void {
  const freeBytes = files.freeBytes(folder);
  if (freeBytes === undefined) warnings.push("Free space was not checked: this runtime may not tell it (--allow-sys=statfs)");
  else if (freeBytes < FREE_BYTES_WARNED) warnings.push(`Only ${freeBytes} bytes are free for the cache`);
}
