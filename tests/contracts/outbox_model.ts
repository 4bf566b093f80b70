/**
 * The simplest thing that does what an outbox must do: maps in memory. Seeded chance drives it and an outbox side by side.
 *
 * @module
 */
import assert from "node:assert/strict";
import type { MessageId, NumberedMessage, QoS, StoredMessage } from "../../lib/core/message.ts";
import type { Fate, FateOf, Flight, Ledger, Moment, Outbox, OutboxBatch, QuarantinedMessage, SessionOwner } from "../../lib/core/ports.ts";
import type { OutboxUnderTest } from "./outbox.ts";

type Sent = NonNullable<OutboxBatch["sent"]>[number];
type Ending = NonNullable<OutboxBatch["removed"]>[number]["fate"];

/** Whole numbers below a bound; the same ones for the same seed. */
export class Dice {
  #state: number;

  constructor(seed: number) {
    this.#state = seed;
  }

  below(bound: number): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(this.#state ^ (this.#state >>> 15), this.#state | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) % bound;
  }

  /** Each of them with a chance of one in `odds`. */
  some<T>(items: readonly T[], odds: number): T[] {
    return items.filter(() => this.below(odds) === 0);
  }

  pick<T>(items: readonly T[]): T {
    return items[this.below(items.length)]!;
  }
}

function sizeOf({ topic, payload }: NumberedMessage): number {
  return new TextEncoder().encode(topic).length + payload.length;
}

/** See above. Believes all that it is told: batches must be lawful. */
export class ModelOutbox {
  readonly pending = new Map<MessageId, StoredMessage>();
  readonly flights = new Map<MessageId, Flight>();
  readonly quarantined = new Map<MessageId, QuarantinedMessage>();
  readonly fates = new Map<MessageId, Fate>();
  nextId = 1;
  cursor = 0;
  session: SessionOwner = { state: "none" };
  lastMoment: Moment | undefined;

  commit(batch: OutboxBatch): void {
    const { at } = batch;
    this.lastMoment = at;
    for (const message of batch.append ?? []) {
      while (this.nextId < message.id) this.fates.set(this.nextId++, "refused");
      this.nextId = message.id + 1;
      this.pending.set(message.id, { ...message, storedAtEpochMs: at.epochMs, storedAtKnownMs: at.knownMs });
    }
    if (batch.freePacketIds === true) { for (const flight of this.flights.values()) this.#end(flight, flight.attempts); }
    for (const { id, packetId, sendNumber, qos } of batch.sent ?? []) {
      const attempts = this.flights.get(id)?.attempts ?? 0;
      this.flights.set(id, { id, qos, stage: "sent", packetId, sendNumber, receivedNumber: 0, attempts });
    }
    for (const { id, receivedNumber } of batch.received ?? []) {
      this.flights.set(id, { ...this.flights.get(id)!, stage: "received", receivedNumber });
    }
    for (const { id, attempts } of batch.requeued ?? []) this.#end(this.flights.get(id)!, attempts);
    for (const { id, fate } of batch.removed ?? []) this.#settle(id, fate);
    for (const { id, ...why } of batch.quarantined ?? []) {
      this.quarantined.set(id, { ...this.pending.get(id)!, ...why, quarantinedAtEpochMs: at.epochMs });
      this.#settle(id, "quarantined");
    }
    this.session = batch.session ?? this.session;
    this.cursor = batch.packetIdCursor ?? this.cursor;
  }

  requeue(ids: readonly MessageId[], at: Moment): MessageId[] {
    const present = ids.filter((id) => {
      const message = this.quarantined.get(id);
      if (message === undefined) return false;
      const { reason: _1, reasonCode: _2, attempts: _3, quarantinedAtEpochMs: _4, ...stored } = message;
      this.quarantined.delete(id);
      this.fates.delete(id);
      this.pending.set(id, stored);
      return true;
    });
    if (present.length > 0) this.lastMoment = at;
    return present;
  }

  purge(ids: readonly MessageId[], at: Moment): MessageId[] {
    const present = ids.filter((id) => {
      const isThere = this.quarantined.delete(id) || (this.pending.has(id) && !this.flights.has(id));
      if (isThere) this.#settle(id, "purged");
      return isThere;
    });
    if (present.length > 0) this.lastMoment = at;
    return present;
  }

  #end(flight: Flight, attempts: number): void {
    this.flights.set(flight.id, { ...flight, stage: "requeued", packetId: 0, receivedNumber: 0, attempts });
  }

