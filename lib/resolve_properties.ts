/**
 * MQTT 5 properties of a PUBLISH (OASIS MQTT 5.0, 3.3.2.3): each checked, as a broker closes the connection over one that is malformed.
 *
 * @module
 */
import type { PublishProperties } from "./core/message.ts";
import { checkBoolean, checkInteger, checkText, FIELD_BYTES_MAX, REMAINING_LENGTH_MAX, show } from "./checks.ts";

/** Four bytes. */
const EXPIRY_SECONDS_MAX = 4_294_967_295;

/** The keys of {@linkcode PublishProperties}. */
export const PROPERTY_KEYS = [
  "payloadFormatIndicator",
  "messageExpiryInterval",
  "contentType",
  "responseTopic",
  "correlationData",
  "userProperties",
] as const;

/** Checks and copies; with the bytes that they take on the wire. `undefined` if there are none. */
export function resolveProperties(
  given: Partial<Record<keyof PublishProperties, unknown>>,
  action: string,
): { readonly properties: PublishProperties | undefined; readonly byteCount: number } {
  const properties: { -readonly [Key in keyof PublishProperties]: PublishProperties[Key] } = {};
  // One byte names a property; strings and binary data bring two bytes of length.
  let byteCount = 0;
  if (given.payloadFormatIndicator !== undefined) {
    properties.payloadFormatIndicator = checkBoolean(given.payloadFormatIndicator, "properties.payloadFormatIndicator", action);
    byteCount += 1 + 1;
  }
  if (given.messageExpiryInterval !== undefined) {
    properties.messageExpiryInterval = checkInteger(
      given.messageExpiryInterval,
      "properties.messageExpiryInterval",
      1,
      EXPIRY_SECONDS_MAX,
      action,
    );
    byteCount += 1 + 4;
  }
  if (given.contentType !== undefined) {
    byteCount += 1 + 2 + checkText(given.contentType, "properties.contentType", action);
    properties.contentType = given.contentType as string;
  }
  if (given.responseTopic !== undefined) {
    byteCount += 1 + 2 + checkText(given.responseTopic, "properties.responseTopic", action);
    properties.responseTopic = given.responseTopic as string;
    if (properties.responseTopic === "" || /[+#]/.test(properties.responseTopic)) {
      throw new TypeError(
        `${action}: properties.responseTopic is ${show(properties.responseTopic)}, but a topic name is not empty and holds no wildcard`,
      );
    }
  }
  if (given.correlationData !== undefined) {
    properties.correlationData = copyBytes(given.correlationData, action);
    byteCount += 1 + 2 + properties.correlationData.byteLength;
  }
  if (given.userProperties !== undefined) {
    const user = copyUserProperties(given.userProperties, action);
    properties.userProperties = user.userProperties;
    byteCount += user.byteCount;
  }
  if (byteCount > REMAINING_LENGTH_MAX / 2) {
    throw new RangeError(`${action}: properties have ${byteCount} bytes, more than a packet has room for`);
  }
  return { properties: byteCount === 0 ? undefined : properties, byteCount };
}

function copyBytes(value: unknown, action: string): Uint8Array {
  if (!(value instanceof Uint8Array)) throw new TypeError(`${action}: properties.correlationData is ${show(value)}, not a Uint8Array`);
  if (value.buffer instanceof ArrayBuffer && value.buffer.detached) {
    throw new TypeError(`${action}: the buffer of properties.correlationData is detached`);
  }
  if (value.byteLength > FIELD_BYTES_MAX) {
    throw new RangeError(`${action}: properties.correlationData has ${value.byteLength} bytes, more than ${FIELD_BYTES_MAX}`);
  }
  return new Uint8Array(value);
}

function copyUserProperties(value: unknown, action: string) {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new TypeError(`${action}: properties.userProperties is ${show(value)}, not an object of names and values`);
  }
  let byteCount = 0;
  const entries: [name: string, value: string | readonly string[]][] = [];
  for (const [name, given] of Object.entries(value)) {
    const nameBytes = checkText(name, "a name in properties.userProperties", action);
    const several = Array.isArray(given);
    const values: readonly unknown[] = several ? [...given] : [given];
    for (const each of values) {
      byteCount += 1 + 2 + nameBytes + 2 + checkText(each, `properties.userProperties[${show(name)}]`, action);
    }
    entries.push([name, several ? values as readonly string[] : given as string]);
  }
  // fromEntries() defines: a property named __proto__ stays a property.
  return { userProperties: Object.fromEntries(entries), byteCount };
}
