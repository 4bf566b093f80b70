/**
 * Tar archives of plain files, as both registries use them: 512-byte headers, each followed by the file filled up to a multiple of 512 bytes.
 *
 * @module
 */
import { Buffer } from "node:buffer";

const BLOCK_BYTES = 512;

/** Contents by path; paths have no slash in front. */
export type Files = ReadonlyMap<string, Uint8Array>;

/** The files of an archive. */
export function unpack(archive: Uint8Array): Map<string, Uint8Array> {
  const files = new Map<string, Uint8Array>();
  const text = (from: number, length: number) =>
    new TextDecoder().decode(archive.subarray(from, from + length)).replace(/\0.*$/s, "").trim();
  for (let at = 0; at + BLOCK_BYTES <= archive.length && archive[at] !== 0;) {
    const type = text(at + 156, 1);
    if (type !== "0" && type !== "") throw new Error(`Cannot read the archive: it holds an entry of type "${type}"`);
    const prefix = text(at + 345, 155);
    const bytes = parseInt(text(at + 124, 12), 8);
    files.set((prefix === "" ? "" : `${prefix}/`) + text(at, 100), archive.slice(at + BLOCK_BYTES, at + BLOCK_BYTES + bytes));
    at += BLOCK_BYTES + Math.ceil(bytes / BLOCK_BYTES) * BLOCK_BYTES;
  }
  return files;
}

/** An archive of the files, in order. */
export function pack(files: Files): Uint8Array {
  const blocks: Uint8Array[] = [];
  for (const [path, contents] of files) {
    const header = new Uint8Array(BLOCK_BYTES);
    const write = (at: number, text: string) => header.set(new TextEncoder().encode(text), at);
    if (path.length > 100) throw new Error(`Cannot pack ${path}: its name is longer than 100 bytes`);
    write(0, path);
    write(100, "0000644\0");
    write(108, "0000000\0");
    write(116, "0000000\0");
    write(124, `${contents.length.toString(8).padStart(11, "0")}\0`);
    write(136, "00000000000\0");
    write(148, "        ");
    write(156, "0");
    write(257, "ustar\x0000");
    const sum = header.reduce((total, byte) => total + byte, 0);
    write(148, `${sum.toString(8).padStart(6, "0")}\0 `);
    blocks.push(header, contents, new Uint8Array((BLOCK_BYTES - contents.length % BLOCK_BYTES) % BLOCK_BYTES));
  }
  blocks.push(new Uint8Array(2 * BLOCK_BYTES));
  return Buffer.concat(blocks);
}