  #settle(id: MessageId, fate: Fate): void {
    this.pending.delete(id);
    this.flights.delete(id);
    this.fates.set(id, fate);
  }

  fateOf(id: MessageId): FateOf {
    return this.fates.get(id) ?? (this.pending.has(id) ? "pending" : "unissued");
  }

  waiting(): StoredMessage[] {
    return [...this.pending.values()].filter(({ id }) => !this.flights.has(id)).sort((a, b) => a.id - b.id);
  }

  inSendOrder(): Flight[] {
    return [...this.flights.values()].sort((a, b) => a.sendNumber - b.sendNumber);
  }

  ledger(): Ledger {
    const count = (fate: Fate) => [...this.fates.values()].filter((each) => each === fate).length;
    return {
      accepted: this.nextId - 1 - count("refused"),
      delivered: count("delivered"),
      quarantined: count("quarantined"),
      dropped: count("dropped"),
      expired: count("expired"),
      purged: count("purged"),
      damaged: count("damaged"),
      pending: this.pending.size,
      pendingBytes: [...this.pending.values()].reduce((sum, message) => sum + sizeOf(message), 0),
    };
  }
}

/** Lawful steps, by chance. */
export class Driver {
  readonly #dice: Dice;
  readonly #model: ModelOutbox;
  #seconds = 0;
  #sendNumber = 0;
  #receivedNumber = 0;

  constructor(dice: Dice, model: ModelOutbox) {
    this.#dice = dice;
    this.#model = model;
  }

