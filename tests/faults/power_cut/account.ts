/**
 * What the world knows at a moment of the recording: what was acknowledged to the caller, what the broker may have and has answered. It follows the
 * trace line by line, and takes what may have happened for having happened.
 *
 * @module
 */
import type { MessageId, PacketId, QoS } from "../../../lib/core/message.ts";
import type { Finding } from "./inspect.ts";
import { numberOf, qosOf } from "./messages.ts";
import type { WireFact } from "./wire_facts.ts";

/** `publish()` of a message has resolved, and the caller knows. */
export interface Acknowledgement {
  readonly at: number;
  readonly id: MessageId;
  readonly number: number;
}

/** A message whose PUBLISH may have left. */
export interface OpenExchange {
  readonly number: number;
  readonly qos: QoS;
  /** PUBREC may have been read. */
  isReceived: boolean;
  /** PUBREL may have left. */
  isReleased: boolean;
}

/** See above. */
export class Account {
  /** Ids by number, of what must be on disk or with the broker. */
  readonly acknowledged = new Map<number, MessageId>();
  /** The broker has taken these over. */
  readonly finished = new Set<number>();
  /** PUBLISHes of QoS 0 that may have left. */
  readonly handedOver = new Set<number>();
  /** By packet id, in the order in which they were first sent under the present session. */
  readonly open = new Map<PacketId, OpenExchange>();
  /** Packet ids in the order of their PUBRELs. */
  readonly released: PacketId[] = [];
  /** Messages whose exchanges ended with the broker's session, however far they had come. */
  readonly lapsed = new Set<number>();
  lastPacketId: PacketId;
  /** The cache is complete: it must stay the same one. */
  isCacheKnown: boolean;
  /** A PUBLISH of QoS 1 or 2 may have left: whose session it is must be known. */
  isSessionInUse = false;
  readonly #events: readonly (WireFact | ({ readonly type: "acknowledged" } & Acknowledgement))[];
  #next = 0;

  /** `before`: what was on the disk at the start. */
  constructor(facts: readonly WireFact[], acknowledgements: readonly Acknowledgement[], before?: Finding) {
    const acknowledged = acknowledgements.map((acknowledgement) => ({ type: "acknowledged" as const, ...acknowledgement }));
    this.#events = [...facts, ...acknowledged].sort((a, b) => a.at - b.at);
    this.lastPacketId = before?.packetIdCursor ?? 0;
    for (const { number, id } of before?.pending ?? []) this.acknowledged.set(number, id);
    this.isCacheKnown = before !== undefined;
    const flights = before?.flights ?? [];
    for (const { number, qos, packetId, stage } of flights) {
      const isReceived = stage === "received";
      if (stage !== "requeued") this.open.set(packetId, { number, qos, isReceived, isReleased: isReceived });
    }
    const received = flights.filter(({ stage }) => stage === "received").sort((a, b) => a.receivedNumber - b.receivedNumber);
    this.released.push(...received.map(({ packetId }) => packetId));
  }

  /** Takes in all that happened before `at`. */
  advance(at: number): void {
    for (let event = this.#events[this.#next]; event !== undefined && event.at < at; event = this.#events[++this.#next]) this.#take(event);
  }

  #take(event: WireFact | ({ readonly type: "acknowledged" } & Acknowledgement)): void {
    switch (event.type) {
      case "acknowledged":
        this.acknowledged.set(event.number, event.id);
        this.isCacheKnown = true;
        return;
      case "connect":
        return;
      case "connack":
        if (!event.isSessionPresent) this.#loseSession();
        return;
      case "publish":
        return this.#publish(event);
      case "puback":
      case "pubcomp": {
        const exchange = this.open.get(event.packetId);
        if (exchange !== undefined) this.finished.add(exchange.number);
        this.open.delete(event.packetId);
        return;
      }
      case "pubrec":
      case "pubrel": {
        const exchange = this.open.get(event.packetId);
        if (exchange === undefined) throw new Error(`Cannot follow the recording: a ${event.type} for packet id ${event.packetId}`);
        exchange.isReceived = true;
        if (event.type === "pubrec" || exchange.isReleased) return;
        exchange.isReleased = true;
        this.released.push(event.packetId);
      }
    }
  }

  #publish({ qos, packetId, payload, isRepeat }: Extract<WireFact, { type: "publish" }>): void {
    const number = numberOf(payload);
    if (qos === 0) this.handedOver.add(number);
    else {
      this.isSessionInUse = true;
      if (isRepeat && this.open.get(packetId)?.number === number) return;
      this.lastPacketId = Math.max(this.lastPacketId, packetId);
      this.open.set(packetId, { number, qos: qosOf(number), isReceived: false, isReleased: false });
    }
  }

  #loseSession(): void {
    for (const { number } of this.open.values()) this.lapsed.add(number);
    this.open.clear();
    this.released.length = 0;
    this.isSessionInUse = false;
  }
}
