/**
 * What a message is. Everything in the core, the store and the adapters speaks of messages in these words.
 *
 * @module
 */

/** MQTT Quality of Service: 0 at most once, 1 at least once, 2 exactly once. */
export type QoS = 0 | 1 | 2;

/** Names one message in a cache: a safe integer from 1, increasing, never used again. */
export type MessageId = number;

/** MQTT packet identifier of an exchange, 1 to {@linkcode PACKET_ID_MAX}. */
export type PacketId = number;

/** 65,280 to 65,535 stay free, for subscriptions on the same connection. */
export const PACKET_ID_MAX = 65_279;

/** The version number that CONNECT carries: 4 is MQTT 3.1.1, 5 is MQTT 5. */
export type ProtocolVersion = 4 | 5;

/** PUBLISH properties of MQTT 5 that an application may set (OASIS MQTT 5.0, 3.3.2.3). Dropped, and counted, on 3.1.1. */
export interface PublishProperties {
  /** The payload is UTF-8 text. */
  readonly payloadFormatIndicator?: boolean;
  /** Seconds until the message is of no use, 1 to 4,294,967,295; the time in the cache is taken off before sending. */
  readonly messageExpiryInterval?: number;
  /** What the payload is, such as `application/cbor`. */
  readonly contentType?: string;
  /** Topic for an answer, without wildcards. */
  readonly responseTopic?: string;
  /** At most 65,535 bytes, given back with an answer. */
  readonly correlationData?: Uint8Array;
  /** Names and values; several values of one name keep their order. */
  readonly userProperties?: Readonly<Record<string, string | readonly string[]>>;
}

/** A message, checked: the topic is valid, the payload is a copy of our own, the whole packet fits MQTT's limit. */
export interface Message {
  /** 1 to 65,535 bytes of UTF-8, without wildcards. */
  readonly topic: string;
  /** Bytes; text as UTF-8. */
  readonly payload: Uint8Array;
  /** Quality of Service. */
  readonly qos: QoS;
  /** The broker keeps it as the topic's last value. */
  readonly retain: boolean;
  /** MQTT 5 properties, if there are any. */
  readonly properties?: PublishProperties;
}

/** A message with the number that the main thread gave it. */
export interface NumberedMessage extends Message {
  /** The number. */
  readonly id: MessageId;
}

/** A message as it stands in the outbox. */
export interface StoredMessage extends NumberedMessage {
  /** Wall clock when it was stored, milliseconds since 1970; may be wrong, is only shown. */
  readonly storedAtEpochMs: number;
  /** Known time when it was stored, see `Moment`: ages are differences of it. */
  readonly storedAtKnownMs: number;
}

/** First and last id of a run without a gap. */
export type IdRange = readonly [first: MessageId, last: MessageId];
