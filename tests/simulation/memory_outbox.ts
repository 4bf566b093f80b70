/**
 * The outbox on a model of a disk: what is not synced can be lost, any commit can fail with or without effect, and room can run out. The disk
 * outlives the outbox, as a real one outlives the process.
 */
import {
  type Fate,
  type FateOf,
  type Flight,
  type Ledger,
  type Moment,
  type Outbox,
  type OutboxBatch,
  type QuarantinedMessage,
  type SessionOwner,
  StoreError,
} from "../../lib/core/ports.ts";
import { type MessageId, type NumberedMessage, PACKET_ID_MAX, type PacketId, type StoredMessage } from "../../lib/core/message.ts";
import { assert } from "../../lib/core/assert.ts";
import { utf8Bytes } from "../../lib/core/server_limits.ts";
import { encodeProperties } from "../../lib/store/properties.ts";

const COUNTED = [
  "delivered",
  "quarantined",
  "dropped",
  "expired",
  "purged",
  "damaged",
] as const;

/** All that a cache holds. */
interface Contents {
  messages: Map<MessageId, StoredMessage>;
  flights: Map<MessageId, Flight>;
  quarantine: Map<MessageId, QuarantinedMessage>;
  fates: Map<MessageId, Fate>;
  notes: Map<string, string>;
  nextMessageId: MessageId;
  owner: SessionOwner;
  cursor: PacketId;
  counts: Record<(typeof COUNTED)[number] | "accepted", number>;
  pendingBytes: number;
  lastDeliveredId: MessageId;
  lastMoment: Moment;
}

function emptyContents(): Contents {
  return {
    messages: new Map(),
    flights: new Map(),
    quarantine: new Map(),
    fates: new Map(),
    notes: new Map(),
    nextMessageId: 1,
    owner: { state: "none" },
    cursor: 0,
    counts: {
      accepted: 0,
      delivered: 0,
      quarantined: 0,
      dropped: 0,
      expired: 0,
      purged: 0,
      damaged: 0,
    },
    pendingBytes: 0,
    lastDeliveredId: 0,
    lastMoment: { epochMs: 0, knownMs: 0 },
  };
}

function copyOf(contents: Contents): Contents {
  return {
    ...contents,
    messages: new Map(contents.messages),
    flights: new Map(contents.flights),
    quarantine: new Map(contents.quarantine),
    fates: new Map(contents.fates),
    notes: new Map(contents.notes),
    counts: { ...contents.counts },
  };
}

/** What the next commit meets. `failed-lost` and `failed-kept`: it throws, and the batch is or is not on disk. */
export type CommitFault = "none" | "full" | "failed-lost" | "failed-kept";

/** What survives the process, as the world sees it. */
export interface Disk {
  /** Asked before every commit. */
  fault: () => CommitFault;
  /** Told of every batch that is on disk. */
  onCommitted: (batch: OutboxBatch) => void;
  /** For a process that starts. */
  openOutbox(): Outbox;
  inFlightIds(): readonly MessageId[];
  /** Does it say that the broker's session is to be discarded? */
  isSessionDoubted(): boolean;
  /** The power fails: what was not synced is gone. */
  cutPower(): void;
  /** Another disk with the same contents, as a copied folder is; whose session it is, is then not known. */
  copy(): Disk;
}

/** A disk that is a few maps. */
export class ModelDisk implements Disk {
  /** Synced. */
  durable: Contents = emptyContents();
  /** Written, and, without sync, lost by a power cut. */
  written: Contents = emptyContents();
  fault: () => CommitFault = () => "none";
  /** As with `durability: "process-crash"`: only `sync()` makes anything safe from a power cut. */
  isSynced = true;
  onCommitted: (batch: OutboxBatch) => void = () => {};

  openOutbox(): Outbox {
    return new MemoryOutbox(this);
  }

  inFlightIds(): readonly MessageId[] {
    return [...this.written.flights.keys()];
  }

  isSessionDoubted(): boolean {
    return this.written.owner.state === "none";
  }

  /** The system writes back what it holds. */
  sync(): void {
    this.durable = copyOf(this.written);
  }

  cutPower(): void {
    this.written = copyOf(this.durable);
    if (!this.isSynced) this.written.owner = { state: "none" }; // the packet ids on disk may be old ones
  }

  copy(): ModelDisk {
    const copy = new ModelDisk();
    copy.written = { ...copyOf(this.written), owner: { state: "none" } };
    copy.sync();
    return copy;
  }
}

export class MemoryOutbox implements Outbox {
  readonly #disk: ModelDisk;
  #isBroken = false;

  constructor(disk: ModelDisk) {
    this.#disk = disk;
  }

