/**
 * A message as a row, and back. The checksum covers all that the row holds: it is made before writing and compared after every reading.
 *
 * @module
 */
import { assert } from "../core/assert.ts";
import type { MessageId, NumberedMessage, QoS, StoredMessage } from "../core/message.ts";
import { type Moment, StoreError } from "../core/ports.ts";
import { crc32c } from "./checksum.ts";
import type { SqliteRow, SqliteValue } from "./ports.ts";
import { decodeProperties, encodeProperties } from "./properties.ts";

/** The columns of a message, in the order of {@linkcode encodeMessage}. */
export const MESSAGE_COLUMNS = "id, qos, retain, bytes, stored_at_epoch_ms, stored_at_known_ms, checksum, topic, properties, payload";

/** A row cannot be trusted: what it holds is not what was written. */
export class DamagedRowError extends StoreError {
  /** Name of the class. */
  override readonly name: string = "DamagedRowError";
  /** Whose row it is. */
  readonly id: MessageId;
  /** Says which message it is. */
  constructor(id: MessageId, what: string) {
    super("failed", `Cannot read message ${id}: its row in the cache is damaged, ${what}`);
    this.id = id;
  }
}

const TOPIC_BYTES_MAX = 65_535;
/** Where the topic begins, behind what has a fixed width. */
const TOPIC_AT = 34;
/** Stands for the length of the properties where there are none: none and empty ones differ. */
const NO_PROPERTIES = 0xffff_ffff;
const scratch = new Uint8Array(TOPIC_AT + TOPIC_BYTES_MAX);
const header = new DataView(scratch.buffer);
const topicRoom = scratch.subarray(TOPIC_AT);
const encoder = new TextEncoder();

interface Measured {
  /** Of topic, properties and payload. */
  readonly bytes: number;
  readonly checksum: number;
}

/** Lengths are part of what is summed, so that no byte can move from one column to another unnoticed. */
function measure(
  { id, qos, retain, topic, payload }: NumberedMessage,
  properties: string | null,
  storedAtEpochMs: number,
  storedAtKnownMs: number,
): Measured {
  const { read, written: topicBytes } = encoder.encodeInto(topic, topicRoom);
  assert(read === topic.length, "a topic has at most 65,535 bytes");
  const propertiesText = properties === null ? undefined : encoder.encode(properties);
  header.setFloat64(0, id);
  header.setFloat64(8, storedAtEpochMs);
  header.setFloat64(16, storedAtKnownMs);
  header.setUint32(24, topicBytes);
  header.setUint32(28, propertiesText?.length ?? NO_PROPERTIES);
  header.setUint8(32, qos);
  header.setUint8(33, retain ? 1 : 0);
  let checksum = crc32c(scratch, 0, TOPIC_AT + topicBytes);
  if (propertiesText !== undefined) checksum = crc32c(propertiesText, checksum);
  return { bytes: topicBytes + (propertiesText?.length ?? 0) + payload.length, checksum: crc32c(payload, checksum) };
}

/** The row of a message that is stored now: values in the order of {@linkcode MESSAGE_COLUMNS}, and its size. */
export function encodeMessage(message: NumberedMessage, { epochMs, knownMs }: Moment): { values: SqliteValue[]; bytes: number } {
  const properties = encodeProperties(message.properties);
  const { bytes, checksum } = measure(message, properties, epochMs, knownMs);
  const { id, qos, retain, topic, payload } = message;
  return { values: [id, qos, retain ? 1 : 0, bytes, epochMs, knownMs, checksum, topic, properties, payload], bytes };
}

/** The message of a row with the {@linkcode MESSAGE_COLUMNS}. Throws a DamagedRowError if it is not the one that was written. */
export function decodeMessage(row: SqliteRow): StoredMessage {
  const id = row.id as MessageId;
  const properties = row.properties as string | null;
  const message: StoredMessage = {
    id,
    topic: row.topic as string,
    payload: row.payload as Uint8Array,
    qos: row.qos as QoS,
    retain: row.retain === 1,
    storedAtEpochMs: row.stored_at_epoch_ms as number,
    storedAtKnownMs: row.stored_at_known_ms as number,
  };
  if (message.topic.length > TOPIC_BYTES_MAX) throw new DamagedRowError(id, "the topic is too long");
  const { checksum } = measure(message, properties, message.storedAtEpochMs, message.storedAtKnownMs);
  if (checksum !== row.checksum) throw new DamagedRowError(id, `checksum ${checksum} instead of ${row.checksum}`);
  return properties === null ? message : { ...message, properties: decodeProperties(properties) };
}
