/**
 * A subscriber that speaks MQTT 5 by itself, to the byte, and keeps what it is handed: an independent witness of what a broker got.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { within } from "../support/deadline.ts";
import { decodePublish, encodeField, encodeNumber, encodePacket, PacketReader, type WirePublish } from "./publish_bytes.ts";

/** At QoS 2, with RETAIN as it was published. */
const SUBSCRIBE_OPTIONS = 0x0a;
const FENCE_TOPIC = "witness/fence";
const FENCE_PACKET_ID = 1;

/** See above. */
export class Witness {
  readonly #socket: Socket;
  readonly #reader = new PacketReader();
  readonly #arrivals: WirePublish[] = [];
  readonly #fences: string[] = [];
  #answers: Uint8Array[] = [];
  #wake: () => void = () => {};
  #fenceCount = 0;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on("error", () => {});
    socket.on("data", (chunk: Uint8Array) => {
      for (const packet of this.#reader.add(chunk)) this.#take(packet);
      if (this.#answers.length > 0) socket.write(Buffer.concat(this.#answers.splice(0)));
      this.#wake();
    });
  }

  /** Resolves when the subscription stands. */
  static async start(port: number, filter = "#"): Promise<Witness> {
    const socket = connect(port, "127.0.0.1");
    await within(once(socket, "connect"), "the witness to be connected");
    const witness = new Witness(socket);
    const cleanStart = [0x02];
    const keepAlive = encodeNumber(0);
    const noProperties = [0];
    witness.#send(encodePacket(0x10, encodeField("MQTT"), [5], cleanStart, keepAlive, noProperties, encodeField("witness")));
    witness.#send(encodePacket(0x82, encodeNumber(1), noProperties, encodeField(filter), [SUBSCRIBE_OPTIONS]));
    await witness.fence();
    return witness;
  }

  /** The next so many, taken out, when they are there. */
  async next(count: number): Promise<readonly WirePublish[]> {
    await this.#until(() => this.#arrivals.length >= count, () => `message ${this.#arrivals.length + 1} of ${count} at the witness`);
    return this.#arrivals.splice(0, count);
  }

  /** All that is there, taken out. */
  takeAll(): readonly WirePublish[] {
    return this.#arrivals.splice(0);
  }

  /** Resolves when all has arrived that the broker had before this call: a message of our own, at the greatest QoS, comes behind it. */
  async fence(): Promise<void> {
    const name = String(++this.#fenceCount);
    this.#send(encodePacket(0x34, encodeField(FENCE_TOPIC), encodeNumber(FENCE_PACKET_ID), [0], Buffer.from(name)));
    await this.#until(() => this.#fences.includes(name), () => "the witness's own message, which follows the last");
  }

  stop(): void {
    this.#socket.destroy();
  }

  async #until(isDone: () => boolean, what: () => string): Promise<void> {
    while (!isDone()) await within(new Promise<void>((resolve) => this.#wake = resolve), what);
  }

  #take(packet: Uint8Array): void {
    const type = packet[0]! >> 4;
    if (type === 3) return this.#takePublish(decodePublish(packet, 5));
    const packetId = [packet[2]!, packet[3]!];
    // PUBREC of the fence, and PUBREL of a message.
    if (type === 5) this.#answers.push(encodePacket(0x62, packetId));
    else if (type === 6) this.#answers.push(encodePacket(0x70, packetId));
  }

  #takePublish(publish: WirePublish): void {
    if (publish.qos > 0) this.#answers.push(encodePacket(publish.qos === 1 ? 0x40 : 0x50, encodeNumber(publish.packetId)));
    if (Buffer.from(publish.topic).toString() === FENCE_TOPIC) this.#fences.push(Buffer.from(publish.payload).toString());
    else this.#arrivals.push(publish);
  }

  #send(packet: Uint8Array): void {
    this.#socket.write(packet);
  }
}
