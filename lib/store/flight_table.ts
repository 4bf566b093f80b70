/**
 * Table `flight`: messages that were ever sent and have not reached their fate. A window's worth at most, so a copy stands in memory.
 *
 * Invariants:
 * - the copy holds what the table holds once a transaction is kept;
 * - no two flights have the same packet id, but for those `requeued`, which have none.
 *
 * @module
 */
import { assert } from "../core/assert.ts";
import { type MessageId, PACKET_ID_MAX, type PacketId, type QoS } from "../core/message.ts";
import { type Flight, type OutboxBatch, type Stage, StoreError } from "../core/ports.ts";
import { DraftMap } from "./draft_map.ts";
import type { SqliteDatabase, SqliteRow } from "./ports.ts";
import { forEachRun } from "./runs.ts";

/** By the number that stands in the column. */
const STAGES: readonly Stage[] = ["sent", "received", "requeued"];

const SQL = {
  load: `SELECT id, qos, stage, packet_id, send_number, received_number, attempts FROM flight`,
  orphan: "SELECT id FROM flight WHERE NOT EXISTS (SELECT 1 FROM message WHERE message.id = flight.id) LIMIT 1",
  // Touches fewer rows than it should if a message is not there, or was never meant for so high a QoS.
  send: `INSERT INTO flight (id, qos, stage, packet_id, send_number, received_number, attempts)
    SELECT id, ?5, 0, ?3 + (id - ?1), ?4 + (id - ?1), 0, 0 FROM message WHERE id BETWEEN ?1 AND ?2 AND qos >= ?5
    ON CONFLICT (id) DO UPDATE
    SET qos = excluded.qos, stage = 0, packet_id = excluded.packet_id, send_number = excluded.send_number, received_number = 0`,
  receive: "UPDATE flight SET stage = 1, received_number = ?3 + (id - ?1) WHERE id BETWEEN ?1 AND ?2 AND stage = 0",
  requeue: "UPDATE flight SET stage = 2, packet_id = 0, received_number = 0, attempts = ?2 WHERE id = ?1 AND stage < 2",
  free: "UPDATE flight SET stage = 2, packet_id = 0, received_number = 0 WHERE stage < 2",
  remove: "DELETE FROM flight WHERE id BETWEEN ? AND ?",
} as const;

type Sent = NonNullable<OutboxBatch["sent"]>;
type Received = NonNullable<OutboxBatch["received"]>;
type Requeued = NonNullable<OutboxBatch["requeued"]>;

function isNextSent(mark: Sent[number], before: Sent[number]): boolean {
  return mark.id === before.id + 1 && mark.packetId === before.packetId + 1 && mark.sendNumber === before.sendNumber + 1 &&
    mark.qos === before.qos;
}

function isNextReceived(mark: Received[number], before: Received[number]): boolean {
  return mark.id === before.id + 1 && mark.receivedNumber === before.receivedNumber + 1;
}

/** Its statements on one connection, and the copy. */
export class FlightTable {
  readonly #send;
  readonly #receive;
  readonly #requeue;
  readonly #free;
  readonly #remove;
  readonly #flights: DraftMap<MessageId, Flight>;
  readonly #byPacketId: DraftMap<PacketId, MessageId>;

