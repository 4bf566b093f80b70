/**
 * Table `state`: its one row holds whatever the outbox knows besides messages, and is written by every transaction.
 *
 * @module
 */
import { assert } from "../core/assert.ts";
import type { Fate, Ledger } from "../core/ports.ts";
import { StoreError } from "../core/ports.ts";
import type { SqliteDatabase } from "./ports.ts";

/** Every column, by the name it has in the program. */
const COLUMNS = {
  nextMessageId: "next_message_id",
  packetIdCursor: "packet_id_cursor",
  accepted: "accepted",
  delivered: "delivered",
  quarantined: "quarantined",
  dropped: "dropped",
  expired: "expired",
  purged: "purged",
  damaged: "damaged",
  pending: "pending",
  pendingBytes: "pending_bytes",
  lastDeliveredId: "last_delivered_id",
  lastEpochMs: "last_epoch_ms",
  lastKnownMs: "last_known_ms",
  forgottenThroughId: "forgotten_through_id",
  fateRangeCount: "fate_range_count",
  sessionBroker: "session_broker",
} as const;

type Name = keyof typeof COLUMNS;
const NAMES = Object.keys(COLUMNS) as Name[];

/** The row. A transaction changes a copy, which replaces the original once it is durable. */
export type OutboxState = { [N in Exclude<Name, "sessionBroker">]: number } & {
  /** `null`: the session is nobody's. */
  sessionBroker: string | null;
};

const SQL = {
  load: `SELECT ${NAMES.map((name) => `${COLUMNS[name]} AS ${name}`).join(", ")} FROM state`,
  save: `UPDATE state SET ${NAMES.map((name) => `${COLUMNS[name]} = ?`).join(", ")}`,
} as const;

/** Its statements, on one connection. */
export class StateTable {
  readonly #load;
  readonly #save;

  /** Prepares them. */
  constructor(database: SqliteDatabase) {
    this.#load = database.prepare(SQL.load);
    this.#save = database.prepare(SQL.save);
  }

  /** Throws a StoreError if the numbers cannot be. */
  load(): OutboxState {
    const row = this.#load.get();
    if (row === undefined) throw new StoreError("failed", "Cannot read the cache: its state is missing");
    const state = { ...row } as unknown as OutboxState;
    if (!isBalanced(state)) {
      throw new StoreError("failed", `Cannot read the cache: its ledger does not add up, ${JSON.stringify(ledgerOf(state))}`);
    }
    return state;
  }

  /** Asserts that the ledger adds up. */
  save(state: Readonly<OutboxState>): void {
    assert(isBalanced(state), `the ledger adds up: ${JSON.stringify(ledgerOf(state))}`);
    assert(this.#save.run(...NAMES.map((name) => state[name])) === 1, "there is one state");
  }
}

/** The counters that callers see. */
export function ledgerOf(state: Readonly<OutboxState>): Ledger {
  const { accepted, delivered, quarantined, dropped, expired, purged, damaged, pending, pendingBytes } = state;
  return { accepted, delivered, quarantined, dropped, expired, purged, damaged, pending, pendingBytes };
}

function isBalanced(state: Readonly<OutboxState>): boolean {
  const { accepted, delivered, quarantined, dropped, expired, purged, damaged, pending } = state;
  return accepted === delivered + quarantined + dropped + expired + purged + damaged + pending &&
    Object.values(ledgerOf(state)).every((count) => Number.isSafeInteger(count) && count >= 0) &&
    (pending > 0 || state.pendingBytes === 0);
}

/** A fate that pending messages meet. */
export type Ending = Exclude<Fate, "refused">;

/** `count` messages of so many bytes leave the queue for this fate. */
export function settle(state: OutboxState, fate: Ending, count: number, bytes: number): void {
  state.pending -= count;
  state.pendingBytes -= bytes;
  state[fate] += count;
}
