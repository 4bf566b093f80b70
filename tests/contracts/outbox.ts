/**
 * What every {@linkcode Outbox} must do, whatever it is made of.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { MessageId, NumberedMessage, QoS } from "../../lib/core/message.ts";
import type { Flight, Ledger, Moment, Outbox, OutboxBatch } from "../../lib/core/ports.ts";
import { compareWithModel } from "./outbox_model.ts";

/** An outbox under test. */
export interface OutboxUnderTest {
  readonly outbox: Outbox;
  /** Ends this one without warning and gives another over the same data. */
  restart(): Outbox;
  /** Takes everything away. */
  dispose(): void;
}

const EMPTY: Ledger = {
  accepted: 0,
  delivered: 0,
  quarantined: 0,
  dropped: 0,
  expired: 0,
  purged: 0,
  damaged: 0,
  pending: 0,
  pendingBytes: 0,
};

/** Each number of seconds is a moment of its own. */
export function moment(seconds: number): Moment {
  return { epochMs: 1_700_000_000_000 + seconds * 1000, knownMs: seconds * 1000 };
}

/** A message of nine bytes: five of topic, four of payload. */
export function message(id: MessageId, rest: Partial<NumberedMessage> = {}): NumberedMessage {
  return { id, topic: "a/b/c", payload: new Uint8Array([1, 2, 3, id & 0xff]), qos: 2, retain: false, ...rest };
}

/** So many messages from `first`. */
export function messages(first: MessageId, count: number, rest: Partial<NumberedMessage> = {}): NumberedMessage[] {
  return Array.from({ length: count }, (_, index) => message(first + index, rest));
}

/** Ids, packet ids and send numbers that begin at these. */
export function sent(id: MessageId, packetId: number, sendNumber: number, count = 1, qos: QoS = 2): NonNullable<OutboxBatch["sent"]> {
  return Array.from({ length: count }, (_, index) => ({ id: id + index, packetId: packetId + index, sendNumber: sendNumber + index, qos }));
}

function idsOf(list: readonly { readonly id: MessageId }[]): MessageId[] {
  return list.map(({ id }) => id);
}

/** All that can be seen of an outbox without knowing its ids. */
function snapshot(outbox: Outbox) {
  return {
    nextMessageId: outbox.nextMessageId(),
    session: outbox.session(),
    packetIdCursor: outbox.packetIdCursor(),
    flights: outbox.flights(),
    queued: outbox.readQueued(0, 1_000, Infinity),
    ledger: outbox.ledger(),
    lastDeliveredId: outbox.lastDeliveredId(),
    lastMoment: outbox.lastMoment(),
    quarantined: outbox.readQuarantined(0, 1_000),
    oldest: outbox.oldestPendingEpochMs(),
  };
}

