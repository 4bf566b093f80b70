/**
 * Texts and topics that are easily got wrong.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import fc from "fast-check";
import { topicNameOf } from "./text_oracle.ts";

/** Control characters and what Unicode calls no characters: MQTT lets a receiver refuse them [MQTT 5.0, 1.5.4], and mosquitto does. */
const REFUSABLE = /[\p{Cc}\p{NChar}]/u;
const LONE_SURROGATES = ["\ud800", "\udbff", "\udc00", "\udfff"] as const;

/** Characters that are easily mistaken, beside any others. */
const oddCharacter = fc.constantFrom(
  "/",
  "$",
  " ",
  "\ufeff",
  "\u0001",
  "\u001f",
  "\u007f",
  "\u0080",
  "\ufdd0",
  "\uffff",
  "€",
  "🌡️",
  "ß",
  '"',
  "\\",
);
/** Any character that MQTT carries in a text, and U+0000. */
export const anyCharacter = fc.oneof(
  { weight: 4, arbitrary: fc.string({ unit: "grapheme", minLength: 1, maxLength: 1 }) },
  { weight: 2, arbitrary: oddCharacter },
  { weight: 1, arbitrary: fc.string({ unit: "binary", minLength: 1, maxLength: 1 }) },
);
const wrongCharacter = fc.constantFrom("\0", "+", "#", ...LONE_SURROGATES);

/** Will every receiver take this text? */
export function isPlainText(text: string): boolean {
  return !REFUSABLE.test(text);
}

/** Text that MQTT carries. `isPlain`: and that every receiver takes. */
export function fieldText(isPlain: boolean, maxLength = 20): fc.Arbitrary<string> {
  return fc.string({ unit: anyCharacter, maxLength }).filter((text) => !text.includes("\0") && (!isPlain || isPlainText(text)));
}

/** Around the greatest length, in characters of one to four bytes. */
const longText = fc.tuple(fc.constantFrom("x", "é", "€", "😀"), fc.integer({ min: -3, max: 3 }), fc.string({ maxLength: 3 }))
  .map(([character, more, end]) => character.repeat(Math.trunc(65_535 / Buffer.byteLength(character)) + more) + end);

/** Any string at all, most of them nearly topic names. */
export const anyTopic: fc.Arbitrary<string> = fc.oneof(
  { weight: 40, arbitrary: fc.string({ unit: anyCharacter, maxLength: 30 }) },
  {
    weight: 20,
    arbitrary: fc.string({
      unit: fc.oneof({ weight: 9, arbitrary: anyCharacter }, { weight: 1, arbitrary: wrongCharacter }),
      maxLength: 15,
    }),
  },
  { weight: 10, arbitrary: fc.string({ unit: fc.constantFrom("a", ...LONE_SURROGATES), maxLength: 6 }) },
  { weight: 1, arbitrary: longText },
);

/** mosquitto takes no more levels than 200. */
const LEVEL_COUNT_MAX = 100;

/** Topic names. `isPlain`: that every broker takes and hands to a subscriber of all topics. */
export function topicName(isPlain: boolean): fc.Arbitrary<string> {
  return anyTopic.filter((topic) =>
    topicNameOf(topic) !== undefined &&
    (!isPlain || (isPlainText(topic) && !topic.startsWith("$") && topic.split("/").length <= LEVEL_COUNT_MAX))
  );
}
