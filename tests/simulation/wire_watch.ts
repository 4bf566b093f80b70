/**
 * Watches what a device writes, over all its connections, and calls a breach of MQTT, or of our own promises about the wire, by its name.
 */
import type { PublishPacket } from "../../lib/core/ports.ts";
import type { PacketId } from "../../lib/core/message.ts";
import { type Answer, serialOf } from "./model_broker.ts";

/** Names of what can be wrong on the wire. */
export type WireRule =
  | "first-order"
  | "repeat-order"
  | "release-order"
  | "dup"
  | "live-resend"
  | "publish-after-release"
  | "window"
  | "qos"
  | "id-range";

export interface Violation {
  readonly rule: WireRule;
  readonly what: string;
}

const PACKET_ID_MAX = 65_279;

export class WireWatch {
  readonly violations: Violation[] = [];
  /** CONNACK has reached the publisher. */
  onHeard: () => void = () => {};
  #lastFirstSent = 0;
  /** Sent at QoS 1, some perhaps because the broker took no more. */
  readonly sentAtQos1 = new Set<number>();
  readonly #everSent = new Set<number>();
  /** On this connection: PUBLISHes and PUBRELs without their last answer. */
  #open = new Set<PacketId>();
  /** Under this session: which message was written under an id that is not finished. */
  #written = new Map<PacketId, number>();
  #released = new Set<PacketId>();
  /** Under this session: when an id was first PUBLISHed, and when its PUBREC came. */
  #publishedAt = new Map<PacketId, { readonly serial: number; readonly at: number }>();
  #receivedAt = new Map<PacketId, number>();
  #count = 0;
  /** On this connection: the places of the last repeat and the last PUBREL. */
  #lastRepeatedAt = 0;
  #lastReleasedAt = 0;

  onConnect(isSessionPresent: boolean): void {
    this.#open = new Set();
    this.#lastRepeatedAt = this.#lastReleasedAt = 0;
    if (isSessionPresent) return;
    this.#written = new Map();
    this.#released = new Set();
    this.#publishedAt = new Map();
    this.#receivedAt = new Map();
  }

  /** Another cache: its order is another. */
  onOtherCache(): void {
    this.#lastFirstSent = 0;
  }

  onPublish(packet: PublishPacket, receiveMaximum: number, maximumQoS: number): void {
    const serial = serialOf(packet.payload);
    if (!this.#everSent.has(serial)) {
      if (serial < this.#lastFirstSent) this.#report("first-order", `message ${serial} first sent after ${this.#lastFirstSent}`);
      this.#everSent.add(serial);
      this.#lastFirstSent = serial;
    }
    if (packet.qos > maximumQoS) this.#report("qos", `QoS ${packet.qos} sent to a broker that takes ${maximumQoS}`);
    if (packet.qos === 0) {
      if (packet.dup) this.#report("dup", "DUP at QoS 0");
      return;
    }
    if (packet.qos === 1) this.sentAtQos1.add(serial);
    const { packetId } = packet;
    if (packetId < 1 || packetId > PACKET_ID_MAX) this.#report("id-range", `packet id ${packetId}`);
    if (this.#open.has(packetId)) this.#report("live-resend", `packet id ${packetId} sent twice on a live connection`);
    if (this.#released.has(packetId)) this.#report("publish-after-release", `PUBLISH ${packetId} after its PUBREL`);
    if (this.#written.get(packetId) === serial) this.#repeat(packetId, packet.dup, serial);
    // A message that the device forgot to have sent, because the disk failed it, keeps its place.
    else if (!packet.dup || this.#publishedAt.get(packetId)?.serial !== serial) {
      this.#publishedAt.set(packetId, { serial, at: ++this.#count });
    }
    this.#written.set(packetId, serial);
    this.#open.add(packetId);
    if (this.#open.size > receiveMaximum) this.#report("window", `${this.#open.size} open, ${receiveMaximum} allowed`);
  }

  #repeat(packetId: PacketId, dup: boolean, serial: number): void {
    if (!dup) this.#report("dup", `message ${serial} sent again under packet id ${packetId} without DUP`);
    const at = this.#publishedAt.get(packetId)?.at ?? 0;
    if (at < this.#lastRepeatedAt) this.#report("repeat-order", `packet id ${packetId} repeated out of order`);
    this.#lastRepeatedAt = at;
  }

  onRelease(packetId: PacketId): void {
    this.#open.add(packetId);
    this.#released.add(packetId);
    const at = this.#receivedAt.get(packetId) ?? 0;
    if (at < this.#lastReleasedAt) this.#report("release-order", `PUBREL ${packetId} out of the order of the PUBRECs`);
    this.#lastReleasedAt = at;
  }

  onAnswer({ packet, packetId, reasonCode }: Answer): void {
    if (packet === "PUBREC" && (reasonCode < 0x80 || reasonCode === 0x91)) {
      this.#receivedAt.set(packetId, ++this.#count);
      if (reasonCode < 0x80) return;
    }
    this.#open.delete(packetId);
    if (packet === "PUBREC" && reasonCode === 0x91) return; // it may be a repeat that the broker has
    this.#written.delete(packetId);
    this.#released.delete(packetId);
    this.#receivedAt.delete(packetId);
  }

  #report(rule: WireRule, what: string): void {
    this.violations.push({ rule, what });
  }
}
