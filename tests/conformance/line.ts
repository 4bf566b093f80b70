/**
 * One connection as the script sees it: packets are read and compared byte by byte, and whatever a test is about, what holds for every packet
 * of a publishing client is checked of each one.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import type { IPublishPacket } from "mqtt-packet";
import type { Frame, ScriptedPeer } from "../support/scripted_broker.ts";
import { PINGREQ, PINGRESP } from "./bytes.ts";

/** Long enough for a client that would send something on its own account to have done so: it does all its work within milliseconds. */
export const SILENCE_MS = 120;

/** The greatest packet id that the client gives a message; those beyond are for subscriptions. */
export const PACKET_ID_MAX = 65_279;

/** What this client has any reason to send; acknowledgements only for what the broker published. */
const LAWFUL = new Set(["connect", "publish", "pubrel", "pingreq", "disconnect", "puback", "pubrec", "pubcomp"]);

/** See above. */
export class Line {
  /** Pings are answered, and not shown. */
  answersPings = false;
  readonly #peer: ScriptedPeer;
  #readCount = 0;
  #drainedCount = 0;
  #hasDisconnected = false;
  /** Packet ids of PUBLISHes of this connection that nothing has ended, and whether the broker has said PUBREC. */
  readonly #open = new Map<number, "sent" | "received">();
  /** Those of exchanges that an earlier connection began and that go on here with PUBREL. */
  readonly #resumed = new Set<number>();
  #receiveMaximum = 65_535;

  constructor(peer: ScriptedPeer) {
    this.#peer = peer;
  }

  /** What CONNACK allowed. */
  set receiveMaximum(count: number) {
    this.#receiveMaximum = count;
  }

  /** The next packet. */
  async next(what?: string): Promise<Frame> {
    for (;;) {
      const frame = await this.#peer.next(what);
      this.#check(frame);
      if (!this.answersPings || frame.packet.cmd !== "pingreq") return frame;
      this.send(PINGRESP);
    }
  }

  /** The next packets are these, byte by byte, in hexadecimal. */
  async expect(...packets: readonly string[]): Promise<void> {
    for (const [index, expected] of packets.entries()) {
      const { bytes } = await this.next(`packet ${index + 1} of ${packets.length}: ${expected.slice(0, 80)}`);
      assert.equal(bytes.toString("hex"), expected.replaceAll(/\s/g, ""), `packet ${index + 1} of ${packets.length}`);
    }
  }

  /** In hexadecimal, all at once. */
  send(...packets: readonly string[]): void {
    const all = packets.map((packet) => packet.replaceAll(/\s/g, ""));
    for (const packet of all) this.#hear(Buffer.from(packet, "hex"));
    this.#peer.send(all.join(""));
  }

  /** Nothing comes. */
  async silence(ms = SILENCE_MS): Promise<void> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    assert.deepEqual(this.#peer.unread.map(({ bytes }) => bytes.subarray(0, 40).toString("hex")), [], `${ms} ms of silence`);
  }

  /** Packets that have come and were not read. */
  get unread(): readonly Frame[] {
    return this.#peer.unread;
  }

  /** Whatever has come is lawful. */
  drain(): void {
    for (const frame of this.#peer.unread.slice(this.#drainedCount)) this.#check(frame);
    this.#drainedCount = this.#peer.unread.length;
  }

  /** The client ends the connection, having sent nothing more, or pings at most. */
  async end(): Promise<void> {
    await this.#peer.ended();
    this.drain();
    const last = this.#peer.unread.map(({ bytes }) => bytes.subarray(0, 40).toString("hex"));
    assert.deepEqual(last.filter((packet) => packet !== PINGREQ), []);
    this.#peer.close();
  }

  /** It is cut, without a word. */
  cut(): void {
    this.#peer.close();
  }

  /** The broker closes its half, having said all that it wants to say. */
  endWriting(): void {
    this.#peer.endWriting();
  }

  #check({ bytes, packet }: Frame): void {
    const shown = bytes.subarray(0, 40).toString("hex");
    this.#readCount++;
    assert.equal(packet.cmd === "connect", this.#readCount === 1, `CONNECT comes first, and once [MQTT-3.1.0-1] [MQTT-3.1.0-2]: ${shown}`);
    assert.ok(LAWFUL.has(packet.cmd), `a publishing client does not send ${packet.cmd.toUpperCase()}: ${shown}`);
    assert.ok(!this.#hasDisconnected, `nothing follows DISCONNECT [MQTT-3.14.4-1]: ${shown}`);
    this.#hasDisconnected = packet.cmd === "disconnect";
    if (packet.cmd === "pubrel") this.#checkPubrel(packet.messageId!, shown);
    else if (packet.cmd === "publish") this.#checkPublish(packet, shown);
  }

  #checkPubrel(packetId: number, shown: string): void {
    assert.ok(shown.startsWith("62"), `PUBREL has the flags 0010 [MQTT-3.6.1-1]: ${shown}`);
    assert.notEqual(this.#open.get(packetId), "sent", `PUBREL follows PUBREC [MQTT-4.3.3-4]: ${shown}`);
    if (!this.#open.has(packetId)) this.#resumed.add(packetId);
  }

  #checkPublish({ qos, dup, messageId, topic, properties }: IPublishPacket, shown: string): void {
    assert.ok(topic.length > 0 && !/[+#\0]/.test(topic), `a topic name is one [MQTT-4.7.0-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2]: ${shown}`);
    assert.equal(properties?.topicAlias, undefined, `there is no topic alias [MQTT-3.2.2-18]: ${shown}`);
    assert.equal(properties?.subscriptionIdentifier, undefined, `there is no subscription identifier [MQTT-3.3.4-6]: ${shown}`);
    if (qos === 0) return assert.ok(!dup && messageId === undefined, `QoS 0 has neither DUP nor a packet id [MQTT-3.3.1-2]: ${shown}`);
    assert.ok(messageId! >= 1 && messageId! <= PACKET_ID_MAX, `packet ids go from 1 to ${PACKET_ID_MAX} [MQTT-2.2.1-3]: ${shown}`);
    assert.ok(!this.#open.has(messageId!), `a connection carries no PUBLISH twice, and no packet id for two [MQTT-4.4.0-1]: ${shown}`);
    assert.ok(!this.#resumed.has(messageId!), `no PUBLISH follows PUBREL [MQTT-4.3.3-6]: ${shown}`);
    this.#open.set(messageId!, "sent");
    assert.ok(this.#open.size <= this.#receiveMaximum, `Receive Maximum is ${this.#receiveMaximum} [MQTT-3.3.4-7]: ${shown}`);
  }

  /** What the broker says ends exchanges. */
  #hear(packet: Buffer): void {
    if (packet.length < 4) return;
    const packetId = packet.readUInt16BE(2);
    const isError = packet[1]! > 2 && packet[4]! >= 0x80;
    if (packet[0] === 0x40 || packet[0] === 0x70 || (packet[0] === 0x50 && isError)) {
      this.#open.delete(packetId);
      this.#resumed.delete(packetId);
    } else if (packet[0] === 0x50 && this.#open.has(packetId)) this.#open.set(packetId, "received");
  }
}
