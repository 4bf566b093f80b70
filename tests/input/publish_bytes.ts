/**
 * MQTT packets read byte by byte, as the standard has them (OASIS MQTT 5.0, 2.1 and 3.3; the same but for the properties in 3.1.1), with nothing
 * of the product and of its codec: what it makes of a PUBLISH is what a stranger makes of it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";

/** Property identifiers of a PUBLISH (OASIS MQTT 5.0, 2.2.2.2). */
export const PROPERTY = {
  payloadFormatIndicator: 0x01,
  messageExpiryInterval: 0x02,
  contentType: 0x03,
  responseTopic: 0x08,
  correlationData: 0x09,
  userProperty: 0x26,
} as const;

/** One property: its identifier and what it holds, numbers as such, text and bytes as bytes; a user property holds a name and a value. */
export type WireProperty = readonly [id: number, ...values: readonly (number | Uint8Array)[]];

/** A PUBLISH as it stands on the wire. */
export interface WirePublish {
  readonly topic: Uint8Array;
  readonly payload: Uint8Array;
  readonly qos: number;
  readonly retain: boolean;
  readonly dup: boolean;
  /** 0 at QoS 0. */
  readonly packetId: number;
  /** In their order on the wire. */
  readonly properties: readonly WireProperty[];
}

/** Cuts a stream of bytes into packets. */
export class PacketReader {
  #chunks: Uint8Array[] = [];
  #byteCount = 0;

  /** The packets that are whole now. */
  add(chunk: Uint8Array): Uint8Array[] {
    this.#chunks.push(chunk);
    this.#byteCount += chunk.length;
    const packets: Uint8Array[] = [];
    for (let length = this.#length(); length <= this.#byteCount; length = this.#length()) {
      const all = this.#join();
      packets.push(all.subarray(0, length));
      this.#chunks = [all.subarray(length)];
      this.#byteCount -= length;
    }
    return packets;
  }

  /** Of the packet that has begun; Infinity while that is not known. */
  #length(): number {
    if (this.#byteCount < 2) return Infinity;
    const head = this.#chunks[0]!.length < 5 ? this.#join() : this.#chunks[0]!;
    const cursor = new Cursor(head, 1);
    const remaining = cursor.tryVariable();
    return remaining === undefined ? Infinity : cursor.at + remaining;
  }

  #join(): Uint8Array {
    if (this.#chunks.length > 1) this.#chunks = [Buffer.concat(this.#chunks)];
    return this.#chunks[0]!;
  }
}

/** Reads on, and fails where there is nothing left. */
class Cursor {
  readonly #bytes: Uint8Array;
  at: number;

  constructor(bytes: Uint8Array, at: number) {
    this.#bytes = bytes;
    this.at = at;
  }

  take(count: number): Uint8Array {
    assert.ok(this.at + count <= this.#bytes.length, `there are ${count} more bytes in the packet`);
    this.at += count;
    return this.#bytes.subarray(this.at - count, this.at);
  }

  number(byteCount: number): number {
    return this.take(byteCount).reduce((value, byte) => value * 256 + byte, 0);
  }

  /** Behind a length of two bytes. */
  field(): Uint8Array {
    return this.take(this.number(2));
  }

  variable(): number {
    const value = this.tryVariable();
    assert.ok(value !== undefined, "a variable byte integer is whole");
    return value;
  }

  /** A variable byte integer; `undefined` if it is not whole yet. */
  tryVariable(): number | undefined {
    let value = 0;
    for (let digit = 0; digit < 4; digit++) {
      const byte = this.#bytes[this.at + digit];
      if (byte === undefined) return undefined;
      value += (byte & 0x7f) * 128 ** digit;
      if (byte < 0x80) {
        this.at += digit + 1;
        return value;
      }
    }
    assert.fail("a variable byte integer has four bytes at most");
  }
}

/** What a PUBLISH says. Fails where it is malformed. */
export function decodePublish(packet: Uint8Array, protocolVersion: 4 | 5): WirePublish {
  const flags = packet[0]!;
  assert.equal(flags >> 4, 3, "it is a PUBLISH");
  const qos = (flags >> 1) & 3;
  assert.notEqual(qos, 3, "QoS is not 3 [MQTT-3.3.1-4]");
  const cursor = new Cursor(packet, 1);
  assert.equal(cursor.variable(), packet.length - cursor.at, "the remaining length is that of the rest");
  const topic = cursor.field();
  const packetId = qos === 0 ? 0 : cursor.number(2);
  const properties: WireProperty[] = [];
  if (protocolVersion === 5) {
    const length = cursor.variable();
    const end = cursor.at + length;
    while (cursor.at < end) properties.push(readProperty(cursor));
    assert.equal(cursor.at, end, "the properties are as long as they say");
  }
  return {
    topic,
    payload: packet.subarray(cursor.at),
    qos,
    retain: (flags & 1) === 1,
    dup: (flags & 8) === 8,
    packetId,
    properties,
  };
}

function readProperty(cursor: Cursor): WireProperty {
  const id = cursor.number(1);
  switch (id) {
    case PROPERTY.payloadFormatIndicator:
      return [id, cursor.number(1)];
    case PROPERTY.messageExpiryInterval:
      return [id, cursor.number(4)];
    case PROPERTY.contentType:
    case PROPERTY.responseTopic:
    case PROPERTY.correlationData:
      return [id, cursor.field()];
    case PROPERTY.userProperty:
      return [id, cursor.field(), cursor.field()];
    default:
      assert.fail(`a PUBLISH from here has no property 0x${id.toString(16)}`);
  }
}

/** A packet: its first byte, and the parts that follow its remaining length. */
export function encodePacket(first: number, ...parts: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const rest = Buffer.concat(parts.map((part) => Uint8Array.from(part)));
  const length: number[] = [];
  for (let left = rest.length; length.length === 0 || left > 0; left = Math.floor(left / 128)) {
    length.push(left % 128 + (left >= 128 ? 128 : 0));
  }
  return Buffer.concat([Uint8Array.of(first), Uint8Array.from(length), rest]);
}

/** Two bytes. */
export function encodeNumber(value: number): readonly number[] {
  return [value >> 8, value & 0xff];
}

/** Bytes behind their length. */
export function encodeField(text: string): Uint8Array {
  const bytes = Buffer.from(text);
  return Buffer.concat([Uint8Array.from(encodeNumber(bytes.length)), bytes]);
}
