/**
 * What MQTT or the store would carry changed, or not at all, is refused before anything is stored; everything else is carried as it is.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { REMAINING_LENGTH_MAX } from "../lib/checks.ts";
import { resolveMessage } from "../lib/resolve_message.ts";
import { type Payload, PersistClient, type PublishOptions } from "../mod.ts";
import { FakeWorkers } from "./support/fake_worker.ts";

const text = (bytes: Uint8Array) => new TextDecoder().decode(bytes);

/** A buffer whose bytes are elsewhere now. */
function detached(): ArrayBuffer {
  const buffer = new ArrayBuffer(8);
  structuredClone(buffer, { transfer: [buffer] });
  return buffer;
}

/** A view that was made before its buffer was detached. */
function detachedView(): Uint8Array {
  const view = new Uint8Array(8);
  structuredClone(view.buffer, { transfer: [view.buffer] });
  return view;
}

const throwing = {
  get qos(): never {
    throw new TypeError("Cannot read qos: no");
  },
};

type Wrong = readonly [what: string, given: readonly unknown[], message: RegExp, ErrorClass?: ErrorConstructor];

const WRONG: readonly Wrong[] = [
  ["an empty topic", ["", ""], /Cannot publish to topic "": a topic name has at least one character/],
  ["no topic", [undefined, ""], /Cannot publish: the topic is undefined, not a string/],
  ["a number as topic", [5, ""], /the topic is 5/],
  ["an object as topic", [{}, ""], /the topic is an object/],
  ["a symbol as topic", [Symbol("t"), ""], /the topic is Symbol\(t\)/],
  ["a String object as topic", [new String("a"), ""], /the topic is an object/],
  ["a topic with #", ["a/#", ""], /Cannot publish to topic "a\/#": a topic name holds no wildcard/],
  ["a topic with +", ["a/+/b", ""], /a topic name holds no wildcard/],
  ["a topic with U+0000", ["a\0b", ""], /the topic has the character U\+0000/],
  ["a topic with a lone high surrogate", ["a\ud800", ""], /half of a surrogate pair/],
  ["a topic with a lone low surrogate", ["\udc00a", ""], /half of a surrogate pair/],
  ["a topic of 65,536 bytes", ["x".repeat(65_536), ""], /the topic has 65536 bytes of UTF-8, more than 65535/, RangeError],
  ["a topic of 21,846 euro signs", ["€".repeat(21_846), ""], /the topic has 65538 bytes/, RangeError],

  ["no payload", ["a"], /the payload is undefined, .*; null is an empty payload/],
  ["an object as payload", ["a", {}], /the payload is an object/],
  ["an array as payload", ["a", [1, 2]], /the payload is an array/],
  ["true as payload", ["a", true], /the payload is true/],
  ["a function as payload", ["a", () => {}], /the payload is a function/],
  ["a symbol as payload", ["a", Symbol("p")], /the payload is Symbol\(p\)/],
  ["a promise as payload", ["a", Promise.resolve("x")], /the payload is an object/],
  ["a Blob as payload", ["a", new Blob(["x"])], /the payload is an object/],
  ["a stream as payload", ["a", new ReadableStream()], /the payload is an object/],
  ["NaN as payload", ["a", NaN], /the payload is NaN, not a finite number/],
  ["Infinity as payload", ["a", -Infinity], /the payload is -Infinity/],
  ["a lone surrogate in the payload", ["a", "x\ud800y"], /the payload has half of a surrogate pair/],
  ["a detached buffer", ["a", detached()], /the payload's buffer is detached/],
  ["a view of a detached buffer", ["a", detachedView()], /the payload's buffer is detached/],

  ["qos 3", ["a", "", { qos: 3 }], /qos is 3, not 0, 1 or 2/, RangeError],
  ["qos -1", ["a", "", { qos: -1 }], /qos is -1/, RangeError],
  ["qos 1.5", ["a", "", { qos: 1.5 }], /qos is 1.5/, RangeError],
  ["qos NaN", ["a", "", { qos: NaN }], /qos is NaN/, RangeError],
  ['qos "1"', ["a", "", { qos: "1" }], /qos is "1"/],
  ["qos true", ["a", "", { qos: true }], /qos is true/],
  ["qos null", ["a", "", { qos: null }], /qos is null/],
  ["retain 1", ["a", "", { retain: 1 }], /retain is 1, not true or false/],
  ["an unknown option", ["a", "", { qoS: 1 }], /unknown key "qoS" in the options/],
  ["priority, which is not there yet", ["a", "", { priority: 1 }], /unknown key "priority"/],
  ["expiresInMs, which is not there yet", ["a", "", { expiresInMs: 1 }], /unknown key "expiresInMs"/],
  ["until something else", ["a", "", { until: "sent" }], /until is "sent", not "stored" or "delivered"/],
  ["a signal that is none", ["a", "", { signal: {} }], /signal is an object, not an AbortSignal/],
  ["options that are a string", ["a", "", "qos"], /the options are "qos", not an object/],
  ["options that are null", ["a", "", null], /the options are null/],
  ["an option that throws", ["a", "", throwing], /Cannot read qos: no/],

  ["a number as third argument", ["a", "", 1], /QoS stands in the options: publish\("a\/topic", "payload", { qos: 1 }\)/],
  ["a function as third argument", ["a", "", () => {}], /there is no callback .*: await publish/],
  ["a function as fourth argument", ["a", "", {}, () => {}], /there is no callback or fourth argument/],

  ["an unknown property", ["a", "", { properties: { subscriptionIdentifier: 1 } }], /unknown key "subscriptionIdentifier" in properties/],
  ["a topic alias", ["a", "", { properties: { topicAlias: 1 } }], /unknown key "topicAlias"/],
  ["properties that are none", ["a", "", { properties: 1 }], /properties are 1/],
  ["a payload format that is a number", ["a", "", { properties: { payloadFormatIndicator: 1 } }], /payloadFormatIndicator is 1/],
  [
    "bytes that are not the text they claim to be",
    ["a", new Uint8Array([0xff]), { properties: { payloadFormatIndicator: true } }],
    /not UTF-8/,
  ],
  ["an expiry of 0", ["a", "", { properties: { messageExpiryInterval: 0 } }], /messageExpiryInterval is 0/, RangeError],
  ["an expiry of -1", ["a", "", { properties: { messageExpiryInterval: -1 } }], /messageExpiryInterval is -1/, RangeError],
  ["an expiry of 0.5", ["a", "", { properties: { messageExpiryInterval: 0.5 } }], /messageExpiryInterval is 0.5/, RangeError],
  ["an expiry of NaN", ["a", "", { properties: { messageExpiryInterval: NaN } }], /messageExpiryInterval is NaN/, RangeError],
  ["an expiry of 2^32", ["a", "", { properties: { messageExpiryInterval: 2 ** 32 } }], /messageExpiryInterval is 4294967296/, RangeError],
  ["a content type that is a number", ["a", "", { properties: { contentType: 1 } }], /contentType is 1/],
  ["a content type with half a character", ["a", "", { properties: { contentType: "\ud800" } }], /contentType has half/],
  ["a response topic with a wildcard", ["a", "", { properties: { responseTopic: "a/+" } }], /responseTopic is "a\/\+"/],
  ["an empty response topic", ["a", "", { properties: { responseTopic: "" } }], /responseTopic is ""/],
  ["correlation data that is a string", ["a", "", { properties: { correlationData: "x" } }], /correlationData is "x", not a Uint8Array/],
  ["correlation data that is detached", ["a", "", { properties: { correlationData: detachedView() } }], /correlationData is detached/],
  ["correlation data of 65,536 bytes", ["a", "", { properties: { correlationData: new Uint8Array(65_536) } }], /65536 bytes/, RangeError],
  ["user properties that are an array", ["a", "", { properties: { userProperties: [] } }], /userProperties is an array/],
  ["a user property that is a number", ["a", "", { properties: { userProperties: { a: 1 } } }], /userProperties\["a"\] is 1/],
  [
    "a user property among several that is a number",
    ["a", "", { properties: { userProperties: { a: ["x", 1] } } }],
    /userProperties\["a"\] is 1/,
  ],
  ["a user property with half a character", ["a", "", { properties: { userProperties: { a: "\udfff" } } }], /half of a surrogate pair/],
  [
    "a user property's name with U+0000",
    ["a", "", { properties: { userProperties: { "a\0": "" } } }],
    /a name in .* has the character U\+0000/,
  ],
  ["a user property of 65,536 bytes", ["a", "", { properties: { userProperties: { a: "x".repeat(65_536) } } }], /65536 bytes/, RangeError],
];

describe("publish() refuses, and stores nothing:", () => {
  for (const [what, given, message, ErrorClass = TypeError] of WRONG) {
    test(what, async () => {
      const workers = new FakeWorkers();
      const client = new PersistClient({ clientId: "c", log: false, worker: workers.start });
      const refused = new Promise<Error>((resolve) => client.addEventListener("refused", ({ detail }) => resolve(detail.error)));
      await assert.rejects(
        (client.publish as (...given: readonly unknown[]) => Promise<number>).apply(client, [...given]),
        (error: Error) => {
          assert.ok(error instanceof ErrorClass, String(error));
          assert.match(error.message, message);
          assert.match(error.message, /^Cannot /);
          return true;
        },
      );
      assert.match((await refused).message, message);
      assert.equal(client.getStatus().queuedCount, 0);
      assert.equal(workers.all.length, 0, "not even a worker was started");
    });
  }

  const many: readonly (readonly [what: string, messages: unknown, message: RegExp])[] = [
    [
      "one wrong message among right ones",
      [{ topic: "a", payload: "" }, { topic: "#", payload: "" }],
      /topic "#": a topic name holds no wildcard/,
    ],
    ["messages that are no array", { topic: "a", payload: "" }, /they are an object, not an array/],
    ["a hole among the messages", [{ topic: "a", payload: "" }, ,], /a message are null/],
    ["an unknown key in a message", [{ topic: "a", payload: "", until: "stored" }], /unknown key "until" in a message/],
    ["too many messages", new Array(100_001), /there are 100001, more than 100000/],
  ];
  for (const [what, messages, message] of many) {
    test(`${what}, with publishMany()`, async () => {
      const client = new PersistClient({ clientId: "c", log: false, worker: new FakeWorkers().start });
      await assert.rejects(client.publishMany(messages as never), message);
      assert.equal(client.getStatus().queuedCount, 0);
    });
  }
});

describe("What is carried as it is:", () => {
  const topics = ["a", "/", "/a/", "a b", "$SYS/x", "\ufeffa", "\u0001", "\uffff", "😀/€", "x".repeat(65_535), "€".repeat(21_845)];
  for (const topic of topics) {
    test(`the topic ${JSON.stringify(topic).slice(0, 20)} with ${topic.length} characters`, () => {
      assert.equal(resolveMessage(topic, null, {}).message.topic, topic);
    });
  }

  const buffer = new Uint8Array([1, 2, 3, 4]).buffer;
  const shared = new SharedArrayBuffer(2);
  new Uint8Array(shared).set([8, 9]);
  const payloads: readonly (readonly [what: string, payload: Payload, bytes: readonly number[] | string])[] = [
    ["text", "grün €😀", "grün €😀"],
    ["empty text", "", []],
    ["null", null, []],
    ["bytes", new Uint8Array([0, 255]), [0, 255]],
    ["part of a buffer", new Uint8Array(buffer, 1, 2), [2, 3]],
    ["a DataView", new DataView(buffer, 2), [3, 4]],
    ["16-bit numbers", new Uint16Array([0x0201]), [1, 2]],
    ["an ArrayBuffer", buffer, [1, 2, 3, 4]],
    ["a SharedArrayBuffer", shared, [8, 9]],
    ["a view of a SharedArrayBuffer", new Uint8Array(shared, 1), [9]],
    ["a number", 42.5, "42.5"],
    ["zero", 0, "0"],
    ["a bigint", 2n ** 64n, "18446744073709551616"],
  ];
  for (const [what, payload, bytes] of payloads) {
    test(`${what} as payload`, () => {
      const { payload: carried } = resolveMessage("a", payload, {}).message;
      if (typeof bytes === "string") assert.equal(text(carried), bytes);
      else assert.deepEqual([...carried], bytes);
      assert.ok(carried.buffer instanceof ArrayBuffer && carried.buffer !== buffer, "a copy of its own");
    });
  }

  test("all properties, several values of one name in their order, and a name that JavaScript uses itself", () => {
    const userProperties = JSON.parse('{"a":["1","2","1"],"b":"","__proto__":"x"}');
    const correlationData = new Uint8Array([1]);
    const properties = {
      payloadFormatIndicator: true,
      messageExpiryInterval: 4_294_967_295,
      contentType: "application/cbor",
      responseTopic: "answer/€",
      correlationData,
      userProperties,
    };
    const { message } = resolveMessage("a", "x", { properties });
    correlationData[0] = 9;
    assert.deepEqual(message.properties, { ...properties, correlationData: new Uint8Array([1]) });
    assert.ok(Object.hasOwn(message.properties!.userProperties!, "__proto__"));
  });

  test("no properties where none are set", () => {
    assert.ok(!("properties" in resolveMessage("a", "", { properties: {} }).message));
    assert.ok(!("properties" in resolveMessage("a", "", { properties: { contentType: undefined } }).message));
  });

  test("an option that was read once, whatever its getter says next time", () => {
    let count = 0;
    const options: PublishOptions = {
      get qos() {
        return count++ === 0 ? 1 as const : 7 as never;
      },
    };
    const client = new PersistClient({ clientId: "c", log: false, worker: new FakeWorkers().start });
    client.publish("a", "", options);
    assert.equal(client.getStatus().queuedCount, 1);
    assert.equal(count, 1);
  });

  test("a packet of the greatest length that MQTT has, and not one byte more", () => {
    const topic = "a/b";
    // Two bytes of topic length, the topic, two of packet id, one of property length.
    const payloadBytesMax = REMAINING_LENGTH_MAX - 2 - topic.length - 2 - 1;
    const largest = new Uint8Array(payloadBytesMax + 1);
    assert.equal(resolveMessage(topic, largest.subarray(1), {}).message.payload.byteLength, payloadBytesMax);
    assert.throws(() => resolveMessage(topic, largest, {}), /the payload has 268435448 bytes, more than the 268435447 that fit/);
    // A property of 8 bytes takes 8.
    const properties = { contentType: "12345" };
    assert.throws(() => resolveMessage(topic, largest.subarray(8), { properties }), RangeError);
    assert.equal(resolveMessage(topic, largest.subarray(9), { properties }).message.payload.byteLength, payloadBytesMax - 8);
  });

  test("byteCount is topic, payload and properties as MQTT 5 has them", () => {
    assert.equal(resolveMessage("€", "€", {}).byteCount, 6);
    assert.equal(
      resolveMessage("a", "", { properties: { messageExpiryInterval: 1, userProperties: { ab: ["c", "d"] } } }).byteCount,
      1 + 5 + 2 * 8,
    );
  });
});
