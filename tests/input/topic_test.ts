/**
 * Which topics are taken, against an oracle that knows nothing of the product.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { test } from "node:test";
import fc from "fast-check";
import { resolveMessage } from "../../lib/resolve_message.ts";
import { TEST_MS_MAX } from "../support/deadline.ts";
import { runs } from "./replay.ts";
import { anyTopic } from "./texts.ts";
import { fieldOf, topicNameOf } from "./text_oracle.ts";

const RUN_COUNT = 20_000;
const encoder = new TextEncoder();

/** The message, or the error that says why there is none. */
function resolve(...given: Parameters<typeof resolveMessage>): ReturnType<typeof resolveMessage>["message"] | Error {
  try {
    return resolveMessage(...given).message;
  } catch (error) {
    assert.ok(error instanceof TypeError || error instanceof RangeError, String(error));
    assert.match(error.message, /^Cannot publish to topic ".*": /);
    return error;
  }
}

test(`A topic is taken if and only if MQTT has such a topic name, and as it is: ${RUN_COUNT} topics`, { timeout: TEST_MS_MAX }, () => {
  const counts = { taken: 0, refused: 0 };
  fc.assert(
    fc.property(anyTopic, (topic) => {
      const bytes = topicNameOf(topic);
      const outcome = resolve(topic, null, {});
      if (outcome instanceof Error) {
        counts.refused++;
        assert.equal(bytes, undefined, outcome.message);
      } else {
        counts.taken++;
        assert.ok(bytes !== undefined, "MQTT has such a topic name");
        assert.equal(outcome.topic, topic);
        assert.ok(Buffer.from(encoder.encode(outcome.topic)).equals(bytes));
      }
    }),
    runs(RUN_COUNT),
  );
  // Otherwise the topics drawn would show nothing.
  assert.ok(counts.taken > RUN_COUNT / 20 && counts.refused > RUN_COUNT / 20, JSON.stringify(counts));
});

/** Where else MQTT has text, and how a text is put there. */
const FIELDS: readonly (readonly [name: string, put: (text: string) => Record<string, unknown>])[] = [
  ["content type", (contentType) => ({ contentType })],
  ["value of a user property", (value) => ({ userProperties: { name: value } })],
  ["value of a user property among several", (value) => ({ userProperties: { name: ["", value] } })],
  ["name of a user property", (name) => ({ userProperties: Object.fromEntries([[name, "value"]]) })],
];

for (const [name, put] of FIELDS) {
  test(`A ${name} is taken if and only if MQTT has such a text`, { timeout: TEST_MS_MAX }, () => {
    fc.assert(
      fc.property(anyTopic, (text) => {
        const outcome = resolve("a", null, { properties: put(text) });
        assert.equal(outcome instanceof Error, fieldOf(text) === undefined, String(outcome));
        if (!(outcome instanceof Error)) assert.deepEqual({ ...outcome.properties }, put(text));
      }),
      runs(RUN_COUNT / 10),
    );
  });
}

test("A response topic is taken if and only if MQTT has such a topic name", { timeout: TEST_MS_MAX }, () => {
  fc.assert(
    fc.property(anyTopic, (responseTopic) => {
      const outcome = resolve("a", null, { properties: { responseTopic } });
      assert.equal(outcome instanceof Error, topicNameOf(responseTopic) === undefined, String(outcome));
      if (!(outcome instanceof Error)) assert.equal(outcome.properties?.responseTopic, responseTopic);
    }),
    runs(RUN_COUNT / 10),
  );
});
