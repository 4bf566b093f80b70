/**
 * The few checks that options and messages share. Each throws `<action>: <what is wrong, with the value>`.
 *
 * @module
 */

/** Greatest delay that a timer takes, milliseconds: 2^31 - 1, some 24 days. */
export const TIMER_MS_MAX = 2_147_483_647;

/** MQTT strings and binary fields carry their length in two bytes. */
export const FIELD_BYTES_MAX = 65_535;

/** Greatest Remaining Length of an MQTT packet, bytes (OASIS MQTT 5.0, 1.5.5). */
export const REMAINING_LENGTH_MAX = 268_435_455;

const SHOWN_CHARACTERS_MAX = 100;

const encoder = new TextEncoder();

/** A value for an error message: short, on one line, and never what is inside an object. */
export function show(value: unknown): string {
  if (typeof value === "string") return onOneLine(JSON.stringify(shorten(value)));
  if (typeof value === "bigint") return shorten(`${value}n`);
  if (typeof value === "function") return "a function";
  if (Array.isArray(value)) return "an array";
  if (typeof value === "object" && value !== null) {
    return isRecord(value) ? "an object" : `an object (${onOneLine(shorten(kindOf(value)))})`;
  }
  return onOneLine(shorten(String(value)));
}

/** Control characters and line ends, some of which JSON leaves as they are, as their numbers: a terminal or a log would obey them. */
function onOneLine(text: string): string {
  return text.replaceAll(/[\p{Cc}\p{Zl}\p{Zp}]/gu, (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, "0")}`);
}

function shorten(text: string): string {
  return text.length > SHOWN_CHARACTERS_MAX ? `${text.slice(0, SHOWN_CHARACTERS_MAX)}…` : text;
}

/** An object of names and values. Not a Map, a promise, a Date or the like: what such a one holds, no name shows. */
export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && kindOf(value) === "Object";
}

function kindOf(value: object): string {
  return Object.prototype.toString.call(value).slice("[object ".length, -1);
}

/**
 * Reads the named keys of an options object, each once, so that a getter which changes its mind is heard once. Refuses keys that are not
 * named: a misspelt option must not be taken for its default.
 */
export function readKeys<Key extends string>(
  given: unknown,
  keys: readonly Key[],
  action: string,
  what: string,
): Partial<Record<Key, unknown>> {
  if (given === undefined) return {};
  if (!isRecord(given)) {
    throw new TypeError(`${action}: ${what} are ${show(given)}, not an object with any of ${keys.join(", ")}`);
  }
  for (const key of Reflect.ownKeys(given)) {
    if (typeof key !== "string" || !(keys as readonly string[]).includes(key)) {
      throw new TypeError(`${action}: unknown key ${show(key)} in ${what}; known are ${keys.join(", ")}`);
    }
  }
  const read: Partial<Record<Key, unknown>> = {};
  for (const key of keys) {
    const value = given[key];
    if (value !== undefined) read[key] = value;
  }
  return read;
}

/** A whole number within bounds. */
export function checkInteger(value: unknown, name: string, min: number, max: number, action: string): number {
  if (typeof value !== "number") throw new TypeError(`${action}: ${name} is ${show(value)}, not a number`);
  if (!Number.isInteger(value) || value < min || value > max) {
    throw new RangeError(`${action}: ${name} is ${value}, not a whole number from ${min} to ${max}`);
  }
  return value;
}

/** True or false, nothing that is like it. */
export function checkBoolean(value: unknown, name: string, action: string): boolean {
  if (typeof value !== "boolean") throw new TypeError(`${action}: ${name} is ${show(value)}, not true or false`);
  return value;
}

/** One of a few words. */
export function checkWord<Word extends string>(value: unknown, name: string, words: readonly Word[], action: string): Word {
  if (!(words as readonly unknown[]).includes(value)) {
    throw new TypeError(`${action}: ${name} is ${show(value)}, not ${words.map((word) => JSON.stringify(word)).join(" or ")}`);
  }
  return value as Word;
}

/** A string that MQTT can carry: well-formed Unicode without U+0000, at most 65,535 bytes of UTF-8. How many bytes it has. */
export function checkText(value: unknown, name: string, action: string): number {
  if (typeof value !== "string") throw new TypeError(`${action}: ${name} is ${show(value)}, not a string`);
  if (!value.isWellFormed()) throw new TypeError(`${action}: ${name} has half of a surrogate pair, which UTF-8 cannot carry`);
  if (value.includes("\0")) throw new TypeError(`${action}: ${name} has the character U+0000`);
  const bytes = utf8ByteCount(value);
  if (bytes > FIELD_BYTES_MAX) throw new RangeError(`${action}: ${name} has ${bytes} bytes of UTF-8, more than ${FIELD_BYTES_MAX}`);
  return bytes;
}

/** How many bytes of UTF-8 a well-formed string has. */
export function utf8ByteCount(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    // Each half of a surrogate pair counts two: together the four bytes of their character.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

/** UTF-8. */
export function encodeText(text: string): Uint8Array {
  return encoder.encode(text);
}

/** A signal to wait with. */
export function checkSignal(value: unknown, action: string): AbortSignal | undefined {
  if (value !== undefined && !(value instanceof AbortSignal)) {
    throw new TypeError(`${action}: signal is ${show(value)}, not an AbortSignal`);
  }
  return value;
}
