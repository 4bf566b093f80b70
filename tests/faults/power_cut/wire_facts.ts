/**
 * The MQTT packets that the recorded process wrote to its broker and read from it, each with the moment from which on it may have had its effect:
 * where the call began that wrote its first byte, or that read its last.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { bytesOf, descriptorOf, type Trace } from "./trace.ts";

/** One packet. */
export type WireFact =
  & { readonly at: number }
  & (
    | { readonly type: "connect" }
    | { readonly type: "connack"; readonly isSessionPresent: boolean }
    | {
      readonly type: "publish";
      readonly qos: number;
      readonly isRepeat: boolean;
      /** 0 at QoS 0. */
      readonly packetId: number;
      readonly payload: Uint8Array;
    }
    | { readonly type: "puback" | "pubrec" | "pubrel" | "pubcomp"; readonly packetId: number }
  );

const READS = ["recvfrom", "recvmsg"];
const WRITES = ["sendto", "sendmsg", "write", "writev"];
const TYPE = { connect: 1, connack: 2, publish: 3, puback: 4, pubrec: 5, pubrel: 6, pubcomp: 7 } as const;

/** In the order in which they came. Only connections on which CONNECT was written are looked at. */
export function readWireFacts({ calls }: Trace): WireFact[] {
  const facts: WireFact[] = [];
  const connections = new Map<string, Connection>();
  for (const call of calls) {
    const isRead = READS.includes(call.name);
    if (!isRead && !WRITES.includes(call.name)) continue;
    const socket = descriptorOf(call)?.target ?? "";
    if (!socket.startsWith("socket:") || call.result === 0) continue;
    const bytes = bytesOf(call);
    let connection = connections.get(socket);
    if (connection === undefined) {
      if (isRead || bytes[0]! >> 4 !== TYPE.connect) continue;
      connection = new Connection(facts);
      connections.set(socket, connection);
    }
    connection.take(isRead ? "down" : "up", bytes, call.start);
  }
  return facts.sort((a, b) => a.at - b.at);
}

class Connection {
  readonly #facts: WireFact[];
  readonly #rest = { up: Buffer.alloc(0), down: Buffer.alloc(0) };
  /** Where the first of the bytes that are left was written. */
  #begunAt = 0;
  #protocolVersion = 4;

  constructor(facts: WireFact[]) {
    this.#facts = facts;
  }

  take(direction: "up" | "down", bytes: Buffer, at: number): void {
    if (direction === "up" && this.#rest.up.length === 0) this.#begunAt = at;
    let rest = Buffer.concat([this.#rest[direction], bytes]);
    for (let packet = nextPacket(rest); packet !== undefined; packet = nextPacket(rest)) {
      const fact = this.#decode(packet, direction === "up" ? this.#begunAt : at);
      if (fact !== undefined) this.#facts.push(fact);
      rest = rest.subarray(packet.length);
      this.#begunAt = at;
    }
    this.#rest[direction] = rest;
  }

  #decode({ first, body }: Packet, at: number): WireFact | undefined {
    const type = first >> 4;
    if (type === TYPE.connect) {
      this.#protocolVersion = body[2 + body.readUInt16BE(0)]!;
      return { at, type: "connect" };
    }
    if (type === TYPE.connack) return { at, type: "connack", isSessionPresent: (body[0]! & 1) === 1 };
    if (type === TYPE.publish) return this.#decodePublish(first, body, at);
    for (const name of ["puback", "pubrec", "pubrel", "pubcomp"] as const) {
      if (type !== TYPE[name]) continue;
      if ((body[2] ?? 0) >= 0x80) throw new Error(`Cannot use the recording: a ${name} refuses, with reason code ${body[2]}`);
      return { at, type: name, packetId: body.readUInt16BE(0) };
    }
    return undefined;
  }

  #decodePublish(first: number, body: Buffer, at: number): WireFact {
    const qos = (first >> 1) & 3;
    let offset = 2 + body.readUInt16BE(0);
    const packetId = qos === 0 ? 0 : body.readUInt16BE(offset);
    if (qos > 0) offset += 2;
    if (this.#protocolVersion === 5) {
      const [length, lengthBytes] = readLength(body, offset)!;
      offset += lengthBytes + length;
    }
    return { at, type: "publish", qos, isRepeat: (first & 8) !== 0, packetId, payload: body.subarray(offset) };
  }
}

interface Packet {
  readonly first: number;
  readonly body: Buffer;
  /** Of the whole. */
  readonly length: number;
}

function nextPacket(bytes: Buffer): Packet | undefined {
  const [remaining, lengthBytes] = readLength(bytes, 1) ?? [Infinity, 0];
  const length = 1 + lengthBytes + remaining;
  return length > bytes.length ? undefined : { first: bytes[0]!, body: bytes.subarray(1 + lengthBytes, length), length };
}

/** MQTT's variable byte integer: its value, and how many bytes it has. */
function readLength(bytes: Buffer, offset: number): [value: number, bytes: number] | undefined {
  let value = 0;
  for (let i = 0; offset + i < bytes.length; i++) {
    value += (bytes[offset + i]! & 0x7f) * 128 ** i;
    if (bytes[offset + i]! < 0x80) return [value, i + 1];
  }
  return undefined;
}
