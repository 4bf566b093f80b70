/**
 * A broker that takes everything and answers as MQTT says, and keeps sessions as long as it lives: the other side for whatever needs no more
 * of a broker than that.
 *
 * @module
 */
import type { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import { generate, type Packet, parser } from "mqtt-packet";
import { close, listen } from "./sockets.ts";

/** See above. */
export class ObedientBroker {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: Set<Socket>;

  private constructor(server: Server, port: number, sockets: Set<Socket>) {
    this.#server = server;
    this.port = port;
    this.#sockets = sockets;
  }

  /** On a free port. */
  static async start(): Promise<ObedientBroker> {
    const sockets = new Set<Socket>();
    const sessions = new Set<string>();
    const server = createServer({ noDelay: true }, (socket) => {
      sockets.add(socket);
      socket.once("close", () => sockets.delete(socket));
      socket.on("error", () => {});
      const settings = { protocolVersion: 4 };
      const packets = parser(settings).on("packet", (packet: Packet) => {
        if (packet.cmd === "connect") settings.protocolVersion = packet.protocolVersion ?? 4;
        if (packet.cmd === "disconnect") socket.end();
        for (const answer of answers(packet, sessions)) socket.write(generate(answer, settings));
      });
      socket.on("data", (chunk: Buffer) => packets.parse(chunk));
    });
    return new ObedientBroker(server, await listen(server), sockets);
  }

  /** Cuts every connection and listens no more. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await close(this.#server);
  }
}

function answers(packet: Packet, sessions: Set<string>): Packet[] {
  const { messageId = 0 } = packet;
  switch (packet.cmd) {
    case "connect": {
      if (packet.clean) sessions.delete(packet.clientId);
      const sessionPresent = sessions.has(packet.clientId);
      if (packet.protocolVersion === 5 || !packet.clean) sessions.add(packet.clientId);
      return [{ cmd: "connack", returnCode: 0, reasonCode: 0, sessionPresent }];
    }
    case "publish":
      if (packet.qos === 0) return [];
      return [{ cmd: packet.qos === 1 ? "puback" : "pubrec", messageId, reasonCode: 0 }];
    case "pubrel":
      return [{ cmd: "pubcomp", messageId, reasonCode: 0 }];
    case "pingreq":
      return [{ cmd: "pingresp" }];
    default:
      return [];
  }
}
