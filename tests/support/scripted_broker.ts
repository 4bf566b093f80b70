/**
 * A broker without a mind of its own: the test says, connection by connection, what it expects to the byte and what is answered, when the line
 * is cut, and when there is silence. It reads and writes packets by MQTT's own framing, so that nothing a client sends goes unseen.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createServer, type Server, type Socket } from "node:net";
import { generate, type IConnackPacket, type IConnectPacket, type Packet, type Parser, parser } from "mqtt-packet";
import { within } from "./deadline.ts";
import { close, listen } from "./sockets.ts";

/** One whole packet of the client's. */
export interface Frame {
  readonly bytes: Buffer;
  readonly packet: Packet;
}

/** A packet to send: as an object, as bytes, or as bytes in hexadecimal, with blanks where they help. */
export type Outgoing = Packet | Uint8Array | string;

/** Cuts a stream of bytes into packets. */
class Framer {
  #chunks: Buffer[] = [];
  #byteCount = 0;

  add(chunk: Buffer): Buffer[] {
    this.#chunks.push(chunk);
    this.#byteCount += chunk.length;
    const frames: Buffer[] = [];
    for (
      let length = this.#nextLength();
      length <= this.#byteCount;
      length = this.#nextLength()
    ) {
      const all = this.#chunks.length === 1 ? this.#chunks[0]! : Buffer.concat(this.#chunks);
      frames.push(all.subarray(0, length));
      this.#chunks = [all.subarray(length)];
      this.#byteCount -= length;
    }
    return frames;
  }

  /** Of the packet that has begun; Infinity if that is not known yet. */
  #nextLength(): number {
    if (this.#byteCount < 2) return Infinity;
    if (this.#chunks[0]!.length < 5) {
      this.#chunks = [Buffer.concat(this.#chunks)];
    }
    const head = this.#chunks[0]!;
    for (let at = 1, length = 0; at < Math.min(5, head.length); at++) {
      length += (head[at]! & 0x7f) * 2 ** (7 * (at - 1));
      if (head[at]! < 0x80) return 1 + at + length;
    }
    return Infinity;
  }
}

/** The broker's end of one connection. */
export class ScriptedPeer {
  /** When the connection is gone. */
  readonly closed: Promise<void>;
  readonly #socket: Socket;
  readonly #parser: Parser = parser();
  readonly #framer = new Framer();
  readonly #frames: Frame[] = [];
  #wake: () => void = () => {};
  #isOver = false;
  #protocolVersion = 4;
  #receivedByteCount = 0;

  constructor(socket: Socket) {
    this.#socket = socket;
    let parsed: Packet | undefined;
    this.#parser.on("packet", (packet: Packet) => parsed = packet);
    this.#parser.on("error", (error: Error) => socket.destroy(error));
    socket.on("data", (chunk: Buffer) => {
      this.#receivedByteCount += chunk.length;
      for (const bytes of this.#framer.add(chunk)) {
        this.#parser.parse(bytes);
        assert.ok(
          parsed,
          `the client's bytes ${bytes.subarray(0, 40).toString("hex")} are a packet`,
        );
        if (parsed.cmd === "connect") {
          this.#protocolVersion = parsed.protocolVersion ?? 4;
        }
        this.#frames.push({ bytes, packet: parsed });
      }
      this.#wake();
    });
    socket.on("error", () => {});
    const over = () => {
      this.#isOver = true;
      this.#wake();
    };
    socket.on("end", over);
    this.closed = new Promise((resolve) =>
      socket.once("close", () => {
        over();
        resolve();
      })
    );
  }

  /** Bytes that came in, whole packets or not. */
  get receivedByteCount(): number {
    return this.#receivedByteCount;
  }

  /** Packets that came in and were not asked for. */
  get unread(): readonly Frame[] {
    return this.#frames;
  }

