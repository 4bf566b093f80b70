/**
 * The sender's half of an MQTT session: which packet id stands for which message, and how far each exchange has come.
 *
 * The outbox is the truth; this is its picture in memory, with what only a living connection knows. Invariants:
 *
 * - A packet id belongs to one exchange from the commit that marks it sent to the commit that removes it or ends the exchange.
 * - `sent` exchanges may be at the broker; they are written again only on a new connection with the session present, with DUP.
 * - `received` exchanges are at the broker; from there on only PUBREL leaves for them [MQTT-4.3.3-6].
 * - `done` exchanges wait for their commit; they hold their packet id and no room in the window.
 * - The cursor of packet ids never goes back, whatever becomes of the session: a broker that still holds an id takes the next message under it
 *   for a repeat.
 *
 * @module
 */
import { assert } from "./assert.ts";
import { type MessageId, PACKET_ID_MAX, type PacketId, type QoS } from "./message.ts";
import type { Flight } from "./ports.ts";

/** One message on its way under one packet id. */
export interface Exchange {
  readonly id: MessageId;
  readonly packetId: PacketId;
  /** As it was sent. */
  qos: QoS;
  /** `receiving`: PUBREC came, its mark is not on disk yet. */
  stage: "sent" | "receiving" | "received" | "done";
  readonly sendNumber: number;
  receivedNumber: number;
  readonly attempts: number;
  /** Its PUBLISH or PUBREL was written, or is due, on the present connection. */
  isOnWire: boolean;
  /** Its PUBLISH was written more than once: the broker may have it twice in hand. */
  wasResent: boolean;
}

/** Keeps the exchanges. */
export class Session {
  readonly #exchanges = new Map<PacketId, Exchange>();
  /** Ids that the broker holds for something that is not ours: of no use until the session is discarded. */
  readonly #retired = new Set<PacketId>();
  #cursor: PacketId;
  #lastSendNumber = 0;
  /** The greatest send number under this session: PUBLISHes leave in the order of these numbers, and are repeated in it [MQTT-4.6.0-1]. */
  #lastOpenedNumber = 0;
  #lastReceivedNumber = 0;
  #toResend: Exchange[] = [];
  #toRelease: Exchange[] = [];
  #onWireCount = 0;
  #onWireQos2Count = 0;
  #doneCount = 0;
  /** A connection carries this session. */
  #isLive = false;

