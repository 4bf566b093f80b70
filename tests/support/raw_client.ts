/**
 * A client that does what no good client does, packet by packet: to leave a broker in the state that a test needs.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { once } from "node:events";
import { connect, type Socket } from "node:net";
import { generate, type IConnackPacket, type Packet, parser } from "mqtt-packet";
import { within } from "./deadline.ts";

/** See above. */
export class RawClient {
  readonly #socket: Socket;
  readonly #protocolVersion: 4 | 5;
  readonly #received: Packet[] = [];
  #onReceived = () => {};

  private constructor(socket: Socket, protocolVersion: 4 | 5) {
    this.#socket = socket;
    this.#protocolVersion = protocolVersion;
    const packets = parser({ protocolVersion });
    packets.on("packet", (packet: Packet) => {
      this.#received.push(packet);
      this.#onReceived();
    });
    socket.on("data", (chunk: Uint8Array) => packets.parse(Buffer.from(chunk)));
    socket.on("error", () => {});
  }

  /** Takes up the session of this name, or begins it. Resolves when the broker has accepted. */
  static async start(port: number, clientId: string, protocolVersion: 4 | 5): Promise<{ client: RawClient; connack: IConnackPacket }> {
    const socket = connect(port, "127.0.0.1");
    await once(socket, "connect");
    const client = new RawClient(socket, protocolVersion);
    const properties = protocolVersion === 5 ? { properties: { sessionExpiryInterval: 3600 } } : {};
    client.send({ cmd: "connect", protocolId: "MQTT", protocolVersion, clientId, clean: false, keepalive: 0, ...properties });
    const connack = await client.next((packet) => packet.cmd === "connack") as IConnackPacket;
    return { client, connack };
  }

  send(packet: Packet): void {
    this.#socket.write(generate(packet, { protocolVersion: this.#protocolVersion }));
  }

  /** The first such packet, that came or will come. */
  next(isMeant: (packet: Packet) => boolean): Promise<Packet> {
    const received = new Promise<Packet>((resolve) => {
      this.#onReceived = () => {
        const found = this.#received.find(isMeant);
        if (found !== undefined) resolve(found);
      };
      this.#onReceived();
    });
    return within(received, "a packet from the broker");
  }

  /** Breaks the connection off. Resolves when it is gone. */
  async breakOff(): Promise<void> {
    const closed = once(this.#socket, "close");
    this.#socket.destroy();
    await closed;
  }
}
