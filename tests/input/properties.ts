/**
 * MQTT 5 properties: as plain data, as `publish()` is given them, as they stand on the wire.
 *
 * @module
 */
import fc from "fast-check";
import type { PublishProperties } from "../../mod.ts";
import { bytes } from "./payloads.ts";
import { PROPERTY, type WireProperty } from "./publish_bytes.ts";
import { fieldText, topicName } from "./texts.ts";
import { utf8Of } from "./text_oracle.ts";

/** MQTT 5 properties as plain data. */
export interface PropertiesPlan {
  readonly payloadFormatIndicator?: boolean;
  readonly messageExpiryInterval?: number;
  readonly contentType?: string;
  readonly responseTopic?: string;
  readonly correlationData?: readonly number[];
  readonly userProperties?: readonly (readonly [name: string, value: string | readonly string[]])[];
}

/** Names that JavaScript uses itself, or puts in an order of its own. */
const oddName = fc.constantFrom("__proto__", "constructor", "toString", "length", "then", "0", "7", "10", "007", "-1", "4294967295", "");

function userProperties(isPlain: boolean): fc.Arbitrary<NonNullable<PropertiesPlan["userProperties"]>> {
  const text = fieldText(isPlain, 12);
  const value = fc.oneof({ weight: 3, arbitrary: text }, { weight: 1, arbitrary: fc.array(text, { maxLength: 4 }) });
  return fc.uniqueArray(fc.tuple(fc.oneof(text, oddName), value), { maxLength: 6, selector: ([name]) => name });
}

/** No expiry within the time that a test takes. */
const LATER_SECONDS = 1_000;

/** All of them, and none. `isPlain`: with texts that every receiver takes. */
export function anyProperties(isPlain: boolean): fc.Arbitrary<PropertiesPlan> {
  return fc.record({
    payloadFormatIndicator: fc.boolean(),
    messageExpiryInterval: fc.integer({ min: LATER_SECONDS, max: 4_294_967_295 }),
    contentType: fieldText(isPlain),
    responseTopic: topicName(isPlain),
    correlationData: bytes(40),
    userProperties: userProperties(isPlain),
  }, { requiredKeys: [] });
}

/** For `publish()`, and how the caller ruins it afterwards. */
export function makeProperties(plan: PropertiesPlan): { properties: PublishProperties; spoil(): void } {
  const { correlationData, userProperties, ...plain } = plan;
  const bytes = correlationData === undefined ? undefined : Uint8Array.from(correlationData);
  // Defines: a property named __proto__ is one like any other.
  const user = userProperties && Object.fromEntries(
    userProperties.map(([name, value]) => [name, typeof value === "string" ? value : [...value]]),
  );
  const properties = {
    ...plain,
    ...(bytes === undefined ? {} : { correlationData: bytes }),
    ...(user === undefined ? {} : { userProperties: user }),
  };
  return {
    properties,
    spoil() {
      bytes?.fill(0xdd);
      for (const name of Reflect.ownKeys(user ?? {})) {
        const value = user![name as string];
        if (Array.isArray(value)) value.fill("spoilt");
        delete user![name as string];
      }
      Object.assign(properties, { contentType: "spoilt", responseTopic: "spoilt" });
    },
  };
}

/** As they stand on the wire, by identifier. */
export function wireProperties(plan: PropertiesPlan | undefined): WireProperty[] {
  const found: WireProperty[] = [];
  if (plan?.payloadFormatIndicator !== undefined) found.push([PROPERTY.payloadFormatIndicator, plan.payloadFormatIndicator ? 1 : 0]);
  if (plan?.messageExpiryInterval !== undefined) found.push([PROPERTY.messageExpiryInterval, plan.messageExpiryInterval]);
  if (plan?.contentType !== undefined) found.push([PROPERTY.contentType, utf8Of(plan.contentType)!]);
  if (plan?.responseTopic !== undefined) found.push([PROPERTY.responseTopic, utf8Of(plan.responseTopic)!]);
  if (plan?.correlationData !== undefined) found.push([PROPERTY.correlationData, Uint8Array.from(plan.correlationData)]);
  // A JavaScript object has names that are array indexes first, ascending, and all others in their order: nothing else is there to be had.
  const isIndex = (name: string) => String(Number(name) >>> 0) === name && Number(name) !== 0xffff_ffff;
  const pairs = plan?.userProperties ?? [];
  const indexes = pairs.filter(([name]) => isIndex(name)).sort(([a], [b]) => Number(a) - Number(b));
  for (const [name, values] of [...indexes, ...pairs.filter(([name]) => !isIndex(name))]) {
    for (const value of typeof values === "string" ? [values] : values) {
      found.push([PROPERTY.userProperty, utf8Of(name)!, utf8Of(value)!]);
    }
  }
  return found;
}
