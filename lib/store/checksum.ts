/**
 * CRC-32C (Castagnoli), the checksum of every stored row: it finds each single run of up to 32 damaged bits, and all but one in four billion of
 * other damage. SQLite's own checks look at the structure of the file, never at what a row holds.
 *
 * @module
 */

/** Castagnoli's polynomial, lowest bit first. */
const POLYNOMIAL = 0x82f63b78;

/** Table `n` carries one byte over `n` further ones, so that four bytes take one step. */
function makeTables(): readonly [Int32Array, Int32Array, Int32Array, Int32Array] {
  const tables = [new Int32Array(256), new Int32Array(256), new Int32Array(256), new Int32Array(256)] as const;
  for (let byte = 0; byte < 256; byte++) {
    let crc = byte;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ ((crc & 1) === 1 ? POLYNOMIAL : 0);
    tables[0][byte] = crc;
  }
  for (let byte = 0; byte < 256; byte++) {
    for (let n = 1; n < 4; n++) {
      const before = tables[n - 1]![byte]!;
      tables[n]![byte] = (before >>> 8) ^ tables[0][before & 0xff]!;
    }
  }
  return tables;
}

const [TABLE_0, TABLE_1, TABLE_2, TABLE_3] = makeTables();

/** Of the first `length` bytes, going on from the checksum of what came before. From 0 to 2^32 - 1. */
export function crc32c(bytes: Uint8Array, before = 0, length: number = bytes.length): number {
  let crc = ~before;
  let index = 0;
  for (const fours = length - 3; index < fours; index += 4) {
    crc ^= bytes[index]! | (bytes[index + 1]! << 8) | (bytes[index + 2]! << 16) | (bytes[index + 3]! << 24);
    crc = TABLE_3[crc & 0xff]! ^ TABLE_2[(crc >>> 8) & 0xff]! ^ TABLE_1[(crc >>> 16) & 0xff]! ^ TABLE_0[crc >>> 24]!;
  }
  for (; index < length; index++) crc = (crc >>> 8) ^ TABLE_0[(crc ^ bytes[index]!) & 0xff]!;
  return ~crc >>> 0;
}