/** Runs the contract. `open` gives an empty outbox each time. */
export function testOutbox(name: string, open: () => OutboxUnderTest | Promise<OutboxUnderTest>): void {
  const check = (sentence: string, body: (outbox: Outbox, restart: () => Outbox) => void) =>
    test(sentence, async () => {
      const subject = await open();
      try {
        body(subject.outbox, () => subject.restart());
      } finally {
        subject.dispose();
      }
    });

  describe(name, () => {
    check("A new outbox is empty, its session nobody's, its first id 1", (outbox) => {
      assert.equal(outbox.nextMessageId(), 1);
      assert.deepEqual(outbox.ledger(), EMPTY);
      assert.deepEqual(outbox.session(), { state: "none" });
      assert.equal(outbox.packetIdCursor(), 0);
      assert.deepEqual(outbox.flights(), []);
      assert.deepEqual(outbox.readQueued(0, 10, 1_000), []);
      assert.deepEqual(outbox.readQuarantined(0, 10), []);
      assert.equal(outbox.lastDeliveredId(), 0);
      assert.equal(outbox.oldestPendingEpochMs(), undefined);
      assert.equal(outbox.hasPendingThrough(1_000), false);
      assert.equal(outbox.fateOf(1), "unissued");
    });

    check("A stored message is read back byte for byte, also after a restart", (outbox, restart) => {
      const stored: NumberedMessage[] = [
        message(1, { payload: new Uint8Array(0), qos: 0 }),
        message(2, { topic: "€/🌡/\u{feff}x y/", payload: Uint8Array.from({ length: 256 }, (_, byte) => byte), qos: 1, retain: true }),
        message(3, {
          properties: {
            payloadFormatIndicator: true,
            messageExpiryInterval: 4_294_967_295,
            contentType: "text/plain",
            responseTopic: "answers/here",
            correlationData: new Uint8Array([0, 255, 0]),
            userProperties: JSON.parse('{"b":["2","1"],"a":"€","__proto__":"own","":""}'),
          },
        }),
        message(4, { properties: {} }),
        message(5, {
          payload: Uint8Array.from({ length: 300_000 }, (_, index) => index % 251),
          properties: { correlationData: new Uint8Array(0) },
        }),
      ];
      outbox.commit({ at: moment(7), append: stored });
      const times = { storedAtEpochMs: moment(7).epochMs, storedAtKnownMs: moment(7).knownMs };
      const expected = stored.map((each) => ({ ...each, ...times }));
      assert.deepEqual(outbox.readQueued(0, 10, Infinity), expected);
      const restarted = restart();
      assert.deepEqual(restarted.readQueued(0, 10, Infinity), expected);
      assert.deepEqual(restarted.read([5, 99, 1]), [expected[4], expected[0]]);
      const names = Object.getOwnPropertyNames(restarted.read([3])[0]?.properties?.userProperties);
      assert.deepEqual(names, ["b", "a", "__proto__", ""]);
    });

    check("All that was committed survives a restart", (outbox, restart) => {
      outbox.commit({
        at: moment(1),
        append: messages(1, 8),
        sent: sent(1, 65_278, 1, 2),
        packetIdCursor: 65_279,
        session: { state: "established", broker: "mqtt://broker:1883" },
      });
      outbox.commit({ at: moment(2), received: [{ id: 2, receivedNumber: 1 }], requeued: [{ id: 1, attempts: 3 }] });
      outbox.commit({
        at: moment(3),
        append: [message(12)],
        removed: [{ id: 2, fate: "delivered" }, { id: 3, fate: "expired" }],
        quarantined: [{ id: 4, reason: "not authorized", reasonCode: 0x87, attempts: 1 }],
      });
      outbox.writeNote("version", "4");
      const before = snapshot(outbox);
      assert.equal(before.ledger.accepted, 9);
      const restarted = restart();
      assert.deepEqual(snapshot(restarted), before);
      assert.equal(restarted.readNote("version"), "4");
      for (
        const [id, fate] of [[1, "pending"], [2, "delivered"], [3, "expired"], [4, "quarantined"], [9, "refused"], [
          13,
          "unissued",
        ]] as const
      ) {
        assert.equal(restarted.fateOf(id), fate);
      }
    });

    check("reopen() leaves everything as it was", (outbox) => {
      outbox.commit({ at: moment(1), append: messages(1, 5), sent: sent(1, 1, 1, 2), packetIdCursor: 2 });
      const before = snapshot(outbox);
      outbox.reopen();
      assert.deepEqual(snapshot(outbox), before);
      outbox.commit({ at: moment(2), removed: [{ id: 1, fate: "delivered" }] });
      assert.equal(outbox.ledger().delivered, 1);
    });

    check("Ids that append() skips are refused, once and for all", (outbox) => {
      outbox.commit({ at: moment(1), append: [message(3), message(4), message(7)] });
      assert.equal(outbox.nextMessageId(), 8);
      assert.deepEqual([0, 1, 2, 3, 4, 5, 6, 7, 8].map((id) => outbox.fateOf(id)), [
        "unissued",
        "refused",
        "refused",
        "pending",
        "pending",
        "refused",
        "refused",
        "pending",
        "unissued",
      ]);
      assert.equal(outbox.ledger().accepted, 3);
      assert.throws(() => outbox.commit({ at: moment(2), append: [message(5)] }));
      assert.throws(() => outbox.commit({ at: moment(2), append: [message(9), message(8)] }));
      assert.equal(outbox.fateOf(5), "refused");
      assert.equal(outbox.nextMessageId(), 8);
    });

    check("readQueued() gives pages by count and by bytes, and at least one message", (outbox) => {
      outbox.commit({ at: moment(1), append: messages(1, 10, { payload: new Uint8Array(1_000) }) });
      assert.deepEqual(idsOf(outbox.readQueued(0, 3, 1_000_000)), [1, 2, 3]);
      assert.deepEqual(idsOf(outbox.readQueued(3, 100, 1_000_000)), [4, 5, 6, 7, 8, 9, 10]);
      assert.deepEqual(idsOf(outbox.readQueued(0, 100, 3_100)), [1, 2, 3]);
      assert.deepEqual(idsOf(outbox.readQueued(0, 100, 2_900)), [1, 2]);
      assert.deepEqual(idsOf(outbox.readQueued(0, 100, 1)), [1]);
      assert.deepEqual(idsOf(outbox.readQueued(10, 100, 1_000_000)), []);
    });

    check("readQueued() leaves out what was ever sent", (outbox) => {
      outbox.commit({ at: moment(1), append: messages(1, 6), sent: [...sent(2, 1, 1), ...sent(4, 2, 2)], packetIdCursor: 2 });
      outbox.commit({ at: moment(2), requeued: [{ id: 4, attempts: 1 }] });
      assert.deepEqual(idsOf(outbox.readQueued(0, 100, 1_000)), [1, 3, 5, 6]);
      assert.deepEqual(idsOf(outbox.readQueued(0, 2, 1_000)), [1, 3]);
      assert.deepEqual(idsOf(outbox.read([4, 2])), [4, 2]);
    });

    check("flights() are in send order, with all that is known of them", (outbox, restart) => {
      outbox.commit({ at: moment(1), append: [...messages(1, 3), message(4, { qos: 1 })], sent: [...sent(3, 10, 1), ...sent(1, 11, 2)] });
      outbox.commit({
        at: moment(2),
        sent: [...sent(4, 12, 3, 1, 1), ...sent(2, 13, 4)],
        received: [{ id: 1, receivedNumber: 1 }, { id: 3, receivedNumber: 2 }],
      });
      const expected: Flight[] = [
        { id: 3, qos: 2, stage: "received", packetId: 10, sendNumber: 1, receivedNumber: 2, attempts: 0 },
        { id: 1, qos: 2, stage: "received", packetId: 11, sendNumber: 2, receivedNumber: 1, attempts: 0 },
        { id: 4, qos: 1, stage: "sent", packetId: 12, sendNumber: 3, receivedNumber: 0, attempts: 0 },
        { id: 2, qos: 2, stage: "sent", packetId: 13, sendNumber: 4, receivedNumber: 0, attempts: 0 },
      ];
      assert.deepEqual(outbox.flights(), expected);
      assert.deepEqual(restart().flights(), expected);
    });

    check("Neighbours in a batch may have numbers that are none", (outbox, restart) => {
      const marks = [[1, 10, 1], [2, 11, 5], [3, 13, 6], [4, 14, 7]] as const;
      outbox.commit({
        at: moment(1),
        append: messages(1, 4),
        sent: marks.flatMap(([id, packetId, sendNumber]) => sent(id, packetId, sendNumber)),
      });
      outbox.commit({
        at: moment(2),
        received: [{ id: 1, receivedNumber: 1 }, { id: 2, receivedNumber: 4 }, { id: 3, receivedNumber: 5 }],
      });
      const flights = restart().flights();
      assert.deepEqual(flights.map(({ id, packetId, sendNumber }) => [id, packetId, sendNumber]), marks);
      assert.deepEqual(flights.map(({ receivedNumber }) => receivedNumber), [1, 4, 5, 0]);
    });

    check("A flight has the QoS it was sent at, which may be less than its message has", (outbox, restart) => {
      outbox.commit({ at: moment(1), append: messages(1, 2), sent: [...sent(1, 1, 1, 1, 1), ...sent(2, 2, 2)], packetIdCursor: 2 });
      assert.deepEqual(outbox.flights().map(({ qos }) => qos), [1, 2]);
      assert.deepEqual(outbox.read([1])[0]?.qos, 2);
      outbox.commit({ at: moment(2), freePacketIds: true, sent: [...sent(1, 3, 3), ...sent(2, 4, 4, 1, 1)] });
      const again = restart();
      assert.deepEqual(again.flights().map(({ qos }) => qos), [2, 1]);
      assert.throws(() => again.commit({ at: moment(3), received: [{ id: 2, receivedNumber: 1 }] }));
    });

    check("freePacketIds returns all flights to the queue in their send order, in the commit that sends them again", (outbox, restart) => {
      outbox.commit({ at: moment(1), append: messages(1, 5), sent: [...sent(4, 1, 1), ...sent(1, 2, 2, 3)], packetIdCursor: 4 });
      outbox.commit({ at: moment(2), received: [{ id: 1, receivedNumber: 1 }], requeued: [{ id: 2, attempts: 2 }] });
      outbox.commit({ at: moment(3), freePacketIds: true, session: { state: "established", broker: "b" } });
      const freed = outbox.flights();
      assert.deepEqual(idsOf(freed), [4, 1, 2, 3]);
      for (const flight of freed) {
        assert.deepEqual([flight.stage, flight.packetId, flight.receivedNumber, flight.attempts], [
          "requeued",
          0,
          0,
          flight.id === 2 ? 2 : 0,
        ]);
      }
      assert.deepEqual(outbox.session(), { state: "established", broker: "b" });
      outbox.commit({ at: moment(4), sent: sent(4, 5, 9) });
      outbox.commit({ at: moment(5), freePacketIds: true, sent: [...sent(4, 5, 20), ...sent(1, 6, 21, 2)], packetIdCursor: 7 });
      const again = restart().flights();
      assert.deepEqual(
        again.map(({ id, stage, packetId, sendNumber, attempts }) => [id, stage, packetId, sendNumber, attempts]),
        [[3, "requeued", 0, 4, 0], [4, "sent", 5, 20, 0], [1, "sent", 6, 21, 0], [2, "sent", 7, 22, 2]],
      );
    });

    check("A packet id is free again once its message has left, and not before", (outbox) => {
      outbox.commit({ at: moment(1), append: messages(1, 3), sent: sent(1, 1, 1) });
      assert.throws(() => outbox.commit({ at: moment(2), sent: sent(2, 1, 2) }));
      assert.throws(() => outbox.commit({ at: moment(2), sent: [...sent(2, 7, 2), ...sent(3, 7, 3)] }));
      outbox.commit({ at: moment(2), removed: [{ id: 1, fate: "delivered" }] });
      outbox.commit({ at: moment(3), sent: sent(2, 1, 2) });
      outbox.commit({ at: moment(4), requeued: [{ id: 2, attempts: 1 }], quarantined: [{ id: 2, reason: "no", attempts: 2 }] });
      outbox.commit({ at: moment(5), sent: sent(3, 1, 3) });
      assert.deepEqual(outbox.flights().map(({ id, packetId }) => [id, packetId]), [[3, 1]]);
    });

    const unlawful: readonly (readonly [string, Omit<OutboxBatch, "at">])[] = [
      ["to send what is on its way", { sent: sent(1, 9, 9) }],
      ["to send what was received", { sent: sent(2, 9, 9) }],
      ["to send what is not there", { sent: sent(99, 9, 9) }],
      ["to send what was delivered", { sent: sent(6, 9, 9) }],
      ["to send at QoS 0 under a packet id", { sent: sent(4, 9, 9, 1, 0) }],
      ["to send at a higher QoS than the message has", { sent: sent(5, 9, 9, 1, 1) }],
      ["to send under packet id 0", { sent: sent(4, 0, 9) }],
      ["to send under a packet id reserved for subscribing", { sent: sent(4, 65_280, 9) }],
      ["to mark received what was never sent", { received: [{ id: 4, receivedNumber: 9 }] }],
      ["to mark received what was received", { received: [{ id: 2, receivedNumber: 9 }] }],
      ["to mark received what was requeued", { received: [{ id: 3, receivedNumber: 9 }] }],
      ["to mark received what is of QoS 1", { received: [{ id: 8, receivedNumber: 9 }] }],
      ["to requeue what was never sent", { requeued: [{ id: 4, attempts: 1 }] }],
      ["to requeue what was requeued", { requeued: [{ id: 3, attempts: 9 }] }],
      ["to remove what is not there", { removed: [{ id: 99, fate: "delivered" }] }],
      ["to remove the same message twice", { removed: [{ id: 4, fate: "delivered" }, { id: 4, fate: "delivered" }] }],
      ["to remove what has left", { removed: [{ id: 6, fate: "delivered" }] }],
      ["to remove what was quarantined", { removed: [{ id: 7, fate: "delivered" }] }],
      ["to drop what was sent", { removed: [{ id: 1, fate: "dropped" }] }],
      ["to let expire what was ever sent", { removed: [{ id: 3, fate: "expired" }] }],
      ["to quarantine what is not there", { quarantined: [{ id: 99, reason: "", attempts: 0 }] }],
      ["to quarantine what was quarantined", { quarantined: [{ id: 7, reason: "", attempts: 0 }] }],
      ["to move the packet id cursor where no packet id is", { packetIdCursor: 65_280 }],
    ];
    for (const [what, batch] of unlawful) {
      check(`It is refused ${what}, and nothing of that batch happens`, (outbox, restart) => {
        outbox.commit({
          at: moment(1),
          append: [...messages(1, 4), message(5, { qos: 0 }), message(6), message(7), message(8, { qos: 1 })],
          sent: [...sent(1, 1, 1, 3), ...sent(6, 4, 4), ...sent(8, 5, 5, 1, 1)],
        });
        outbox.commit({
          at: moment(2),
          received: [{ id: 2, receivedNumber: 1 }],
          requeued: [{ id: 3, attempts: 2 }],
          removed: [{ id: 6, fate: "delivered" }],
          quarantined: [{ id: 7, reason: "no", attempts: 1 }],
        });
        const before = snapshot(outbox);
        assert.throws(() =>
          outbox.commit({ at: moment(3), append: messages(9, 2), session: { state: "established", broker: "b" }, ...batch })
        );
        assert.deepEqual(snapshot(outbox), before);
        assert.deepEqual(snapshot(restart()), before);
      });
    }

    check("A message removed in the batch that appends it counts as accepted and as delivered", (outbox) => {
      outbox.commit({
        at: moment(1),
        append: [message(1, { qos: 0 }), message(2), message(3, { qos: 0 }), message(4, { qos: 0 })],
        removed: [{ id: 1, fate: "delivered" }, { id: 4, fate: "delivered" }, { id: 3, fate: "delivered" }],
      });
      assert.deepEqual(outbox.ledger(), { ...EMPTY, accepted: 4, delivered: 3, pending: 1, pendingBytes: 9 });
      assert.deepEqual(outbox.read([1, 2, 3, 4]).length, 1);
      assert.equal(outbox.fateOf(1), "delivered");
      assert.equal(outbox.lastDeliveredId(), 4);
    });

    check("Each fate is counted, and known by id afterwards", (outbox, restart) => {
      outbox.commit({ at: moment(1), append: messages(1, 9) });
      outbox.commit({
        at: moment(2),
        removed: [
          { id: 8, fate: "delivered" },
          { id: 1, fate: "dropped" },
          { id: 2, fate: "dropped" },
          { id: 3, fate: "expired" },
          { id: 5, fate: "purged" },
          { id: 6, fate: "delivered" },
        ],
      });
      outbox.commit({ at: moment(3), removed: [{ id: 4, fate: "expired" }] });
      assert.deepEqual(outbox.ledger(), {
        ...EMPTY,
        accepted: 9,
        delivered: 2,
        dropped: 2,
        expired: 2,
        purged: 1,
        pending: 2,
        pendingBytes: 18,
      });
      assert.equal(outbox.lastDeliveredId(), 8);
      const fates = ["dropped", "dropped", "expired", "expired", "purged", "delivered", "pending", "delivered", "pending"];
      assert.deepEqual(fates.map((_, index) => outbox.fateOf(index + 1)), fates);
      const restarted = restart();
      assert.deepEqual(fates.map((_, index) => restarted.fateOf(index + 1)), fates);
    });

    check("A quarantined message is kept whole, with the reason", (outbox, restart) => {
      outbox.commit({ at: moment(1), append: messages(1, 3), sent: sent(2, 1, 1) });
      outbox.commit({
        at: moment(2),
        quarantined: [{ id: 2, reason: "packet too large", reasonCode: 0x95, attempts: 4 }, { id: 3, reason: "poison", attempts: 5 }],
      });
      assert.deepEqual(outbox.ledger(), { ...EMPTY, accepted: 3, quarantined: 2, pending: 1, pendingBytes: 9 });
      assert.deepEqual(outbox.flights(), []);
      assert.deepEqual(outbox.read([2, 3]), []);
      const times = { storedAtEpochMs: moment(1).epochMs, storedAtKnownMs: moment(1).knownMs, quarantinedAtEpochMs: moment(2).epochMs };
      const expected = [
        { ...message(2), ...times, reason: "packet too large", reasonCode: 0x95, attempts: 4 },
        { ...message(3), ...times, reason: "poison", attempts: 5 },
      ];
      assert.deepEqual(outbox.readQuarantined(0, 10), expected);
      assert.deepEqual(outbox.readQuarantined(2, 10), expected.slice(1));
      assert.deepEqual(outbox.readQuarantined(0, 1), expected.slice(0, 1));
      assert.deepEqual(restart().readQuarantined(0, 10), expected);
    });

    check("requeueQuarantined() puts back what is quarantined under its own id, and says which", (outbox) => {
      outbox.commit({ at: moment(1), append: messages(1, 4) });
      outbox.commit({ at: moment(2), quarantined: [{ id: 1, reason: "a", attempts: 1 }, { id: 3, reason: "b", attempts: 1 }] });
      assert.deepEqual(outbox.requeueQuarantined([3, 2, 99, 3], moment(3)), [3]);
      assert.deepEqual(outbox.ledger(), { ...EMPTY, accepted: 4, quarantined: 1, pending: 3, pendingBytes: 27 });
      assert.deepEqual(idsOf(outbox.readQueued(0, 10, 1_000)), [2, 3, 4]);
      assert.deepEqual([1, 3].map((id) => outbox.fateOf(id)), ["quarantined", "pending"]);
      outbox.commit({ at: moment(4), sent: sent(3, 1, 1) });
      outbox.commit({ at: moment(5), removed: [{ id: 3, fate: "delivered" }] });
      assert.equal(outbox.fateOf(3), "delivered");
    });

    check("purge() takes out what waits or is quarantined, and nothing that was ever sent", (outbox, restart) => {
      outbox.commit({ at: moment(1), append: messages(1, 6), sent: sent(1, 1, 1, 2) });
      outbox.commit({ at: moment(2), requeued: [{ id: 2, attempts: 1 }], quarantined: [{ id: 4, reason: "a", attempts: 0 }] });
      assert.deepEqual(outbox.purge([6, 1, 2, 4, 99, 3, 3], moment(3)), [6, 4, 3]);
      assert.deepEqual(outbox.ledger(), { ...EMPTY, accepted: 6, purged: 3, pending: 3, pendingBytes: 27 });
      const restarted = restart();
      const fates = ["pending", "pending", "purged", "purged", "pending", "purged"];
      assert.deepEqual(fates.map((_, index) => restarted.fateOf(index + 1)), fates);
      assert.deepEqual(restarted.readQuarantined(0, 10), []);
    });

    check("A commit of nothing is no commit", (outbox) => {
      outbox.commit({ at: moment(1), append: [message(1)] });
      outbox.commit({ at: moment(9) });
      outbox.commit({
        at: moment(9),
        append: [],
        freePacketIds: false,
        sent: [],
        received: [],
        requeued: [],
        removed: [],
        quarantined: [],
      });
      assert.deepEqual(outbox.lastMoment(), moment(1));
      outbox.commit({ at: moment(9), packetIdCursor: 5 });
      assert.deepEqual(outbox.lastMoment(), moment(9));
      assert.equal(outbox.packetIdCursor(), 5);
    });

    check("hasPendingThrough() and oldestPendingEpochMs() look at the least pending id", (outbox) => {
      outbox.commit({ at: moment(1), append: messages(1, 2), sent: sent(1, 1, 1) });
      outbox.commit({ at: moment(2), append: messages(3, 2) });
      assert.deepEqual([0, 1, 4].map((id) => outbox.hasPendingThrough(id)), [false, true, true]);
      assert.equal(outbox.oldestPendingEpochMs(), moment(1).epochMs);
      outbox.commit({ at: moment(3), removed: [{ id: 1, fate: "delivered" }], quarantined: [{ id: 2, reason: "", attempts: 0 }] });
      assert.deepEqual([1, 2, 3].map((id) => outbox.hasPendingThrough(id)), [false, false, true]);
      assert.equal(outbox.oldestPendingEpochMs(), moment(2).epochMs);
    });

    check("The session can be taken and given up", (outbox, restart) => {
      outbox.commit({ at: moment(1), session: { state: "established", broker: "mqtts://b:8883" } });
      const restarted = restart();
      assert.deepEqual(restarted.session(), { state: "established", broker: "mqtts://b:8883" });
      restarted.commit({ at: moment(2), session: { state: "none" } });
      assert.deepEqual(restarted.session(), { state: "none" });
    });

    check("Notes are kept by key", (outbox, restart) => {
      assert.equal(outbox.readNote("a"), undefined);
      outbox.writeNote("a", "1");
      outbox.writeNote("b", "€ 🌡");
      outbox.writeNote("a", "2");
      const restarted = restart();
      assert.deepEqual(["a", "b", "c"].map((key) => restarted.readNote(key)), ["2", "€ 🌡", undefined]);
    });

    check("A thousand messages go through every stage in batches", (outbox, restart) => {
      outbox.commit({ at: moment(1), append: messages(1, 1_000), sent: sent(1, 64_780, 1, 500), packetIdCursor: 65_279 });
      outbox.commit({ at: moment(2), sent: sent(501, 1, 501, 500), packetIdCursor: 500 });
      const numbered = Array.from({ length: 1_000 }, (_, index) => ({ id: 1_000 - index, receivedNumber: index + 1 }));
      outbox.commit({ at: moment(3), received: numbered });
      const flights = restart().flights();
      assert.deepEqual(idsOf(flights), idsOf(messages(1, 1_000)));
      assert.ok(flights.every(({ id, stage, receivedNumber }) => stage === "received" && receivedNumber === 1_001 - id));
    });

    check("A thousand removals in any order leave in one batch", (outbox, restart) => {
      outbox.commit({ at: moment(1), append: messages(1, 1_000), sent: sent(1, 1, 1, 1_000) });
      const mixed = Array.from({ length: 1_000 }, (_, index) => ({ id: (index * 7) % 1_000 + 1, fate: "delivered" as const }));
      outbox.commit({ at: moment(2), removed: mixed.filter(({ id }) => id % 10 !== 0) });
      assert.equal(outbox.ledger().delivered, 900);
      const restarted = restart();
      assert.deepEqual(idsOf(restarted.flights()), Array.from({ length: 100 }, (_, index) => (index + 1) * 10));
      assert.deepEqual(restarted.ledger(), { ...EMPTY, accepted: 1_000, delivered: 900, pending: 100, pendingBytes: 900 });
    });

    for (const seed of [1, 2, 3]) {
      test(`Whatever is done to it, it does what a simple model does (seed ${seed})`, async () => {
        const subject = await open();
        try {
          compareWithModel(subject, seed, 300);
        } finally {
          subject.dispose();
        }
      });
    }
  });
}