  get #contents(): Contents {
    if (this.#isBroken) {
      throw new StoreError("failed", "the disk gave an error; reopen first");
    }
    return this.#disk.written;
  }

  commit(batch: OutboxBatch): void {
    const isEmpty = !batch.freePacketIds && batch.session === undefined &&
      batch.packetIdCursor === undefined &&
      [
        batch.append,
        batch.sent,
        batch.received,
        batch.requeued,
        batch.removed,
        batch.quarantined,
      ].every((list) => (list ?? []).length === 0);
    if (isEmpty) return;
    this.#write((contents) => applyBatch(contents, batch));
    this.#disk.onCommitted(batch);
  }

  #write<T>(change: (contents: Contents) => T): T {
    void this.#contents;
    const fault = this.#disk.fault();
    if (fault === "full") throw new StoreError("full", "the disk is full");
    if (fault === "failed-lost") {
      this.#isBroken = true;
      throw new StoreError("failed", "the disk gave an error");
    }
    const contents = copyOf(this.#disk.written); // all or nothing
    const result = change(contents);
    this.#disk.written = contents;
    if (this.#disk.isSynced) this.#disk.durable = contents;
    if (fault === "failed-kept") {
      this.#isBroken = true;
      throw new StoreError("failed", "the disk gave an error");
    }
    return result;
  }

  reopen(): void {
    if (this.#disk.fault() !== "none") {
      throw new StoreError("failed", "the disk still gives errors");
    }
    this.#isBroken = false;
  }

  nextMessageId(): MessageId {
    return this.#contents.nextMessageId;
  }

  session(): SessionOwner {
    return this.#contents.owner;
  }

  packetIdCursor(): PacketId {
    return this.#contents.cursor;
  }

  flights(): readonly Flight[] {
    return [...this.#contents.flights.values()].sort((a, b) => a.sendNumber - b.sendNumber);
  }

  readQueued(
    afterId: MessageId,
    countMax: number,
    bytesMax: number,
  ): readonly StoredMessage[] {
    const { messages, flights } = this.#contents;
    const page: StoredMessage[] = [];
    let bytes = 0;
    // Rows are kept in id order, but for those put back by requeueQuarantined.
    for (const id of [...messages.keys()].sort((a, b) => a - b)) {
      if (id <= afterId || flights.has(id)) continue;
      const message = messages.get(id)!;
      bytes += message.payload.length;
      if (page.length > 0 && bytes > bytesMax) break;
      page.push(message);
      if (page.length >= countMax) break;
    }
    return page;
  }

  read(ids: readonly MessageId[]): readonly StoredMessage[] {
    return ids.flatMap((id) => this.#contents.messages.get(id) ?? []);
  }

  ledger(): Ledger {
    const { counts, messages, pendingBytes } = this.#contents;
    return { ...counts, pending: messages.size, pendingBytes };
  }

  lastDeliveredId(): MessageId {
    return this.#contents.lastDeliveredId;
  }

  lastMoment(): Moment {
    return this.#contents.lastMoment;
  }

  fateOf(id: MessageId): FateOf {
    const { messages, quarantine, fates, nextMessageId } = this.#contents;
    if (messages.has(id)) return "pending";
    if (quarantine.has(id)) return "quarantined";
    if (id < 1 || id >= nextMessageId) return "unissued";
    return fates.get(id) ?? "delivered";
  }

  hasPendingThrough(id: MessageId): boolean {
    for (const pending of this.#contents.messages.keys()) {
      if (pending <= id) return true;
    }
    return false;
  }

  readQuarantined(
    afterId: MessageId,
    countMax: number,
  ): readonly QuarantinedMessage[] {
    return [...this.#contents.quarantine.values()].filter(({ id }) => id > afterId).sort((a, b) => a.id - b.id).slice(0, countMax);
  }

  requeueQuarantined(
    ids: readonly MessageId[],
    at: Moment,
  ): readonly MessageId[] {
    const present = ids.filter((id, index) => this.#contents.quarantine.has(id) && ids.indexOf(id) === index);
    if (present.length === 0) return [];
    this.#write((contents) => {
      contents.lastMoment = at;
      for (const id of present) {
        const {
          reason: _,
          reasonCode: __,
          attempts: ___,
          quarantinedAtEpochMs: ____,
          ...message
        } = contents.quarantine.get(id)!;
        contents.quarantine.delete(id);
        contents.messages.set(id, message);
        contents.pendingBytes += bytesOf(message);
        contents.counts.quarantined--;
      }
    });
    return present;
  }

  purge(ids: readonly MessageId[], at: Moment): readonly MessageId[] {
    const { messages, flights, quarantine } = this.#contents;
    const present = ids.filter((id, index) =>
      ((messages.has(id) && !flights.has(id)) || quarantine.has(id)) &&
      ids.indexOf(id) === index
    );
    if (present.length === 0) return [];
    this.#write((contents) => {
      contents.lastMoment = at;
      for (const id of present) {
        if (contents.quarantine.delete(id)) contents.counts.quarantined--;
        else removeMessage(contents, id);
        contents.fates.set(id, "purged");
        contents.counts.purged++;
      }
    });
    return present;
  }

  readNote(key: string): string | undefined {
    return this.#contents.notes.get(key);
  }

  writeNote(key: string, value: string): void {
    this.#write((contents) => void contents.notes.set(key, value));
  }

  oldestPendingEpochMs(): number | undefined {
    const id = Math.min(...this.#contents.messages.keys());
    return this.#contents.messages.get(id)?.storedAtEpochMs;
  }

  close(): void {}
}

function applyBatch(contents: Contents, batch: OutboxBatch): void {
  const { messages, flights, quarantine, fates, counts } = contents;
  contents.lastMoment = batch.at;
  for (const message of batch.append ?? []) {
    assert(message.id >= contents.nextMessageId, "ids increase");
    for (
      let skipped = contents.nextMessageId;
      skipped < message.id;
      skipped++
    ) fates.set(skipped, "refused");
    contents.nextMessageId = message.id + 1;
    messages.set(message.id, {
      ...message,
      storedAtEpochMs: batch.at.epochMs,
      storedAtKnownMs: batch.at.knownMs,
    });
    contents.pendingBytes += bytesOf(message);
    counts.accepted++;
  }
  if (batch.freePacketIds) {
    for (const flight of [...flights.values()]) {
      flights.set(flight.id, {
        ...flight,
        stage: "requeued",
        packetId: 0,
        receivedNumber: 0,
      });
    }
  }
  for (const { id, packetId, sendNumber, qos } of batch.sent ?? []) {
    const message = messages.get(id);
    const before = flights.get(id);
    assert(message !== undefined, "a sent message is in the outbox");
    assert(
      before === undefined || before.stage === "requeued",
      "a message is sent when it is queued",
    );
    assert(qos > 0 && qos <= message.qos, "a flight has at most the QoS of its message");
    assert(packetId >= 1 && packetId <= PACKET_ID_MAX, "a packet id is one of those for publishing");
    for (const flight of flights.values()) {
      assert(
        flight.stage === "requeued" || flight.packetId !== packetId,
        "a packet id stands once",
      );
    }
    const attempts = before?.attempts ?? 0;
    flights.set(id, {
      id,
      qos,
      stage: "sent",
      packetId,
      sendNumber,
      receivedNumber: 0,
      attempts,
    });
  }
  for (const { id, receivedNumber } of batch.received ?? []) {
    const flight = flights.get(id);
    assert(flight?.stage === "sent" && flight.qos === 2, "PUBREC follows PUBLISH of QoS 2");
    flights.set(id, { ...flight, stage: "received", receivedNumber });
  }
  for (const { id, attempts } of batch.requeued ?? []) {
    const flight = flights.get(id);
    assert(flight !== undefined && flight.stage !== "requeued", "what is refused is on its way");
    flights.set(id, { ...flight, stage: "requeued", packetId: 0, receivedNumber: 0, attempts });
  }
  for (const { id, fate } of batch.removed ?? []) {
    assert(fate === "delivered" || !flights.has(id), "what was ever sent is delivered or quarantined");
    removeMessage(contents, id);
    if (fate === "delivered") {
      contents.lastDeliveredId = Math.max(contents.lastDeliveredId, id);
    } else fates.set(id, fate);
    counts[fate]++;
  }
  for (const { id, reason, reasonCode, attempts } of batch.quarantined ?? []) {
    const message = messages.get(id);
    assert(message !== undefined, "what is quarantined is in the outbox");
    removeMessage(contents, id);
    const why = {
      reason,
      ...(reasonCode === undefined ? {} : { reasonCode }),
      attempts,
      quarantinedAtEpochMs: batch.at.epochMs,
    };
    quarantine.set(id, { ...message, ...why });
    counts.quarantined++;
  }
  if (batch.session !== undefined) contents.owner = batch.session;
  if (batch.packetIdCursor !== undefined) {
    assert(batch.packetIdCursor >= 0 && batch.packetIdCursor <= PACKET_ID_MAX, "the cursor stands at a packet id");
    contents.cursor = batch.packetIdCursor;
  }
  const { accepted, ...fateCounts } = counts;
  const settled = COUNTED.reduce((sum, fate) => sum + fateCounts[fate], 0);
  assert(
    accepted === settled + messages.size,
    "every message accepted has one fate or is pending",
  );
}

function removeMessage(contents: Contents, id: MessageId): void {
  const message = contents.messages.get(id);
  assert(message !== undefined, "what is removed is in the outbox");
  contents.messages.delete(id);
  contents.flights.delete(id);
  contents.pendingBytes -= bytesOf(message);
}

function bytesOf({ topic, payload, properties }: StoredMessage | NumberedMessage): number {
  return utf8Bytes(topic) + payload.length + (encodeProperties(properties)?.length ?? 0);
}
