/**
 * What is checked and copied in the main thread: good messages are carried as they were when `publish()` was called; of anything else nothing
 * is made.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { resolveMessage } from "../../lib/resolve_message.ts";
import { resolveOptions } from "../../lib/options.ts";
import { resolveAddress } from "../../lib/address.ts";
import { TEST_MS_MAX } from "../support/deadline.ts";
import { asExpected } from "./carried.ts";
import { assertSame, expectMessage, giveMessage, goodMessage } from "./messages.ts";
import { runs } from "./replay.ts";

const RUN_COUNT = 5_000;
const ANYTHING_COUNT = 5_000;

test(`A good message is carried to the byte, whatever its caller does to its parts afterwards: ${RUN_COUNT} messages`, {
  timeout: TEST_MS_MAX,
}, () => {
  fc.assert(
    fc.property(goodMessage(), (plan) => {
      const given = giveMessage(plan);
      const { message, byteCount } = resolveMessage(given.topic, given.payload, given.options);
      given.spoil();
      const expected = expectMessage(plan);
      assertSame(asExpected(message), expected, "the message");
      assert.ok(message.payload.buffer instanceof ArrayBuffer, "it can be given to another thread");
      const propertyBytes = expected.properties.reduce((sum, [, ...values]) => {
        const fields = values.map((value) => value instanceof Uint8Array ? 2 + value.length : 0);
        return sum + 1 + fields.reduce((all, bytes) => all + bytes, 0);
      }, 0);
      const { payloadFormatIndicator, messageExpiryInterval } = plan.properties ?? {};
      const numberBytes = (payloadFormatIndicator === undefined ? 0 : 1) + (messageExpiryInterval === undefined ? 0 : 4);
      assert.equal(byteCount, expected.topic.length + expected.payload.length + propertyBytes + numberBytes);
    }),
    runs(RUN_COUNT),
  );
});

/** Whatever JavaScript has. */
const anything = fc.anything({
  withBigInt: true,
  withBoxedValues: true,
  withDate: true,
  withMap: true,
  withNullPrototype: true,
  withObjectString: true,
  withSet: true,
  withSparseArray: true,
  withTypedArray: true,
  withUnicodeString: true,
});

/** A record with some of these keys, each of any value, and sometimes a key that is none. */
function anyRecord(keys: readonly string[]): fc.Arbitrary<unknown> {
  const record = fc.record(Object.fromEntries([...keys, "unknown"].map((key) => [key, anything])), { requiredKeys: [] });
  return fc.oneof({ weight: 1, arbitrary: anything }, { weight: 6, arbitrary: record });
}

/** What was made, or `undefined` if the error is as it should be. */
function attempt<Value>(action: string, work: () => Value): Value | undefined {
  try {
    return work();
  } catch (error) {
    assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
    assert.ok(error.message.startsWith(action), error.message);
    assert.ok(error.message.length < 1_000 && !/[\n\r]/.test(error.message), "it is short, on one line");
    return undefined;
  }
}

test(`Of anything at all a message is made faithfully, or an error that says why not: ${ANYTHING_COUNT} calls`, {
  timeout: TEST_MS_MAX,
}, () => {
  const propertyKeys = [
    "payloadFormatIndicator",
    "messageExpiryInterval",
    "contentType",
    "responseTopic",
    "correlationData",
    "userProperties",
  ];
  const options = fc.record({
    qos: fc.oneof(anything, fc.constantFrom(0, 1, 2)),
    retain: fc.oneof(anything, fc.boolean()),
    properties: anyRecord(propertyKeys),
  }, { requiredKeys: [] });
  fc.assert(
    fc.property(fc.oneof(anything, fc.constant("a")), anything, options, (topic, payload, given) => {
      const resolved = attempt("Cannot publish", () => resolveMessage(topic, payload, given));
      if (resolved === undefined) return;
      const { message } = resolved;
      assert.equal(message.topic, topic);
      assert.equal(message.qos, given.qos ?? 2);
      assert.equal(message.retain, given.retain ?? false);
      const properties = Object.entries((given.properties ?? {}) as object).filter(([, value]) => value !== undefined);
      for (const [key, value] of properties) {
        const isNothing = key === "userProperties" && Object.values(value).every((each) => Array.isArray(each) && each.length === 0);
        if (!isNothing) assert.deepEqual(message.properties?.[key as "contentType"], value, key);
      }
    }),
    runs(ANYTHING_COUNT),
  );
});

test(`Of anything at all options are made, or an error that says why not: ${ANYTHING_COUNT} calls`, { timeout: TEST_MS_MAX }, () => {
  const keys = [
    "cachePath",
    "allowSharedCache",
    "durability",
    "lockWaitMs",
    "queueBytesMax",
    "exitFlushMs",
    "inFlightMax",
    "ackTimeoutMs",
    "reconnect",
    "credentials",
    "protocolVersion",
    "sessionExpirySeconds",
    "sessionGroup",
    "allowQos0",
    "retainFallback",
    "log",
    "mqtt",
    "worker",
  ];
  const mqttKeys = ["ca", "cert", "keepalive", "connectTimeout", "will", "wsOptions", "minVersion", "constructor", "__proto__"];
  const one = fc.constantFrom(...keys).chain((key) => (key === "mqtt" ? anyRecord(mqttKeys) : anything).map((value) => ({ [key]: value })));
  fc.assert(
    fc.property(fc.oneof(anything, one.map((option) => ({ clientId: "c", ...option }))), (given) => {
      const options = attempt("Cannot create the client: ", () => resolveOptions(given));
      // What crosses to the worker is plain data.
      if (options !== undefined) structuredClone(options.worker);
    }),
    runs(ANYTHING_COUNT),
  );
});

test(`Of anything at all an address is made, or an error that says why not: ${ANYTHING_COUNT} calls`, { timeout: TEST_MS_MAX }, () => {
  const part = fc.string({
    unit: fc.constantFrom("a", "1", ":", "/", "@", "?", "#", "%", "%00", "%zz", "[", "]", " ", "é"),
    maxLength: 12,
  });
  const url = fc.tuple(fc.constantFrom("mqtt://", "mqtts://", "ws://", "wss://", "mqtt:", ""), part).map((parts) => parts.join(""));
  const address = fc.oneof(url, anyRecord(["host", "port", "protocol", "path"]), part.map((host) => ({ host })));
  fc.assert(
    fc.property(address, anyRecord(["username", "password"]), (given, credentials) => {
      const resolved = attempt("Cannot connect", () => resolveAddress(given, credentials, false));
      if (resolved === undefined) return;
      assert.match(resolved.broker.host, /^[^\s\p{Cc}/@?#]+$/u);
      assert.ok(Number.isInteger(resolved.broker.port));
    }),
    runs(ANYTHING_COUNT),
  );
});
