/**
 * Bytes that no broker should send: random ones, and packets that are almost right.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { SeededRandom } from "../simulation/seeded_random.ts";
import { counted, hex, int16, text, type Wire } from "./bytes.ts";

/** None of them is an acknowledgement for a packet id below this. */
export const QUIET_PACKET_IDS = 256;

/** PUBACK, PUBREC and PUBCOMP. */
const ACKNOWLEDGEMENTS = new Set([4, 5, 7]);
/** Type, and at most four bytes of length. */
const HEADER_BYTES_MAX = 5;

/** Bytes of one moment of madness. */
export function noise(random: SeededRandom, wire: Wire): Buffer {
  for (;;) {
    const parts = Array.from({ length: 1 + random.below(4) }, () => random.chance(0.3) ? randomBytes(random) : damaged(random, wire));
    const bytes = Buffer.concat(parts);
    if (bytes.length > 0 && !mayAcknowledge(bytes)) return bytes;
  }
}

function randomBytes(random: SeededRandom): Buffer {
  return Buffer.from(Array.from({ length: 1 + random.below(60) }, () => random.below(256)));
}

/** A packet to which one or two things have happened, or none. */
function damaged(random: SeededRandom, wire: Wire): Buffer {
  let bytes = Buffer.from(packet(random, wire), "hex");
  for (let count = random.below(3); count > 0 && bytes.length > 0; count--) {
    const at = random.below(bytes.length);
    switch (random.below(5)) {
      case 0: // a bit
        bytes[at] = bytes[at]! ^ (1 << random.below(8));
        break;
      case 1: // the type, the flags or the length
        bytes[random.below(2) % bytes.length] = random.below(256);
        break;
      case 2: // cut short
        bytes = bytes.subarray(0, at);
        break;
      case 3: // a byte too many
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.of(random.below(256)), bytes.subarray(at)]);
        break;
      default: // a byte too few
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(at + 1)]);
    }
  }
  return bytes;
}

function packet(random: SeededRandom, wire: Wire): string {
  const packetId = QUIET_PACKET_IDS + random.below(65_536 - QUIET_PACKET_IDS);
  const isFive = wire.version === 5;
  const code = random.pick([0, 0x10, 0x80, 0x87, 0x91, 0x92, 0x97]);
  const properties = isFive ? counted(random.pick(["", `1f${text("why")}`, `26${text("a")}${text("b")}`, "230001", "0101"])) : "";
  const acknowledgement = (type: string) =>
    type + counted(int16(packetId) + (isFive && random.chance(0.5) ? hex(Uint8Array.of(code)) + properties : ""));
  return random.pick([
    () => acknowledgement("40"),
    () => acknowledgement("50"),
    () => acknowledgement("62"),
    () => acknowledgement("70"),
    () => wire.publish({ qos: 0, payload: "stray", topic: "x" }),
    () => wire.publish({ qos: 1, payload: "stray", topic: "x" }, packetId),
    () => wire.publish({ qos: 2, payload: "stray", topic: "x" }, packetId),
    () => "90" + counted(int16(packetId) + (isFive ? properties : "") + "00"),
    () => "b0" + counted(int16(packetId) + (isFive ? properties + "00" : "")),
    () => "d000",
    () => "e0" + counted(random.chance(0.5) ? "" : "8b00"),
    () => "f0" + counted(`18${properties}`),
    () => wire.connack({ isPresent: random.chance(0.5) }),
    () => wire.connect({ isClean: random.chance(0.5) }),
  ])();
}

/** Wherever a packet is taken to begin. */
function mayAcknowledge(bytes: Buffer): boolean {
  for (let at = 0; at < bytes.length; at++) {
    if (!ACKNOWLEDGEMENTS.has(bytes[at]! >> 4)) continue;
    for (let id = at + 2; id <= at + HEADER_BYTES_MAX && id + 1 < bytes.length; id++) {
      if (bytes.readUInt16BE(id) < QUIET_PACKET_IDS) return true;
    }
  }
  return false;
}
