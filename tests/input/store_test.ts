/**
 * Good messages through the store: checked and copied, written in one commit, read by whoever opens the cache next.
 *
 * @module
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import type { NumberedMessage } from "../../lib/core/message.ts";
import { resolveMessage } from "../../lib/resolve_message.ts";
import { openOutboxUnderTest, openTestRuntime } from "../store/fixtures.ts";
import { TEST_MS_MAX } from "../support/deadline.ts";
import { asExpected } from "./carried.ts";
import { assertSame, expectMessage, giveMessage, goodMessage, type MessagePlan } from "./messages.ts";
import { runs } from "./replay.ts";

const MESSAGE_COUNT = 20_000;
const BATCH_SIZE_MAX = 100;
/** A batch has half of the greatest size on average. */
const BATCH_COUNT = 2.2 * MESSAGE_COUNT / BATCH_SIZE_MAX;
const ASIDE_BATCH_COUNT = 30;

const batch = fc.array(goodMessage(), { minLength: 1, maxLength: BATCH_SIZE_MAX, size: "max" });

let nowMs = 1_700_000_000_000;
const now = () => ({ epochMs: ++nowMs, knownMs: nowMs });

/** As `publish()` does, with callers that ruin what they gave. */
function resolve(plans: readonly MessagePlan[], firstId: number): NumberedMessage[] {
  return plans.map((plan, index) => {
    const { topic, payload, options, spoil } = giveMessage(plan);
    const { message } = resolveMessage(topic, payload, options);
    spoil();
    return { id: firstId + index, ...message };
  });
}

function assertAllSame(stored: readonly NumberedMessage[], plans: readonly MessagePlan[], firstId: number): void {
  assert.deepEqual(stored.map(({ id }) => id), plans.map((_, index) => firstId + index));
  for (const [index, message] of stored.entries()) assertSame(asExpected(message), expectMessage(plans[index]!), `message ${index}`);
}

test(
  `What was stored is read again to the byte after the cache was closed: ${MESSAGE_COUNT} messages`,
  { timeout: TEST_MS_MAX },
  async () => {
    const cache = openOutboxUnderTest(await openTestRuntime());
    let { outbox } = cache;
    let messageCount = 0;
    fc.assert(
      fc.property(batch, (plans) => {
        const firstId = outbox.nextMessageId();
        const before = outbox.ledger();
        outbox.commit({ at: now(), append: resolve(plans, firstId) });
        outbox = cache.restart();
        assertAllSame(outbox.readQueued(firstId - 1, plans.length + 1, Infinity), plans, firstId);
        assert.equal(outbox.ledger().accepted, before.accepted + plans.length);
        outbox.commit({ at: now(), removed: plans.map((_, index) => ({ id: firstId + index, fate: "delivered" })) });
        assert.deepEqual([outbox.ledger().pending, outbox.ledger().pendingBytes], [before.pending, before.pendingBytes]);
        messageCount += plans.length;
      }),
      runs(BATCH_COUNT),
    );
    cache.dispose();
    assert.ok(messageCount >= MESSAGE_COUNT * 0.8, `${messageCount} messages`);
  },
);

test("What was set aside is read again to the byte, and goes back into the queue so", { timeout: TEST_MS_MAX }, async () => {
  const cache = openOutboxUnderTest(await openTestRuntime());
  let { outbox } = cache;
  fc.assert(
    fc.property(batch, (plans) => {
      const firstId = outbox.nextMessageId();
      const ids = plans.map((_, index) => firstId + index);
      outbox.commit({ at: now(), append: resolve(plans, firstId) });
      outbox.commit({ at: now(), quarantined: ids.map((id) => ({ id, reason: "not wanted", reasonCode: 0x99, attempts: 1 })) });
      outbox = cache.restart();
      assertAllSame(outbox.readQuarantined(firstId - 1, plans.length + 1), plans, firstId);
      assert.deepEqual(outbox.requeueQuarantined(ids, now()), ids);
      outbox = cache.restart();
      assertAllSame(outbox.read(ids), plans, firstId);
      outbox.purge(ids, now());
    }),
    runs(ASIDE_BATCH_COUNT),
  );
  cache.dispose();
});
