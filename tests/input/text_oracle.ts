/**
 * What MQTT says of text, worked out byte by byte from the standards (OASIS MQTT 5.0, 1.5.4 and 4.7; RFC 3629), with nothing of the product
 * and of the runtime's own encoder.
 *
 * @module
 */

/** The longest that two bytes of length can say. */
export const FIELD_BYTES_MAX = 65_535;

/** UTF-8 of a string; `undefined` if one half of a surrogate pair stands in it without the other. */
export function utf8Of(text: string): Uint8Array | undefined {
  const bytes: number[] = [];
  for (let index = 0; index < text.length; index++) {
    let codePoint = text.charCodeAt(index);
    if (codePoint >= 0xdc00 && codePoint <= 0xdfff) return undefined;
    if (codePoint >= 0xd800 && codePoint <= 0xdbff) {
      const low = text.charCodeAt(++index);
      if (!(low >= 0xdc00 && low <= 0xdfff)) return undefined;
      codePoint = 0x10000 + ((codePoint - 0xd800) << 10) + (low - 0xdc00);
    }
    if (codePoint < 0x80) bytes.push(codePoint);
    else if (codePoint < 0x800) bytes.push(0xc0 | (codePoint >> 6), continuation(codePoint));
    else if (codePoint < 0x10000) bytes.push(0xe0 | (codePoint >> 12), continuation(codePoint >> 6), continuation(codePoint));
    else {
      bytes.push(0xf0 | (codePoint >> 18), continuation(codePoint >> 12), continuation(codePoint >> 6), continuation(codePoint));
    }
  }
  return Uint8Array.from(bytes);
}

function continuation(bits: number): number {
  return 0x80 | (bits & 0x3f);
}

/** Are these bytes UTF-8: no overlong form, no surrogate, nothing beyond U+10FFFF, nothing cut off? */
export function isUtf8(bytes: Uint8Array): boolean {
  for (let index = 0; index < bytes.length;) {
    const first = bytes[index++]!;
    if (first < 0x80) continue;
    const count = first >= 0xc2 && first <= 0xdf ? 1 : first >= 0xe0 && first <= 0xef ? 2 : first >= 0xf0 && first <= 0xf4 ? 3 : 0;
    if (count === 0) return false;
    let codePoint = first & (0x3f >> count);
    for (let each = 0; each < count; each++) {
      const byte = bytes[index++] ?? 0;
      if ((byte & 0xc0) !== 0x80) return false;
      codePoint = (codePoint << 6) | (byte & 0x3f);
    }
    const least = [0, 0x80, 0x800, 0x10000][count]!;
    if (codePoint < least || codePoint > 0x10ffff || (codePoint >= 0xd800 && codePoint <= 0xdfff)) return false;
  }
  return true;
}

/** The bytes of a string that MQTT can carry; `undefined` if it cannot carry it. */
export function fieldOf(text: string): Uint8Array | undefined {
  const bytes = utf8Of(text);
  return bytes === undefined || bytes.length > FIELD_BYTES_MAX || bytes.includes(0x00) ? undefined : bytes;
}

/** The bytes of a topic name; `undefined` if it is none. */
export function topicNameOf(text: string): Uint8Array | undefined {
  const bytes = fieldOf(text);
  return bytes === undefined || bytes.length === 0 || bytes.includes(0x2b) || bytes.includes(0x23) ? undefined : bytes;
}
