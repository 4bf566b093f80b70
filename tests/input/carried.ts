/**
 * A message as the product carries it, in the form in which expectations stand.
 *
 * @module
 */
import type { Message } from "../../lib/core/message.ts";
import type { ExpectedMessage } from "./messages.ts";
import { PROPERTY, type WireProperty } from "./publish_bytes.ts";
import { utf8Of } from "./text_oracle.ts";

/** See above. */
export function asExpected({ topic, payload, qos, retain, properties = {} }: Message): ExpectedMessage {
  const wire: WireProperty[] = [];
  for (const key of ["payloadFormatIndicator", "messageExpiryInterval", "contentType", "responseTopic", "correlationData"] as const) {
    const value = properties[key];
    if (value === undefined) continue;
    wire.push([PROPERTY[key], typeof value === "string" ? utf8Of(value)! : typeof value === "boolean" ? Number(value) : value]);
  }
  for (const [name, values] of Object.entries(properties.userProperties ?? {})) {
    for (const value of typeof values === "string" ? [values] : values) {
      wire.push([PROPERTY.userProperty, utf8Of(name)!, utf8Of(value)!]);
    }
  }
  return { topic: utf8Of(topic)!, payload, qos, retain, properties: wire };
}
