/**
 * MQTT 5 properties of a PUBLISH (OASIS MQTT 5.0, 3.3.2.3): each checked, as a broker closes the connection over one that is malformed.
 *
 * @module
 */
import type { PublishProperties } from "./core/message.ts";
import { checkBoolean, checkInteger, checkText, FIELD_BYTES_MAX, isRecord, show } from "./checks.ts";
import { viewBytes } from "./view_bytes.ts";

/** Four bytes. */
const EXPIRY_SECONDS_MAX = 4_294_967_295;

/**
 * A quarter of the greatest packet. They are stored as JSON, where a character may take six (`\u0001`), and the longest string that a runtime
 * makes has some 2^29 characters.
 */
export const PROPERTY_BYTES_MAX = 67_108_863;

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
  if (byteCount > PROPERTY_BYTES_MAX) {
    throw new RangeError(`${action}: properties have ${byteCount} bytes, more than ${PROPERTY_BYTES_MAX}`);
  }
  return { properties: byteCount === 0 ? undefined : properties, byteCount };
}

function copyBytes(value: unknown, action: string): Uint8Array {
  const bytes = value instanceof Uint8Array ? viewBytes(value, "the buffer of properties.correlationData", action) : undefined;
  if (bytes === undefined) throw new TypeError(`${action}: properties.correlationData is ${show(value)}, not a Uint8Array`);
  if (bytes.byteLength > FIELD_BYTES_MAX) {
    throw new RangeError(`${action}: properties.correlationData has ${bytes.byteLength} bytes, more than ${FIELD_BYTES_MAX}`);
  }
  return bytes.slice();
}

function copyUserProperties(given: unknown, action: string) {
  if (!isRecord(given)) {
    throw new TypeError(`${action}: properties.userProperties is ${show(given)}, not an object of names and values`);
  }
  let byteCount = 0;
  const entries: [name: string, value: string | readonly string[]][] = [];
  for (const name of Reflect.ownKeys(given)) {
    const nameBytes = checkText(name, "a name in properties.userProperties", action);
    const value = given[name as string];
    const several = Array.isArray(value);
    const values: readonly unknown[] = several ? [...value] : [value];
    for (const each of values) {
      byteCount += 1 + 2 + nameBytes + 2 + checkText(each, `properties.userProperties[${show(name)}]`, action);
    }
    entries.push([name as string, several ? values as readonly string[] : value as string]);
  }
  // fromEntries() defines: a property named __proto__ stays a property.
  return { userProperties: Object.fromEntries(entries), byteCount };
}
