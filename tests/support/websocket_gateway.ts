/**
 * MQTT over WebSocket for a broker that only speaks TCP: takes what RFC 6455 says a client sends, and passes on what is in it.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { connect, createServer, type Server, type Socket } from "node:net";
import { close, listen } from "./sockets.ts";

/** RFC 6455, 1.3. */
const KEY_SUFFIX = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

const OPCODE = { binary: 2, close: 8, ping: 9, pong: 10 } as const;

/** See above. */
export class WebSocketGateway {
  readonly port: number;
  /** Request lines, in order. */
  readonly requests: readonly string[];
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;

  private constructor(
    port: number,
    server: Server,
    sockets: ReadonlySet<Socket>,
    requests: readonly string[],
  ) {
    this.port = port;
    this.#server = server;
    this.#sockets = sockets;
    this.requests = requests;
  }

  /** On a free port, before the given one. */
  static async start(targetPort: number): Promise<WebSocketGateway> {
    const sockets = new Set<Socket>();
    const requests: string[] = [];
    const server = createServer((client) => {
      const broker = connect({
        port: targetPort,
        host: "127.0.0.1",
        noDelay: true,
      });
      for (
        const [socket, other] of [[client, broker], [broker, client]] as const
      ) {
        sockets.add(socket);
        socket.on("error", () => {});
        socket.once("close", () => {
          sockets.delete(socket);
          other.end();
        });
      }
      let read: (bytes: Buffer) => Buffer = (bytes) => {
        const end = bytes.indexOf("\r\n\r\n");
        if (end < 0) return bytes;
        const head = bytes.subarray(0, end).toString("latin1");
        requests.push(head.slice(0, head.indexOf("\r\n")));
        client.write(upgradeAnswer(head));
        broker.on(
          "data",
          (chunk: Buffer) => client.write(frame(OPCODE.binary, chunk)),
        );
        read = (rest) => readFrames(rest, client, broker);
        return read(bytes.subarray(end + 4));
      };
      let rest: Buffer = Buffer.alloc(0);
      client.on(
        "data",
        (chunk: Buffer) => rest = read(Buffer.concat([rest, chunk])),
      );
      client.on("drain", () => broker.resume());
    });
    return new WebSocketGateway(
      await listen(server),
      server,
      sockets,
      requests,
    );
  }

  /** Cuts every connection and listens no more. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await close(this.#server);
  }
}

function upgradeAnswer(head: string): string {
  const key = /^sec-websocket-key: (.*)$/im.exec(head)?.[1]?.trim() ?? "";
  const accept = createHash("sha1").update(key + KEY_SUFFIX).digest("base64");
  return [
    "HTTP/1.1 101 Switching Protocols",
    "Upgrade: websocket",
    "Connection: Upgrade",
    `Sec-WebSocket-Accept: ${accept}`,
    "Sec-WebSocket-Protocol: mqtt",
    "",
    "",
  ].join("\r\n");
}

/** Passes on the payload of each whole frame; what is left is the beginning of another. */
function readFrames(bytes: Buffer, client: Socket, broker: Socket): Buffer {
  let rest = bytes;
  while (true) {
    const found = readFrame(rest);
    if (found === undefined) return rest;
    rest = rest.subarray(found.length);
    // A fragment (0) belongs to the binary message that it continues.
    if (found.opcode === OPCODE.binary || found.opcode === 0) {
      if (!broker.write(found.payload)) {
        client.pause();
        broker.once("drain", () => client.resume());
      }
    } else if (found.opcode === OPCODE.ping) {
      client.write(frame(OPCODE.pong, found.payload));
    } else if (found.opcode === OPCODE.close) {
      client.end(frame(OPCODE.close, found.payload));
      broker.end();
    }
  }
}

function readFrame(
  bytes: Buffer,
): {
  readonly opcode: number;
  readonly payload: Buffer;
  readonly length: number;
} | undefined {
  if (bytes.length < 2) return undefined;
  const short = bytes[1]! & 0x7f;
  const maskAt = short === 126 ? 4 : short === 127 ? 10 : 2;
  if (bytes.length < maskAt + 4) return undefined;
  const size = short === 126 ? bytes.readUInt16BE(2) : short === 127 ? Number(bytes.readBigUInt64BE(2)) : short;
  const length = maskAt + 4 + size;
  if (bytes.length < length) return undefined;
  const mask = bytes.subarray(maskAt, maskAt + 4);
  const payload = Buffer.from(bytes.subarray(maskAt + 4, length));
  for (let at = 0; at < size; at++) payload[at]! ^= mask[at & 3]!;
  return { opcode: bytes[0]! & 0xf, payload, length };
}

function frame(opcode: number, payload: Buffer): Buffer {
  const size = payload.length;
  const head = Buffer.alloc(size < 126 ? 2 : size < 65_536 ? 4 : 10);
  head[0] = 0x80 | opcode;
  head[1] = size < 126 ? size : size < 65_536 ? 126 : 127;
  if (head.length === 4) head.writeUInt16BE(size, 2);
  if (head.length === 10) head.writeBigUInt64BE(BigInt(size), 2);
  return Buffer.concat([head, payload]);
}
