/**
 * What one batch does to the tables and to the state, in the order of its fields. It runs within a transaction, and throws where the batch asks
 * for what cannot be.
 *
 * @module
 */
import { assert } from "../core/assert.ts";
import { type MessageId, PACKET_ID_MAX } from "../core/message.ts";
import type { OutboxBatch } from "../core/ports.ts";
import type { Connection } from "./connection.ts";
import { wholeMoment } from "./moment.ts";
import { forEachRun } from "./runs.ts";
import { type OutboxState, settle } from "./state_table.ts";

/** Nothing but a moment. */
export function isEmpty({ at: _, ...rest }: OutboxBatch): boolean {
  return Object.values(rest).every((part) => part === undefined || part === false || (Array.isArray(part) && part.length === 0));
}

/** See above. */
export function applyBatch(connection: Connection, state: OutboxState, batch: OutboxBatch): void {
  const { flights } = connection;
  const unwritten = append(connection, state, batch);
  if (batch.freePacketIds === true) flights.free();
  flights.send(batch.sent ?? []);
  flights.receive(batch.received ?? []);
  flights.requeue(batch.requeued ?? []);
  remove(connection, state, batch.removed ?? [], unwritten);
  quarantine(connection, state, batch);
  if (batch.session !== undefined) state.sessionBroker = batch.session.state === "established" ? batch.session.broker : null;
  if (batch.packetIdCursor !== undefined) {
    const { packetIdCursor: cursor } = batch;
    assert(Number.isInteger(cursor) && cursor >= 0 && cursor <= PACKET_ID_MAX, `packet id ${cursor} is between 0 and ${PACKET_ID_MAX}`);
    state.packetIdCursor = cursor;
  }
}

/** New rows; ids that were skipped count as refused. Gives those that reach their fate in this very batch, and so are never written. */
function append(
  { messages, fates }: Connection,
  state: OutboxState,
  { at, append = [], removed = [] }: OutboxBatch,
): ReadonlySet<MessageId> {
  const settled = new Set(append.length === 0 ? [] : removed.map(({ id }) => id));
  const unwritten = new Set<MessageId>();
  const moment = wholeMoment(at);
  for (const message of append) {
    const { id } = message;
    assert(Number.isSafeInteger(id) && id >= state.nextMessageId, `message id ${id} is at least ${state.nextMessageId}`);
    if (id > state.nextMessageId) fates.add(state.nextMessageId, id - 1, "refused", state);
    state.nextMessageId = id + 1;
    state.accepted++;
    state.pending++;
    if (settled.has(id)) unwritten.add(id);
    else state.pendingBytes += messages.insert(message, moment);
  }
  return unwritten;
}

/** Rows that reached their fate, by runs of ids. */
function remove(
  { messages, flights, fates }: Connection,
  state: OutboxState,
  removed: NonNullable<OutboxBatch["removed"]>,
  unwritten: ReadonlySet<MessageId>,
): void {
  const byId = [...removed].sort((a, b) => a.id - b.id);
  forEachRun(
    byId,
    (end, before) => end.id === before.id + 1 && end.fate === before.fate && unwritten.has(end.id) === unwritten.has(before.id),
    ({ id: first, fate }, { id: last }) => {
      const length = last - first + 1;
      const { count, bytes } = unwritten.has(first) ? { count: length, bytes: 0 } : messages.remove(first, last);
      assert(count === length, `every message from ${first} to ${last} is pending`);
      const sentCount = flights.remove(first, last);
      settle(state, fate, count, bytes);
      if (fate === "delivered") {
        state.lastDeliveredId = Math.max(state.lastDeliveredId, last);
      } else {
        assert(sentCount === 0, `no message from ${first} to ${last} was ever sent, so they may be ${fate}`);
        fates.add(first, last, fate, state);
      }
    },
  );
}

function quarantine({ messages, flights, quarantine }: Connection, state: OutboxState, { at, quarantined = [] }: OutboxBatch): void {
  for (const mark of quarantined) {
    assert(quarantine.setAside(mark, wholeMoment(at).epochMs), `message ${mark.id} is pending`);
    const { count, bytes } = messages.remove(mark.id, mark.id);
    flights.remove(mark.id, mark.id);
    settle(state, "quarantined", count, bytes);
  }
}
