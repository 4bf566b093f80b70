/**
 * PUBLISH properties as one text column: JSON, with bytes in base64.
 *
 * @module
 */
import type { PublishProperties } from "../core/message.ts";

/** `null` if there are none. User properties keep their order, and a name such as `__proto__` is a name like any other. */
export function encodeProperties(properties: PublishProperties | undefined): string | null {
  if (properties === undefined) return null;
  const { correlationData, ...rest } = properties;
  return JSON.stringify(correlationData === undefined ? rest : { ...rest, correlationData: correlationData.toBase64() });
}

/** What {@linkcode encodeProperties} was given. */
export function decodeProperties(text: string): PublishProperties {
  // JSON.parse makes own properties of all names, and spreading keeps them so: nothing here assigns by name.
  const { correlationData, ...rest } = JSON.parse(text) as Omit<PublishProperties, "correlationData"> & { correlationData?: string };
  return correlationData === undefined ? rest : { ...rest, correlationData: Uint8Array.fromBase64(correlationData) };
}
