import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { crc32c } from "../../lib/store/checksum.ts";
import { Dice } from "../contracts/outbox_model.ts";

describe("crc32c()", () => {
  // RFC 3720, B.4, and the check value of every catalogue of CRCs.
  const known: readonly (readonly [string, Uint8Array, number])[] = [
    ["nothing", new Uint8Array(0), 0],
    ["the digits 1 to 9", new TextEncoder().encode("123456789"), 0xe306_9283],
    ["32 bytes of zeros", new Uint8Array(32), 0x8a91_36aa],
    ["32 bytes of ones", new Uint8Array(32).fill(0xff), 0x62a8_ab43],
    ["32 rising bytes", Uint8Array.from({ length: 32 }, (_, index) => index), 0x46dd_794e],
    ["32 falling bytes", Uint8Array.from({ length: 32 }, (_, index) => 31 - index), 0x113f_db5c],
  ];
  for (const [what, bytes, expected] of known) {
    test(`of ${what} is the published value`, () => assert.equal(crc32c(bytes), expected));
  }

  test("is the same in one piece and in two, wherever it is cut", () => {
    const dice = new Dice(7);
    const bytes = Uint8Array.from({ length: 41 }, () => dice.below(256));
    for (let cut = 0; cut <= bytes.length; cut++) {
      assert.equal(crc32c(bytes.subarray(cut), crc32c(bytes.subarray(0, cut))), crc32c(bytes));
      assert.equal(crc32c(bytes, 0, cut), crc32c(bytes.subarray(0, cut)));
    }
  });

  test("changes with every single bit", () => {
    const bytes = new Uint8Array(21).fill(0x5a);
    const seen = new Set([crc32c(bytes)]);
    for (let bit = 0; bit < bytes.length * 8; bit++) {
      bytes[bit >> 3]! ^= 1 << (bit & 7);
      seen.add(crc32c(bytes));
      bytes[bit >> 3]! ^= 1 << (bit & 7);
    }
    assert.equal(seen.size, bytes.length * 8 + 1);
  });
});