  /** From what is on disk. */
  constructor(flights: readonly Flight[], cursor: PacketId) {
    this.#cursor = cursor;
    for (const flight of flights) {
      this.#lastSendNumber = Math.max(this.#lastSendNumber, flight.sendNumber);
      this.#lastReceivedNumber = Math.max(this.#lastReceivedNumber, flight.receivedNumber);
      if (flight.stage === "requeued") continue;
      this.#lastOpenedNumber = Math.max(this.#lastOpenedNumber, flight.sendNumber);
      assert(!this.#exchanges.has(flight.packetId), "a packet id on disk belongs to one message");
      const { id, packetId, qos, stage, sendNumber, receivedNumber, attempts } = flight;
      this.#exchanges.set(packetId, {
        id,
        packetId,
        qos,
        stage,
        sendNumber,
        receivedNumber,
        attempts,
        isOnWire: false,
        wasResent: false,
      });
    }
  }

  /** Does a connection carry it? */
  get isLive(): boolean {
    return this.#isLive;
  }

  /** Exchanges that the broker has not finished. */
  get openCount(): number {
    return this.#exchanges.size - this.#doneCount;
  }

  /** Those of them that this connection carries: what fills the window. */
  get onWireCount(): number {
    return this.#onWireCount;
  }

  /** The QoS 2 ones among those. */
  get onWireQos2Count(): number {
    return this.#onWireQos2Count;
  }

  /** The greatest send number given out. */
  get lastSendNumber(): number {
    return this.#lastSendNumber;
  }

  /** The greatest send number under this session. */
  get lastOpenedNumber(): number {
    return this.#lastOpenedNumber;
  }

  /** The last packet id given out. */
  get cursor(): PacketId {
    return this.#cursor;
  }

  /** Unfinished PUBLISHes of an earlier connection, in the order first sent: nothing new goes before them. */
  get toResend(): readonly Exchange[] {
    return this.#toResend;
  }

  /** PUBRELs that may leave now, in the order PUBRECs came. */
  get toRelease(): readonly Exchange[] {
    return this.#toRelease;
  }

  find(packetId: PacketId): Exchange | undefined {
    const exchange = this.#exchanges.get(packetId);
    return exchange?.stage === "done" ? undefined : exchange;
  }

  /** How many packet ids nothing holds. */
  get freePacketIdCount(): number {
    return PACKET_ID_MAX - this.#exchanges.size - this.#retired.size;
  }

  /** The next id after `cursor` that nothing holds. */
  nextPacketId(cursor: PacketId): PacketId {
    assert(this.freePacketIdCount > 0, "a packet id is free");
    for (let step = 1;; step++) {
      const packetId = (cursor + step - 1) % PACKET_ID_MAX + 1;
      if (!this.#exchanges.has(packetId) && !this.#retired.has(packetId)) return packetId;
    }
  }

  /** Is there an unfinished exchange of a higher QoS than this? */
  exceedsQos(maximumQoS: QoS): boolean {
    for (const exchange of this.#exchanges.values()) {
      if (exchange.stage !== "done" && exchange.qos > maximumQoS) return true;
    }
    return false;
  }

  /** A message was marked sent on disk and is about to be written. */
  open(id: MessageId, packetId: PacketId, qos: QoS, sendNumber: number, attempts: number): void {
    assert(!this.#exchanges.has(packetId), "a packet id is given to one message at a time");
    assert(sendNumber > this.#lastOpenedNumber, "send numbers increase within a session");
    this.#cursor = packetId;
    this.#lastOpenedNumber = sendNumber;
    this.#lastSendNumber = Math.max(this.#lastSendNumber, sendNumber);
    const exchange: Exchange = {
      id,
      packetId,
      qos,
      stage: "sent",
      sendNumber,
      receivedNumber: 0,
      attempts,
      isOnWire: false,
      wasResent: false,
    };
    this.#exchanges.set(packetId, exchange);
    this.#putOnWire(exchange);
  }

  /** These, the first of `toResend`, are about to be written again. */
  resend(count: number): void {
    for (const exchange of this.#toResend.splice(0, count)) {
      exchange.wasResent = true;
      this.#putOnWire(exchange);
    }
  }

  /** PUBREC: from now on PUBREL, but not before the mark is on disk. */
  receive(exchange: Exchange): void {
    assert(exchange.stage === "sent" && exchange.isOnWire, "PUBREC answers a PUBLISH of this connection");
    exchange.stage = "receiving";
    exchange.receivedNumber = ++this.#lastReceivedNumber;
  }

  /** The mark is on disk: PUBREL is due, at once if there is a connection for it. */
  marked(exchange: Exchange): void {
    assert(exchange.stage === "receiving", "a mark follows PUBREC");
    exchange.stage = "received";
    if (this.#isLive) this.#toRelease.push(exchange);
  }

  /** PUBREC came again. */
  releaseAgain(exchange: Exchange): void {
    assert(exchange.stage === "received" && exchange.isOnWire, "a repeated PUBREC follows one of the same connection");
    if (!this.#toRelease.includes(exchange)) this.#toRelease.push(exchange);
  }

  /** The PUBRELs in `toRelease` are about to be written. */
  release(): void {
    this.#toRelease = [];
  }

  /** The exchange is over; its packet id is free after `free()`. */
  finish(exchange: Exchange): void {
    assert(exchange.stage !== "done", "an exchange ends once");
    this.#takeOffWire(exchange);
    exchange.stage = "done";
    this.#doneCount++;
  }

  /** The commit that ended these exchanges is done. */
  free(packetIds: readonly PacketId[]): void {
    for (const packetId of packetIds) {
      const exchange = this.#exchanges.get(packetId);
      if (exchange?.stage !== "done") continue; // freed by the loss of the session meanwhile
      this.#exchanges.delete(packetId);
      this.#doneCount--;
    }
  }

  /** The broker says that this id is in use, for something we do not know. */
  retire(packetId: PacketId): void {
    this.#retired.add(packetId);
  }

  /** The connection is gone. */
  disconnect(): void {
    this.#isLive = false;
    for (const exchange of this.#exchanges.values()) exchange.isOnWire = false;
    this.#onWireCount = this.#onWireQos2Count = 0;
    this.#toResend = [];
    this.#toRelease = [];
  }

  /** Connected, session new: nothing is unfinished any more. */
  start(): void {
    assert(!this.#isLive && this.#onWireCount === 0, "a new connection carries nothing yet");
    this.#isLive = true;
  }

  /** Connected, session present: what is unfinished goes on where it was. */
  resume(): void {
    this.start();
    const open = [...this.#exchanges.values()].filter((exchange) => exchange.stage !== "done");
    this.#toRelease = open.filter((exchange) => exchange.stage === "received").sort((a, b) => a.receivedNumber - b.receivedNumber);
    // What PUBREL goes on with fills the window from now on, also while its mark waits for the disk.
    for (const exchange of open) if (exchange.stage !== "sent") this.#putOnWire(exchange);
    this.#toResend = open.filter((exchange) => exchange.stage === "sent").sort((a, b) => a.sendNumber - b.sendNumber);
  }

  /** The session is gone: every exchange ends, every id is free. What was unfinished, in send order, to go again as new. */
  lose(): readonly Exchange[] {
    const unfinished = [...this.#exchanges.values()].filter((exchange) => exchange.stage !== "done");
    this.disconnect();
    this.#exchanges.clear();
    this.#retired.clear();
    this.#doneCount = 0;
    this.#lastOpenedNumber = 0;
    return unfinished.sort((a, b) => a.sendNumber - b.sendNumber);
  }

  #putOnWire(exchange: Exchange): void {
    assert(!exchange.isOnWire, "a live connection carries each exchange once");
    exchange.isOnWire = true;
    this.#onWireCount++;
    if (exchange.qos === 2) this.#onWireQos2Count++;
  }

  #takeOffWire(exchange: Exchange): void {
    if (!exchange.isOnWire) return;
    exchange.isOnWire = false;
    this.#onWireCount--;
    if (exchange.qos === 2) this.#onWireQos2Count--;
  }
}