  /** Reads the table. Throws a StoreError if what it holds cannot be. */
  constructor(database: SqliteDatabase) {
    this.#send = database.prepare(SQL.send);
    this.#receive = database.prepare(SQL.receive);
    this.#requeue = database.prepare(SQL.requeue);
    this.#free = database.prepare(SQL.free);
    this.#remove = database.prepare(SQL.remove);
    const flights = database.prepare(SQL.load).all().map(decodeFlight);
    const open = flights.filter((flight) => flight.packetId !== 0);
    this.#flights = new DraftMap(flights.map((flight) => [flight.id, flight]));
    this.#byPacketId = new DraftMap(open.map((flight) => [flight.packetId, flight.id]));
    if (this.#byPacketId.values().length !== open.length) throw damaged("two messages have the same packet id");
    const orphan = database.prepare(SQL.orphan).get();
    if (orphan !== undefined) throw damaged(`message ${orphan.id} is in flight, and is not there`);
  }

  /** Was it ever sent, and has no fate yet? */
  has(id: MessageId): boolean {
    return this.#flights.has(id);
  }

  /** In the order of their send numbers. */
  list(): readonly Flight[] {
    return this.#flights.values().sort((a, b) => a.sendNumber - b.sendNumber || a.id - b.id);
  }

  /** The PUBLISHes of these may leave once this is durable. */
  send(marks: Sent): void {
    for (const mark of marks) this.#begin(mark);
    forEachRun(marks, isNextSent, (first, last) => {
      const changed = this.#send.run(first.id, last.id, first.packetId, first.sendNumber, first.qos);
      assert(changed === last.id - first.id + 1, `every message from ${first.id} to ${last.id} is there to be sent at QoS ${first.qos}`);
    });
  }

  #begin({ id, qos, packetId, sendNumber }: Sent[number]): void {
    const before = this.#flights.get(id);
    assert(before === undefined || before.stage === "requeued", `message ${id} is not on its way already`);
    assert(qos !== 0, `message ${id}, of QoS 0, has no exchange`);
    assert(packetId >= 1 && packetId <= PACKET_ID_MAX, `packet id ${packetId} is between 1 and ${PACKET_ID_MAX}`);
    assert(!this.#byPacketId.has(packetId), `packet id ${packetId} is free`);
    this.#flights.set(id, { id, qos, stage: "sent", packetId, sendNumber, receivedNumber: 0, attempts: before?.attempts ?? 0 });
    this.#byPacketId.set(packetId, id);
  }

  /** The PUBRELs of these may leave once this is durable. */
  receive(marks: Received): void {
    for (const { id, receivedNumber } of marks) {
      const before = this.#flights.get(id);
      assert(before?.stage === "sent" && before.qos === 2, `message ${id} was sent, waits for its PUBREC`);
      this.#flights.set(id, { ...before, stage: "received", receivedNumber });
    }
    forEachRun(marks, isNextReceived, (first, last) => {
      const changed = this.#receive.run(first.id, last.id, first.receivedNumber);
      assert(changed === last.id - first.id + 1, `every message from ${first.id} to ${last.id} is marked received`);
    });
  }

  /** Their exchanges are over. */
  requeue(marks: Requeued): void {
    for (const { id, attempts } of marks) {
      const before = this.#flights.get(id);
      assert(before !== undefined && before.stage !== "requeued", `message ${id} is on its way`);
      assert(attempts >= before.attempts, `the attempts of message ${id} do not grow less`);
      assert(this.#requeue.run(id, attempts) === 1, `message ${id} is on its way on the disk too`);
      this.#end(before, attempts);
    }
  }

  /** Every exchange is over. */
  free(): void {
    const open = this.#flights.values().filter((flight) => flight.stage !== "requeued");
    assert(this.#free.run() === open.length, "as many messages are on their way on the disk as in memory");
    for (const flight of open) this.#end(flight, flight.attempts);
  }

  #end(flight: Flight, attempts: number): void {
    this.#byPacketId.set(flight.packetId, undefined);
    this.#flights.set(flight.id, { ...flight, stage: "requeued", packetId: 0, receivedNumber: 0, attempts });
  }

  /** Those from `first` to `last` have reached their fate; how many of them were ever sent. */
  remove(first: MessageId, last: MessageId): number {
    let count = 0;
    for (let id = first; id <= last; id++) {
      const flight = this.#flights.get(id);
      if (flight === undefined) continue;
      count++;
      this.#flights.set(id, undefined);
      if (flight.packetId !== 0) this.#byPacketId.set(flight.packetId, undefined);
    }
    if (count > 0) assert(this.#remove.run(first, last) === count, "as many flights end on the disk as in memory");
    return count;
  }

  /** The transaction is durable. */
  keep(): void {
    this.#flights.keep();
    this.#byPacketId.keep();
  }

  /** The transaction did not happen. */
  discard(): void {
    this.#flights.discard();
    this.#byPacketId.discard();
  }
}

function damaged(what: string): StoreError {
  return new StoreError("failed", `Cannot read the cache: its flights are damaged, ${what}`);
}

function decodeFlight(row: SqliteRow): Flight {
  const stage = STAGES[row.stage as number];
  if (stage === undefined) throw damaged(`message ${row.id} is in stage ${row.stage}`);
  return {
    id: row.id as MessageId,
    qos: row.qos as QoS,
    stage,
    packetId: row.packet_id as PacketId,
    sendNumber: row.send_number as number,
    receivedNumber: row.received_number as number,
    attempts: row.attempts as number,
  };
}
