/**
 * Messages of every kind that may be published: as plain data that a failure can show, as what `publish()` is given, and as what must arrive.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Payload, PublishProperties } from "../../mod.ts";
import { anyPayload, makePayload, payloadBytes, type PayloadPlan } from "./payloads.ts";
import { anyProperties, makeProperties, type PropertiesPlan, wireProperties } from "./properties.ts";
import { PROPERTY, type WireProperty } from "./publish_bytes.ts";
import { topicName } from "./texts.ts";
import { isUtf8, utf8Of } from "./text_oracle.ts";

/** A message as plain data. */
export interface MessagePlan {
  readonly topic: string;
  readonly payload: PayloadPlan;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  readonly properties?: PropertiesPlan;
}

/** What `publish()` is given, and how the caller ruins all that it may ruin afterwards. */
export interface GivenMessage {
  readonly topic: string;
  readonly payload: Payload;
  readonly options: { qos: 0 | 1 | 2; retain: boolean; properties?: PublishProperties };
  spoil(): void;
}

/** What must arrive. */
export interface ExpectedMessage {
  readonly topic: Uint8Array;
  readonly payload: Uint8Array;
  readonly qos: 0 | 1 | 2;
  readonly retain: boolean;
  /** By identifier; those of one identifier in their order. */
  readonly properties: readonly WireProperty[];
}

/** Messages that must be taken. `isPlain`: and that every broker takes. */
export function goodMessage({ isPlain = false } = {}): fc.Arbitrary<MessagePlan> {
  return fc.record({
    topic: topicName(isPlain),
    payload: anyPayload,
    qos: fc.constantFrom(0, 1, 2),
    retain: fc.boolean(),
    properties: fc.oneof({ weight: 2, arbitrary: anyProperties(isPlain) }, { weight: 1, arbitrary: fc.constant(undefined) }),
  }).map(({ properties, ...rest }): MessagePlan => properties === undefined ? rest : { ...rest, properties })
    .filter(({ payload, properties }) => properties?.payloadFormatIndicator !== true || isUtf8(payloadBytes(payload)));
}

/** For `publish()`. */
export function giveMessage({ topic, payload: payloadPlan, qos, retain, properties: propertiesPlan }: MessagePlan): GivenMessage {
  const { payload, spoil: spoilPayload } = makePayload(payloadPlan);
  const given = propertiesPlan === undefined ? undefined : makeProperties(propertiesPlan);
  const options = { qos, retain, ...(given === undefined ? {} : { properties: given.properties }) };
  return {
    topic,
    payload,
    options,
    spoil() {
      spoilPayload();
      given?.spoil();
      Object.assign(options, { qos: 7, retain: "spoilt" });
    },
  };
}

/** What must arrive. */
export function expectMessage({ topic, payload, qos, retain, properties }: MessagePlan): ExpectedMessage {
  return { topic: utf8Of(topic)!, payload: payloadBytes(payload), qos, retain, properties: wireProperties(properties) };
}

/** Fails unless they are the same to the byte. `passedSeconds`: what an expiry interval may have lost on its way. */
export function assertSame(actual: ExpectedMessage, expected: ExpectedMessage, what: string, passedSeconds = 0): void {
  assert.ok(Buffer.from(actual.topic).equals(expected.topic), `${what}: the topic is as it was`);
  assert.ok(Buffer.from(actual.payload).equals(expected.payload), `${what}: the payload is as it was`);
  assert.deepEqual([actual.qos, actual.retain], [expected.qos, expected.retain], `${what}: QoS and retain`);
  const properties = [...actual.properties].sort(([a], [b]) => a - b);
  assert.deepEqual(properties.map(([id]) => id), expected.properties.map(([id]) => id), `${what}: which properties there are`);
  for (const [index, [id, ...values]] of properties.entries()) {
    const [, ...wanted] = expected.properties[index]!;
    for (const [place, value] of values.entries()) {
      const want = wanted[place]!;
      const isSame = value instanceof Uint8Array
        ? want instanceof Uint8Array && Buffer.from(value).equals(want)
        : id === PROPERTY.messageExpiryInterval
        ? value <= (want as number) && value >= (want as number) - passedSeconds
        : value === want;
      assert.ok(isSame, `${what}: property 0x${id.toString(16)} is as it was`);
    }
  }
}