  /** The next packet, in the order sent; fails if the client closes instead. */
  async next(what = "a packet"): Promise<Frame> {
    while (this.#frames.length === 0) {
      assert.ok(
        !this.#isOver,
        `the client sends ${what} before it closes the connection`,
      );
      await within(
        new Promise<void>((resolve) => this.#wake = resolve),
        `${what} from the client`,
      );
    }
    return this.#frames.shift()!;
  }

  /** The next packet is of this kind. */
  async expect<C extends Packet["cmd"]>(
    cmd: C,
  ): Promise<Extract<Packet, { cmd: C }>> {
    const { packet } = await this.next(cmd.toUpperCase());
    assert.equal(packet.cmd, cmd);
    return packet as Extract<Packet, { cmd: C }>;
  }

  /** The next packets are these, byte by byte. */
  async expectBytes(
    ...expected: readonly (Uint8Array | string)[]
  ): Promise<void> {
    for (const each of expected) {
      const bytes = typeof each === "string" ? fromHex(each) : Buffer.from(each);
      const frame = await this.next(
        `the bytes ${bytes.subarray(0, 40).toString("hex")}`,
      );
      // As text, a failure shows what differs.
      assert.equal(frame.bytes.toString("hex"), bytes.toString("hex"));
    }
  }

  /** The client ends the connection, having sent nothing more that was not asked for. */
  async expectEnd(): Promise<void> {
    await this.ended();
    assert.deepEqual(this.#frames.map(({ packet }) => packet.cmd), []);
  }

  /** The client ends the connection. */
  async ended(): Promise<void> {
    while (!this.#isOver) {
      await within(
        new Promise<void>((resolve) => this.#wake = resolve),
        "the client to close the connection",
      );
    }
  }

  send(...packets: readonly Outgoing[]): void {
    const bytes = packets.map((packet) => {
      if (typeof packet === "string") return fromHex(packet);
      return packet instanceof Uint8Array ? packet : generate(packet, { protocolVersion: this.#protocolVersion });
    });
    this.#socket.write(Buffer.concat(bytes));
  }

  /** Takes CONNECT and accepts it. */
  async acceptSession(
    answer: Partial<IConnackPacket> = {},
  ): Promise<IConnectPacket> {
    const connect = await this.expect("connect");
    this.send({
      cmd: "connack",
      sessionPresent: false,
      returnCode: 0,
      reasonCode: 0,
      ...answer,
    });
    return connect;
  }

  /** Reads nothing more, so that the client's system can take ever less. */
  pause(): void {
    this.#socket.pause();
  }

  resume(): void {
    this.#socket.resume();
  }

  /** Says that it will send nothing more; goes on reading. */
  endWriting(): void {
    this.#socket.end();
  }

  /** Closes. */
  close(): void {
    this.#socket.destroy();
  }

  /** Resets the connection. */
  reset(): void {
    this.#socket.resetAndDestroy();
  }
}

/** See above. */
export class ScriptedBroker {
  readonly port: number;
  readonly #server: Server;
  readonly #sockets: ReadonlySet<Socket>;
  readonly #waiting: ScriptedPeer[];
  readonly #setWake: (wake: () => void) => void;

  private constructor(
    server: Server,
    port: number,
    sockets: ReadonlySet<Socket>,
    waiting: ScriptedPeer[],
    setWake: (wake: () => void) => void,
  ) {
    this.#server = server;
    this.port = port;
    this.#sockets = sockets;
    this.#waiting = waiting;
    this.#setWake = setWake;
  }

  /** On a free port. */
  static async start(): Promise<ScriptedBroker> {
    const sockets = new Set<Socket>();
    const waiting: ScriptedPeer[] = [];
    let wake = () => {};
    // Half open, so that the script says when each direction ends.
    const server = createServer(
      { allowHalfOpen: true, noDelay: true },
      (socket) => {
        sockets.add(socket);
        socket.once("close", () => sockets.delete(socket));
        waiting.push(new ScriptedPeer(socket));
        wake();
      },
    );
    return new ScriptedBroker(
      server,
      await listen(server),
      sockets,
      waiting,
      (next) => wake = next,
    );
  }

  /** The next connection. */
  async accept(): Promise<ScriptedPeer> {
    while (this.#waiting.length === 0) {
      await within(
        new Promise<void>((resolve) => this.#setWake(resolve)),
        "a connection",
      );
    }
    return this.#waiting.shift()!;
  }

  /** Cuts every connection and listens no more. */
  async close(): Promise<void> {
    for (const socket of this.#sockets) socket.destroy();
    await close(this.#server);
  }
}

function fromHex(text: string): Buffer {
  const digits = text.replaceAll(/\s/g, "");
  assert.match(
    digits,
    /^([0-9a-f]{2})*$/i,
    `"${text}" is in hexadecimal digits`,
  );
  return Buffer.from(digits, "hex");
}
