/**
 * From what `publish()` was given to a message: checked, and copied, so that the caller may change its buffer at once. Whatever MQTT or the
 * store would carry changed or not at all is refused here, before anything is stored.
 *
 * @module
 */
import type { Message, PublishProperties, QoS } from "./core/message.ts";
import { checkBoolean, checkText, encodeText, readKeys, REMAINING_LENGTH_MAX, show } from "./checks.ts";
import { PROPERTY_KEYS, resolveProperties } from "./resolve_properties.ts";
import { viewBytes } from "./view_bytes.ts";

/**
 * What can be published: text (sent as UTF-8), bytes (any view or buffer, copied), a finite number or a bigint (sent as decimal text), `null`
 * (empty; with `retain` it clears the retained message of the topic).
 */
export type Payload = string | ArrayBufferView | ArrayBuffer | SharedArrayBuffer | number | bigint | null;

/** How a message is to be published. */
export interface MessageOptions {
  /** Quality of Service: 0 at most once, 1 at least once, 2 exactly once. @default {2} */
  readonly qos?: QoS;
  /** The broker keeps it as the topic's last value. @default {false} */
  readonly retain?: boolean;
  /** MQTT 5 properties, at most 67,108,863 bytes of them; left out, and counted in the status, while the broker speaks 3.1.1. */
  readonly properties?: PublishProperties;
}

/** One message for `publishMany()`. */
export interface MessageInput extends MessageOptions {
  /** 1 to 65,535 bytes of UTF-8, without wildcards. */
  readonly topic: string;
  /** What is sent. */
  readonly payload: Payload;
}

/** The keys of {@linkcode MessageOptions}. */
export const MESSAGE_OPTION_KEYS = ["qos", "retain", "properties"] as const;

/** A message, checked and copied. */
export interface ResolvedMessage {
  readonly message: Message;
  /** Topic, payload and properties, in bytes. */
  readonly byteCount: number;
}

/** Checks and copies. Throws TypeError or RangeError, saying what is wrong with which topic. */
export function resolveMessage(topic: unknown, payload: unknown, options: Partial<Record<keyof MessageOptions, unknown>>): ResolvedMessage {
  const action = publishAction(topic);
  const topicBytes = checkTopic(topic, action);
  const { qos = 2, retain = false } = options;
  if (qos !== 0 && qos !== 1 && qos !== 2) {
    const wrong = `${action}: qos is ${show(qos)}, not 0, 1 or 2`;
    throw typeof qos === "number" ? new RangeError(wrong) : new TypeError(wrong);
  }
  const { properties, byteCount: propertyBytes } = resolveProperties(
    readKeys(options.properties, PROPERTY_KEYS, action, "properties"),
    action,
  );
  // What MQTT 5 needs at most: topic length, topic, packet id, property length, properties, payload.
  const payloadBytesMax = REMAINING_LENGTH_MAX - 2 - topicBytes - 2 - variableByteCount(propertyBytes) - propertyBytes;
  const bytes = copyPayload(payload, payloadBytesMax, action);
  if (properties?.payloadFormatIndicator === true && typeof payload !== "string") checkUtf8(bytes, action);
  const message: Message = {
    topic: topic as string,
    payload: bytes,
    qos,
    retain: checkBoolean(retain, "retain", action),
    ...(properties === undefined ? {} : { properties }),
  };
  return { message, byteCount: topicBytes + bytes.byteLength + propertyBytes };
}

/** How an error about publishing begins. */
export function publishAction(topic: unknown): string {
  return typeof topic === "string" ? `Cannot publish to topic ${show(topic)}` : "Cannot publish";
}

function checkTopic(topic: unknown, action: string): number {
  if (typeof topic !== "string") throw new TypeError(`${action}: the topic is ${show(topic)}, not a string`);
  if (topic === "") throw new TypeError(`${action}: a topic name has at least one character`);
  if (/[+#]/.test(topic)) throw new TypeError(`${action}: a topic name holds no wildcard`);
  return checkText(topic, "the topic", action);
}

function copyPayload(payload: unknown, bytesMax: number, action: string): Uint8Array {
  if (payload === null) return new Uint8Array(0);
  if (typeof payload === "number" && !Number.isFinite(payload)) {
    throw new TypeError(`${action}: the payload is ${payload}, not a finite number`);
  }
  if (typeof payload === "string" || typeof payload === "number" || typeof payload === "bigint") {
    const text = String(payload);
    if (!text.isWellFormed()) throw new TypeError(`${action}: the payload has half of a surrogate pair, which UTF-8 cannot carry`);
    // No string becomes fewer bytes than it has characters: spares making what would be refused.
    checkPayloadLength(text.length, bytesMax, action);
    const bytes = encodeText(text);
    checkPayloadLength(bytes.byteLength, bytesMax, action);
    return bytes;
  }
  const view = viewBytes(payload, "the payload's buffer", action);
  if (view === undefined) {
    const hint = payload === undefined ? "; null is an empty payload" : "";
    throw new TypeError(`${action}: the payload is ${show(payload)}, not a string, bytes, a number, a bigint or null${hint}`);
  }
  checkPayloadLength(view.byteLength, bytesMax, action);
  return view.slice();
}

function checkPayloadLength(byteCount: number, bytesMax: number, action: string): void {
  if (byteCount > bytesMax) {
    throw new RangeError(
      `${action}: the payload has ${byteCount} bytes, more than the ${bytesMax} that fit in one MQTT packet with this topic`,
    );
  }
}

function checkUtf8(bytes: Uint8Array, action: string): void {
  try {
    new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (error) {
    throw new TypeError(`${action}: properties.payloadFormatIndicator says text, but the payload is not UTF-8`, { cause: error });
  }
}

/** How long MQTT's variable byte integer is. */
function variableByteCount(value: number): number {
  return value < 0x80 ? 1 : value < 0x40_00 ? 2 : value < 0x20_00_00 ? 3 : 4;
}
