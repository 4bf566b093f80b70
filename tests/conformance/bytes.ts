/**
 * MQTT packets in hexadecimal, written down from the standard: what the client sends is measured against this, and not against a codec.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import type { ProtocolVersion, QoS } from "../../lib/core/message.ts";

/** A message to publish, and what its MQTT 5 properties look like on the wire. */
export interface Letter {
  readonly qos: QoS;
  readonly payload: string;
  readonly topic?: string;
  readonly retain?: boolean;
  /** In hexadecimal, without the length in front of them. */
  readonly properties?: string;
}

/** A CONNECT. */
export interface Connect {
  readonly isClean: boolean;
  readonly clientId?: string;
  readonly keepAliveSeconds?: number;
  readonly sessionExpirySeconds?: number;
}

/** The topic of letters that name none. */
export const TOPIC = "t";
/** In full: it has no length, but says so. */
export const PINGREQ = "c000";
export const PINGRESP = "d000";
/** Normal; the same on both versions. */
export const DISCONNECT = "e000";

const KEEP_ALIVE_SECONDS = 60;
const SESSION_EXPIRY_SECONDS = 2_592_000;

/** Text or bytes in hexadecimal. */
export function hex(value: string | Uint8Array): string {
  return Buffer.from(value as string).toString("hex");
}

/** A number in two bytes. */
export function int16(value: number): string {
  return value.toString(16).padStart(4, "0");
}

/** A number in four bytes. */
export function int32(value: number): string {
  return value.toString(16).padStart(8, "0");
}

/** A UTF-8 string with its length. */
export function text(value: string): string {
  return int16(Buffer.byteLength(value)) + hex(value);
}

/** A variable byte integer in the fewest bytes [MQTT-1.5.5-1]. */
export function varInt(value: number): string {
  const low = value % 128;
  const high = Math.floor(value / 128);
  return (high > 0 ? low + 128 : low).toString(16).padStart(2, "0") + (high > 0 ? varInt(high) : "");
}

/** With its length in front. */
export function counted(bytes: string): string {
  return varInt(bytes.length / 2) + bytes;
}

/** The packets of one version. */
export class Wire {
  readonly version: ProtocolVersion;

  constructor(version: ProtocolVersion) {
    this.version = version;
  }

  connect(
    { isClean, clientId = "device", keepAliveSeconds = KEEP_ALIVE_SECONDS, sessionExpirySeconds = SESSION_EXPIRY_SECONDS }: Connect,
  ): string {
    const flags = isClean ? "02" : "00";
    const properties = this.#properties("11" + int32(sessionExpirySeconds));
    return "10" + counted(`${text("MQTT")}0${this.version}${flags}${int16(keepAliveSeconds)}${properties}${text(clientId)}`);
  }

  /** The packet id is left out at QoS 0. */
  publish({ qos, payload, topic = TOPIC, retain = false, properties = "" }: Letter, packetId = 0, dup = false): string {
    const flags = (dup ? 8 : 0) + qos * 2 + (retain ? 1 : 0);
    const body = text(topic) + (qos > 0 ? int16(packetId) : "") + this.#properties(properties) + hex(payload);
    return `3${flags.toString(16)}${counted(body)}`;
  }

  pubrel(packetId: number): string {
    return "6202" + int16(packetId);
  }

  connack({ isPresent = false, code = 0, properties = "" } = {}): string {
    return "20" + counted(`0${isPresent ? 1 : 0}${byte(code)}${this.#properties(properties)}`);
  }

  puback(packetId: number, code?: number): string {
    return acknowledgement("40", packetId, code);
  }

  pubrec(packetId: number, code?: number): string {
    return acknowledgement("50", packetId, code);
  }

  pubcomp(packetId: number, code?: number): string {
    return acknowledgement("70", packetId, code);
  }

  #properties(bytes: string): string {
    return this.version === 5 ? counted(bytes) : "";
  }
}

/** Without a code in the short form, which is a success on both versions. */
function acknowledgement(type: string, packetId: number, code: number | undefined): string {
  return type + counted(int16(packetId) + (code === undefined ? "" : byte(code)));
}

function byte(value: number): string {
  return value.toString(16).padStart(2, "0");
}

/** What a broker says of itself in CONNACK, as MQTT 5 properties. */
export const says = {
  receiveMaximum: (count: number) => "21" + int16(count),
  maximumQoS: (qos: 0 | 1) => "240" + qos,
  retainAvailable: (isAvailable: boolean) => isAvailable ? "2501" : "2500",
  maximumPacketSize: (bytes: number) => "27" + int32(bytes),
  topicAliasMaximum: (count: number) => "22" + int16(count),
  serverKeepAlive: (seconds: number) => "13" + int16(seconds),
  sessionExpirySeconds: (seconds: number) => "11" + int32(seconds),
} as const;
