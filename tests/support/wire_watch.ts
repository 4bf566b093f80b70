/**
 * Reads the MQTT packets that pass a relay: what a test claims about the wire is counted here, not asked of the product.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type Packet, type Parser, parser } from "mqtt-packet";
import type { Direction, Flow, Relay } from "./relay.ts";

/** See above. Holds for the newest connection, except for the counts. */
export class WireWatch {
  /** Protocol version of the last CONNECT that the broker accepted; 0 before any. */
  protocolVersion = 0;
  /** Session Present of each successful CONNACK, in order. */
  readonly sessionsPresent: boolean[] = [];
  /** Clean Start or Clean Session of each CONNECT, in order. */
  readonly cleanStarts: boolean[] = [];
  publishCount = 0;
  duplicateFlagCount = 0;
  /** Called for each packet just before it goes on; one at a time listens. */
  onPacket: ((packet: Packet, direction: Direction) => void) | undefined;
  readonly #open = new Set<number>();
  #connection = 0;
  /** Both directions of a connection speak the version that its CONNECT names. */
  #settings = { protocolVersion: 4 };
  #parsers: Readonly<Record<Direction, Parser>>;

  constructor(relay: Relay) {
    this.#parsers = this.#createParsers();
    relay.onForward = (chunk, flow) => this.#read(chunk, flow);
  }

  /** Exchanges at QoS 1 and 2 that the client has begun and whose end it cannot know yet. */
  get openCount(): number {
    return this.#open.size;
  }

  /**
   * Does something at the n-th such packet from now on, before it goes on: the exchange that it belongs to is then open for certain. Resolves
   * with how many were.
   */
  strike(cmd: Packet["cmd"], nth: number, blow: () => void): Promise<number> {
    let passed = 0;
    return new Promise((resolve) => {
      this.onPacket = (packet) => {
        if (packet.cmd !== cmd || ++passed < nth) return;
        this.onPacket = undefined;
        blow();
        resolve(this.openCount);
      };
    });
  }

  #read(chunk: Uint8Array, { connection, direction }: Flow): void {
    if (connection < this.#connection) return;
    if (connection > this.#connection) {
      this.#connection = connection;
      this.#open.clear();
      this.#parsers = this.#createParsers();
    }
    this.#parsers[direction].parse(Buffer.from(chunk));
  }

  #createParsers(): Record<Direction, Parser> {
    const settings = this.#settings = { protocolVersion: 4 };
    const create = (direction: Direction) =>
      parser(settings).on("packet", (packet: Packet) => {
        this.#take(packet, direction);
        this.onPacket?.(packet, direction);
      });
    return { up: create("up"), down: create("down") };
  }

  #take(packet: Packet, direction: Direction): void {
    if (packet.cmd === "connect") {
      this.#settings.protocolVersion = packet.protocolVersion ?? 4;
      this.cleanStarts.push(packet.clean ?? true);
    } else if (packet.cmd === "connack" && (packet.returnCode ?? packet.reasonCode) === 0) {
      this.protocolVersion = this.#settings.protocolVersion;
      this.sessionsPresent.push(packet.sessionPresent);
    } else if (packet.cmd === "publish" && direction === "up") {
      this.publishCount++;
      if (packet.dup) this.duplicateFlagCount++;
      if (packet.qos > 0) this.#open.add(packet.messageId!);
    } else if (direction === "down" && (packet.cmd === "puback" || packet.cmd === "pubcomp")) {
      this.#open.delete(packet.messageId!);
    }
  }
}
