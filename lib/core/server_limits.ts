/**
 * Brings a message into the form that this broker takes, or says why it cannot go.
 *
 * @module
 */
import type { Message, PublishProperties, QoS, StoredMessage } from "./message.ts";
import type { Moment, ServerInfo } from "./ports.ts";

/** What the user allows when the broker can do less. */
export interface Fallbacks {
  readonly allowQos0: boolean;
  readonly retainFallback: boolean;
}

/**
 * How a message goes to a broker.
 *
 * - `send`: as `message`. `isDowngraded`: at a lower QoS or without RETAIN.
 * - `quarantine`: this broker will never take it.
 * - `expired`: nobody wants it any more.
 * - `hold`: it must wait for the broker to be set up otherwise, and, to keep the order, all behind it too.
 */
export type Fit =
  | { readonly to: "send"; readonly message: Message; readonly isDowngraded: boolean; readonly arePropertiesDropped: boolean }
  | { readonly to: "quarantine"; readonly reason: string }
  | { readonly to: "expired" }
  | { readonly to: "hold"; readonly reason: string };

/** `wasSent`: it may be at the broker already, so it does not expire any more [MQTT-4.3.3-7] and keeps its QoS. */
export function fitToServer(stored: StoredMessage, server: ServerInfo, fallbacks: Fallbacks, now: Moment, wasSent: boolean): Fit {
  const expirySeconds = stored.properties?.messageExpiryInterval;
  let leftSeconds: number | undefined;
  if (expirySeconds !== undefined) {
    leftSeconds = expirySeconds - Math.floor((now.knownMs - stored.storedAtKnownMs) / 1000);
    if (leftSeconds <= 0) {
      if (!wasSent) return { to: "expired" };
      leftSeconds = 1;
    }
  }

  let qos: QoS = stored.qos;
  if (qos > server.maximumQoS) {
    qos = server.maximumQoS;
    if (qos === 0 && !fallbacks.allowQos0) {
      return { to: "hold", reason: "the broker takes only QoS 0, and allowQos0 is not set" };
    }
  }
  let retain = stored.retain;
  if (retain && !server.retainAvailable) {
    if (!fallbacks.retainFallback) {
      return { to: "hold", reason: "the broker takes no retained messages, and retainFallback is not set" };
    }
    retain = false;
  }

  const { properties, ...plain } = stored;
  const isVersion5 = server.protocolVersion === 5;
  const message: Message = {
    topic: plain.topic,
    payload: plain.payload,
    qos,
    retain,
    ...(isVersion5 && properties !== undefined
      ? { properties: leftSeconds === undefined ? properties : { ...properties, messageExpiryInterval: leftSeconds } }
      : {}),
  };
  const bytes = publishPacketBytes(message, isVersion5);
  if (bytes > server.maximumPacketSize) {
    return { to: "quarantine", reason: `the broker takes packets of at most ${server.maximumPacketSize} bytes, this one has ${bytes}` };
  }
  return {
    to: "send",
    message,
    isDowngraded: qos !== stored.qos || retain !== stored.retain,
    arePropertiesDropped: !isVersion5 && properties !== undefined,
  };
}

/** Bytes of the whole PUBLISH packet (OASIS MQTT 5.0, 3.3; 3.1.1 without the property part). */
export function publishPacketBytes(message: Message, isVersion5: boolean): number {
  let remaining = 2 + utf8Bytes(message.topic) + (message.qos > 0 ? 2 : 0) + message.payload.length;
  if (isVersion5) {
    const properties = message.properties === undefined ? 0 : propertiesBytes(message.properties);
    remaining += variableByteIntegerBytes(properties) + properties;
  }
  return 1 + variableByteIntegerBytes(remaining) + remaining;
}

/** Bytes of the properties, without the length in front of them. */
export function propertiesBytes(properties: PublishProperties): number {
  let bytes = 0;
  if (properties.payloadFormatIndicator !== undefined) bytes += 2;
  if (properties.messageExpiryInterval !== undefined) bytes += 5;
  if (properties.contentType !== undefined) bytes += 3 + utf8Bytes(properties.contentType);
  if (properties.responseTopic !== undefined) bytes += 3 + utf8Bytes(properties.responseTopic);
  if (properties.correlationData !== undefined) bytes += 3 + properties.correlationData.length;
  for (const [name, values] of Object.entries(properties.userProperties ?? {})) {
    for (const value of typeof values === "string" ? [values] : values) bytes += 5 + utf8Bytes(name) + utf8Bytes(value);
  }
  return bytes;
}

/** Length of a string in UTF-8. Every string here is well formed: that was checked when it came in. */
export function utf8Bytes(text: string): number {
  let bytes = text.length;
  for (let index = 0; index < text.length; index++) {
    const unit = text.charCodeAt(index);
    if (unit < 0x80) continue;
    // A surrogate pair is 2 units and 4 bytes: one more for each half.
    bytes += unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 1 : 2;
  }
  return bytes;
}

function variableByteIntegerBytes(value: number): number {
  return value < 128 ? 1 : value < 16_384 ? 2 : value < 2_097_152 ? 3 : 4;
}
