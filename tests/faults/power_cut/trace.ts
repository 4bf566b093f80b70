/**
 * The calls that strace wrote down. A call has two places in the order of all of them: where it began, from which on it may have had its effect,
 * and where it had returned, from which on it has.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { resolve } from "node:path";

/** One call that succeeded. */
export interface Call {
  readonly name: string;
  /** Number of the line where it began. */
  readonly start: number;
  /** Number of the line where it had returned. */
  readonly end: number;
  /** What it returned. */
  readonly result: number;
  /** As strace wrote them: paths and bytes in hexadecimal digits. */
  readonly args: string;
}

/** A whole trace. */
export interface Trace {
  readonly calls: readonly Call[];
  /** One more than the last line's number. */
  readonly length: number;
}

const UNFINISHED = " <unfinished ...>";
const LINE = /^(\d+) +(.*)$/s;
const RESUMED = /^<\.\.\. (\w+) resumed>(.*)$/s;
const BEGUN = /^(\w+)\((.*)$/s;
const RETURNED = /^(.*)\) += (-?\d+|0x[0-9a-f]+|\?)/s;

/** Reads what `recordingTo()` recorded, but for calls that failed. */
export function readTrace(path: string): Trace {
  const lines = readFileSync(path, "latin1").split("\n");
  const begun = new Map<string, { name: string; start: number; args: string }>();
  const calls: Call[] = [];
  lines.forEach((line, number) => {
    const [, thread = "", text = ""] = LINE.exec(line) ?? [];
    const resumed = RESUMED.exec(text);
    let call = begun.get(thread);
    if (resumed !== null && call !== undefined) call.args += resumed[2];
    else {
      const [, name = "", rest = ""] = BEGUN.exec(text) ?? [];
      if (name === "") return; // a signal, or the end of a thread
      call = { name, start: number, args: rest };
    }
    if (call.args.endsWith(UNFINISHED)) {
      call.args = call.args.slice(0, -UNFINISHED.length);
      begun.set(thread, call);
      return;
    }
    begun.delete(thread);
    const [, args = "", returned] = RETURNED.exec(call.args) ?? [];
    const result = Number(returned);
    if (result >= 0) calls.push({ ...call, args, result, end: number });
  });
  return { calls: calls.sort((a, b) => a.start - b.start), length: lines.length };
}

/** Bytes that strace wrote as `\x..`. */
export function decodeBytes(text: string): Buffer {
  return Buffer.from(text.replaceAll("\\x", ""), "hex");
}

const STRING = /"((?:\\x[0-9a-f]{2})*)"(\.\.\.)?/g;

/** Every string among the arguments, paths or bytes. */
export function stringsOf({ name, args }: Call): Buffer[] {
  return [...args.matchAll(STRING)].map(([, text = "", rest]) => {
    if (rest !== undefined) throw new Error(`Cannot read the trace: the bytes of a ${name} are cut short`);
    return decodeBytes(text);
  });
}

const PATH = /(?:<((?:\\x[0-9a-f]{2})*)>, )?"((?:\\x[0-9a-f]{2})*)"/g;

/** Every path among the arguments, absolute. */
export function pathsOf({ args }: Call): string[] {
  return [...args.matchAll(PATH)].map(([, folder = "", path = ""]) => resolve(`/${decodeBytes(folder)}`, decodeBytes(path).toString()));
}

/** All bytes that a write or a read carried. */
export function bytesOf(call: Call): Buffer {
  return Buffer.concat(stringsOf(call)).subarray(0, call.result);
}

const DESCRIPTOR = /^(\d+)<((?:\\x[0-9a-f]{2})*)>/;

/** The descriptor that is the first argument, and what it stands for: a path, `socket:[4711]` and the like. */
export function descriptorOf({ args }: Call): { readonly number: number; readonly target: string } | undefined {
  const [, number, target] = DESCRIPTOR.exec(args) ?? [];
  return number === undefined ? undefined : { number: Number(number), target: decodeBytes(target!).toString() };
}

/** The arguments behind the strings and descriptors: numbers and flags. */
export function plainArguments({ args }: Call): readonly string[] {
  return args.replace(STRING, "").replace(/<(?:\\x[0-9a-f]{2})*>/g, "").split(",").map((word) => word.trim());
}