  moment(): Moment {
    this.#seconds++;
    return { epochMs: 1_700_000_000_000 + this.#seconds * 1000, knownMs: this.#seconds * 1000 };
  }

  ids(): MessageId[] {
    return Array.from({ length: this.#dice.below(4) }, () => this.#dice.below(this.#model.nextId + 2));
  }

  batch(): OutboxBatch {
    const dice = this.#dice;
    const append = this.#append();
    const isFreed = dice.below(15) === 0;
    const flights = this.#model.inSendOrder();
    const open = isFreed ? [] : flights.filter(({ stage }) => stage !== "requeued");
    const requeued = isFreed ? flights : flights.filter(({ stage }) => stage === "requeued");
    const waiting = [...this.#model.waiting(), ...append];
    const used = new Set(open.map(({ packetId }) => packetId));
    let cursor = this.#model.cursor;
    const toSend = [
      ...dice.some(requeued, 3).map(({ id }) => this.#model.pending.get(id)!),
      ...dice.some(waiting.filter(({ qos }) => qos > 0), 4),
    ];
    const sent = toSend.slice(0, dice.below(20)).map(({ id, qos }): Sent => {
      do cursor = cursor % 60 + 1; while (used.has(cursor));
      used.add(cursor);
      return { id, packetId: cursor, sendNumber: ++this.#sendNumber, qos: dice.below(5) === 0 ? 1 : qos };
    }).slice(0, 40 - open.length);
    const isSent = new Set(sent.map(({ id }) => id));
    const received = dice.some(open.filter(({ stage, qos }) => stage === "sent" && qos === 2), 3);
    const isReceived = new Set(received.map(({ id }) => id));
    // Each open flight meets at most one of these in a batch.
    const left = open.filter(({ id }) => !isReceived.has(id));
    const requeue = dice.some(left, 12);
    const delivered = dice.some(left.filter((flight) => !requeue.includes(flight)), 3).filter(({ stage, qos }) =>
      qos === 1 || stage === "received"
    );
    const still = waiting.filter(({ id }) => !isSent.has(id));
    const settled = dice.some(still, 10).map(({ id, qos }) => ({
      id,
      fate: qos === 0 ? "delivered" as const : dice.pick<Ending>(["dropped", "expired", "purged"]),
    }));
    const isSettled = new Set([...settled, ...delivered].map(({ id }) => id));
    const quarantined = dice.some([...still, ...left].filter(({ id }) => !isSettled.has(id)), 25);
    return {
      at: this.moment(),
      append,
      freePacketIds: isFreed,
      sent,
      received: received.map(({ id }) => ({ id, receivedNumber: ++this.#receivedNumber })),
      requeued: requeue.map(({ id, attempts }) => ({ id, attempts: attempts + dice.below(2) })),
      removed: [...settled, ...delivered.map(({ id }) => ({ id, fate: "delivered" as const }))],
      quarantined: quarantined.map(({ id }) => ({
        id,
        reason: `because ${id}`,
        attempts: 0,
        ...(dice.below(2) === 0 ? {} : { reasonCode: 0x87 }),
      })),
      ...(dice.below(10) > 0
        ? {}
        : { session: dice.below(2) === 0 ? { state: "none" as const } : { state: "established" as const, broker: `b${dice.below(3)}` } }),
      ...(sent.length === 0 ? {} : { packetIdCursor: cursor }),
    };
  }

  #append(): NumberedMessage[] {
    const dice = this.#dice;
    let id = this.#model.nextId - 1;
    // Short of growing without end, so that every stage is seen at every size.
    return Array.from({ length: this.#model.pending.size > 60 ? 0 : dice.below(8) }, () => {
      id += dice.below(12) === 0 ? 1 + dice.below(3) : 1;
      return {
        id,
        topic: dice.pick(["a", "plant/€", "x/y/z"]),
        payload: Uint8Array.from({ length: dice.below(50) }, () => dice.below(256)),
        qos: dice.below(3) as QoS,
        retain: dice.below(5) === 0,
      };
    });
  }
}

/** So many of the last ids are looked at after each step. */
const RECENT_COUNT = 40;

/** Everything that can be seen of `outbox` is what `model` says; fates from `fatesFrom` on. */
export function assertSame(outbox: Outbox, model: ModelOutbox, fatesFrom: MessageId = 0): void {
  assert.equal(outbox.nextMessageId(), model.nextId);
  assert.equal(outbox.packetIdCursor(), model.cursor);
  assert.deepEqual(outbox.session(), model.session);
  if (model.lastMoment !== undefined) assert.deepEqual(outbox.lastMoment(), model.lastMoment);
  assert.deepEqual(outbox.flights(), model.inSendOrder());
  assert.deepEqual(outbox.readQueued(0, 1_000, Infinity), model.waiting());
  assert.deepEqual(outbox.ledger(), model.ledger());
  const quarantined = [...model.quarantined.values()].sort((a, b) => a.id - b.id);
  assert.deepEqual(outbox.readQuarantined(0, 1_000), quarantined);
  const pending = [...model.pending.keys()].sort((a, b) => a - b);
  assert.equal(outbox.oldestPendingEpochMs(), pending[0] === undefined ? undefined : model.pending.get(pending[0])?.storedAtEpochMs);
  assert.deepEqual(outbox.read(pending), pending.map((id) => model.pending.get(id)));
  for (let id = fatesFrom; id <= model.nextId; id++) assert.equal(outbox.fateOf(id), model.fateOf(id), `fate of ${id}`);
  assert.equal(outbox.hasPendingThrough(model.nextId >> 1), (pending[0] ?? Infinity) <= model.nextId >> 1);
  const delivered = [...model.fates].filter(([, fate]) => fate === "delivered").map(([id]) => id);
  assert.equal(outbox.lastDeliveredId(), Math.max(0, ...delivered));
}

/** Does `stepCount` lawful things by chance to both, and compares them after each. */
export function compareWithModel(subject: OutboxUnderTest, seed: number, stepCount: number): void {
  const dice = new Dice(seed);
  const model = new ModelOutbox();
  const driver = new Driver(dice, model);
  let { outbox } = subject;
  for (let step = 0; step < stepCount; step++) {
    const what = dice.below(20);
    if (what === 0) {
      outbox = subject.restart();
    } else if (what === 1) {
      outbox.reopen();
    } else if (what === 2) {
      const [ids, at] = [driver.ids(), driver.moment()];
      assert.deepEqual(outbox.requeueQuarantined(ids, at), model.requeue(ids, at));
    } else if (what === 3) {
      const [ids, at] = [driver.ids(), driver.moment()];
      assert.deepEqual(outbox.purge(ids, at), model.purge(ids, at));
    } else {
      const batch = driver.batch();
      outbox.commit(batch);
      if (
        Object.values(batch).some((part) => part === true || (Array.isArray(part) && part.length > 0)) || batch.session ||
        batch.packetIdCursor
      ) {
        model.commit(batch);
      }
    }
    // All fates are a matter of seconds in the end: after a restart, and at last.
    assertSame(outbox, model, what === 0 || step === stepCount - 1 ? 0 : Math.max(0, model.nextId - RECENT_COUNT));
  }
}
