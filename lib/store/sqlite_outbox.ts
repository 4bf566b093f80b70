/**
 * The outbox over SQLite: one transaction for each batch.
 *
 * Invariants:
 * - what stands in memory (state, flights) is what the last durable transaction wrote: a transaction works on copies, which take its place only
 *   after COMMIT has returned;
 * - the ledger adds up before every COMMIT and after every opening;
 * - once anything but a full disk went wrong nothing is believed any more: every call throws until `reopen()` has read the disk anew.
 *
 * @module
 */
import { assert, AssertionError } from "../core/assert.ts";
import type { MessageId, PacketId, StoredMessage } from "../core/message.ts";
import {
  type FateOf,
  type Flight,
  type Ledger,
  type Moment,
  type Outbox,
  type OutboxBatch,
  type QuarantinedMessage,
  type SessionOwner,
  StoreError,
} from "../core/ports.ts";
import { applyBatch, isEmpty } from "./batch.ts";
import type { CachePlace } from "./cache_place.ts";
import { Connection } from "./connection.ts";
import { momentAfter } from "./moment.ts";
import { RESULT, type SqliteDatabase, SqliteFailure } from "./ports.ts";
import { ledgerOf, type OutboxState, settle } from "./state_table.ts";

/** What an outbox is given. */
export interface SqliteOutboxOptions {
  /** Opens the database of an existing cache, its pragmas set, its tables grown. Called at once, and by every `reopen()`. */
  readonly openDatabase: () => SqliteDatabase;
  /** Where the database lies; looked at after every COMMIT, before the batch counts as durable. */
  readonly place?: CachePlace;
  /** @default {FATE_RANGES_MAX} */
  readonly fateRangesMax?: number;
}

/**
 * - `open`: from the constructor or `reopen()` on; everything works.
 * - `failed`: from the first failure on, until `reopen()`. The connection is kept till then: it may be the last way to the data.
 * - `closed`: for good.
 */
type Mode =
  | { readonly state: "open"; readonly connection: Connection }
  | { readonly state: "failed"; readonly connection: Connection; readonly cause: StoreError }
  | { readonly state: "closed" };

/** See above. */
export class SqliteOutbox implements Outbox {
  readonly #options: SqliteOutboxOptions;
  #mode: Mode;
  #state: Readonly<OutboxState>;

  /** Opens and reads it. Throws what `openDatabase` throws, a SqliteFailure, or a StoreError if the cache is damaged. */
  constructor(options: SqliteOutboxOptions) {
    this.#options = options;
    const { connection, state } = this.#open();
    this.#mode = { state: "open", connection };
    this.#state = state;
  }

  #open(): { connection: Connection; state: OutboxState } {
    const database = this.#options.openDatabase();
    try {
      const connection = new Connection(database, this.#options.fateRangesMax);
      this.#options.place?.pinLog();
      return { connection, state: connection.stateTable.load() };
    } catch (error) {
      database.close();
      throw error;
    }
  }

  reopen(): void {
    assert(this.#mode.state !== "closed", "the outbox was not closed");
    const { connection: before } = this.#mode;
    try {
      this.#options.place?.releaseLog();
      this.#options.place?.check();
      before.close();
      const { connection, state } = this.#open();
      this.#mode = { state: "open", connection };
      this.#state = state;
    } catch (error) {
      throw this.#fail(before, "open the cache again", error);
    }
  }

  close(): void {
    if (this.#mode.state !== "closed") this.#mode.connection.close();
    this.#mode = { state: "closed" };
  }

  commit(batch: OutboxBatch): void {
    if (isEmpty(batch)) return;
    this.#write("store a batch", batch.at, (connection, state) => applyBatch(connection, state, batch));
  }

  requeueQuarantined(ids: readonly MessageId[], at: Moment): readonly MessageId[] {
    const present = this.#read("look for quarantined messages", ({ quarantine }) => unique(ids).filter((id) => quarantine.has(id)));
    if (present.length === 0) return present;
    this.#write("requeue quarantined messages", at, ({ quarantine }, state) => {
      for (const id of present) settle(state, "quarantined", -1, -quarantine.putBack(id));
    });
    return present;
  }

  purge(ids: readonly MessageId[], at: Moment): readonly MessageId[] {
    const present = this.#read(
      "look for messages to purge",
      ({ messages, flights, quarantine }) => unique(ids).filter((id) => (messages.has(id) && !flights.has(id)) || quarantine.has(id)),
    );
    if (present.length === 0) return present;
    this.#write("purge messages", at, ({ messages, quarantine, fates }, state) => {
      for (const id of present) {
        const { count, bytes } = messages.remove(id, id);
        settle(state, "purged", count, bytes);
        if (quarantine.remove(id)) {
          state.quarantined--;
          state.purged++;
        }
        fates.add(id, id, "purged", state);
      }
    });
    return present;
  }

  writeNote(key: string, value: string): void {
    this.#write("write a note", this.lastMoment(), ({ notes }) => notes.write(key, value));
  }

  nextMessageId(): MessageId {
    return this.#read("read the next id", () => this.#state.nextMessageId);
  }

  session(): SessionOwner {
    const { sessionBroker: broker } = this.#read("read the session", () => this.#state);
    return broker === null ? { state: "none" } : { state: "established", broker };
  }

  packetIdCursor(): PacketId {
    return this.#read("read the packet id", () => this.#state.packetIdCursor);
  }

  flights(): readonly Flight[] {
    return this.#read("read what is in flight", ({ flights }) => flights.list());
  }

  readQueued(afterId: MessageId, countMax: number, bytesMax: number): readonly StoredMessage[] {
    return this.#read("read waiting messages", ({ messages }) => messages.readQueued(afterId, countMax, bytesMax));
  }

  read(ids: readonly MessageId[]): readonly StoredMessage[] {
    return this.#read("read messages", ({ messages }) => ids.map((id) => messages.read(id)).filter((message) => message !== undefined));
  }

  ledger(): Ledger {
    return this.#read("read the ledger", () => ledgerOf(this.#state));
  }

  lastDeliveredId(): MessageId {
    return this.#read("read the last id delivered", () => this.#state.lastDeliveredId);
  }

  lastMoment(): Moment {
    return this.#read("read the last moment", () => ({ epochMs: this.#state.lastEpochMs, knownMs: this.#state.lastKnownMs }));
  }

  fateOf(id: MessageId): FateOf {
    return this.#read(`read the fate of message ${id}`, ({ messages, quarantine, fates }) => {
      if (!(id >= 1 && id < this.#state.nextMessageId)) return "unissued";
      if (messages.has(id)) return "pending";
      if (quarantine.has(id)) return "quarantined";
      return fates.find(id) ?? (id <= this.#state.forgottenThroughId ? "forgotten" : "delivered");
    });
  }

  hasPendingThrough(id: MessageId): boolean {
    return this.#read("look for pending messages", ({ messages }) => (messages.first()?.id ?? Infinity) <= id);
  }

  readQuarantined(afterId: MessageId, countMax: number): readonly QuarantinedMessage[] {
    return this.#read("read quarantined messages", ({ quarantine }) => quarantine.read(afterId, countMax));
  }

  readNote(key: string): string | undefined {
    return this.#read("read a note", ({ notes }) => notes.read(key));
  }

  oldestPendingEpochMs(): number | undefined {
    return this.#read("read the oldest message", ({ messages }) => messages.first()?.storedAtEpochMs);
  }

  #connection(action: string): Connection {
    assert(this.#mode.state !== "closed", "the outbox was not closed");
    if (this.#mode.state === "failed") {
      throw new StoreError("failed", `Cannot ${action}: the cache failed before, and was not opened again`, { cause: this.#mode.cause });
    }
    return this.#mode.connection;
  }

  #read<T>(action: string, work: (connection: Connection) => T): T {
    const connection = this.#connection(action);
    try {
      return work(connection);
    } catch (error) {
      if (error instanceof AssertionError) throw error;
      throw this.#fail(connection, action, error);
    }
  }

  #write<T>(action: string, at: Moment, work: (connection: Connection, state: OutboxState) => T): T {
    const connection = this.#connection(action);
    const state = { ...this.#state, ...momentAfter(this.#state, at) };
    let result: T;
    try {
      connection.begin.run();
      result = work(connection, state);
      connection.stateTable.save(state);
      connection.commit.run();
    } catch (error) {
      throw this.#undo(connection, action, error);
    }
    connection.flights.keep();
    this.#state = state;
    try {
      this.#options.place?.check();
    } catch (error) {
      throw this.#fail(connection, action, error);
    }
    return result;
  }

  /** What to throw once a transaction has failed: only if it is surely undone does the outbox go on. */
  #undo(connection: Connection, action: string, error: unknown): Error {
    connection.flights.discard();
    if (!connection.rollBack()) return this.#fail(connection, action, error);
    if (error instanceof AssertionError) return error;
    if (error instanceof SqliteFailure && error.resultCode === RESULT.full) {
      return new StoreError("full", `Cannot ${action}: there is no room on the disk`, { cause: error });
    }
    return this.#fail(connection, action, error);
  }

  #fail(connection: Connection, action: string, error: unknown): StoreError {
    const cause = error instanceof StoreError
      ? error
      : new StoreError("failed", `Cannot ${action}: ${error instanceof Error ? error.message : error}`, { cause: error });
    this.#mode = { state: "failed", connection, cause };
    return cause;
  }
}

function unique(ids: readonly MessageId[]): readonly MessageId[] {
  return [...new Set(ids)];
}
