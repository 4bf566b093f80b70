/**
 * A TCP relay that stands between client and broker, in the test's own process, so that a test can spoil the link as it likes. What happens to
 * bytes on their way is a {@linkcode Treatment}: a function. A further fault is a further function.
 *
 * @module
 */
import { connect, createServer, type Server, type Socket } from "node:net";
import { close, listen } from "./sockets.ts";

/** `up` is from the client to the broker. */
export type Direction = "up" | "down";

/** Decides what becomes of bytes that arrived: it may forward them, keep them, alter them, break the connection. */
export interface Treatment {
  (chunk: Uint8Array, flow: Flow): void;
  /** The end of the connection is lost as well: the other side goes on believing in it. */
  readonly losesEnd?: boolean;
}

/** The link works. */
export const pass: Treatment = (chunk, flow) => flow.forward(chunk);

/** The link stalls: nothing is lost, nothing arrives until it is treated otherwise. */
export const hold: Treatment = (chunk, flow) => flow.keep(chunk);

/** Half-open: what is sent vanishes, and nothing says so. */
export const lose: Treatment = Object.assign((chunk: Uint8Array, flow: Flow) => flow.lose(chunk), { losesEnd: true });

/** Everything takes so much longer. */
export function delay(ms: number): Treatment {
  return (chunk, flow) => flow.forwardAt(chunk, performance.now() + ms);
}

/**
 * So many bytes at a time, one piece every so many milliseconds. What has no room waits in small buffers of the kernel and with the sender, as
 * no more is read than is soon to be forwarded.
 */
export function drip(bytes: number, everyMs: number): Treatment {
  return (chunk, flow) => {
    for (let at = 0; at < chunk.length; at += bytes) {
      const piece = chunk.subarray(at, at + bytes);
      flow.forwardAt(piece, Math.max(flow.busyUntilMs, performance.now()) + everyMs * piece.length / bytes);
    }
  };
}

/** A link of so many bytes per second. */
export function limit(bytesPerSecond: number): Treatment {
  return drip(Math.max(1, Math.floor(bytesPerSecond * PIECE_MS / 1_000)), PIECE_MS);
}

/** In writes of so many bytes. */
export function chop(bytes: number): Treatment {
  return drip(bytes, 1);
}

/** The connection that carries them breaks after so many further bytes, of whatever connections; the link works again then. */
export function breakAfter(bytes: number, how: "cut" | "reset" = "cut"): Treatment {
  let left = bytes;
  return (chunk, flow) => {
    if (chunk.length < left) {
      left -= chunk.length;
      return flow.forward(chunk);
    }
    flow.forward(chunk.subarray(0, left));
    left = Infinity;
    if (how === "cut") flow.cut();
    else flow.reset();
  };
}

/** Turns one bit over, 0 to 7, of one byte, counted from the next. */
export function flip(at: number, bit: number): Treatment {
  let next = 0;
  return (chunk, flow) => {
    const index = at - next;
    next += chunk.length;
    flow.forward(index >= 0 && index < chunk.length ? flow.corrupt(chunk, index, bit) : chunk);
  };
}

/** A slow link moves a piece so often. */
const PIECE_MS = 50;
/** No more is read while so much waits to be forwarded. */
const WAITING_BYTES_MAX = 65_536;

/** What went through a relay so far. */
export interface RelayCounts {
  connections: number;
  cuts: number;
  resets: number;
  bytesUp: number;
  bytesDown: number;
  bytesLost: number;
  bitsFlipped: number;
}

/** One direction of one connection. */
export class Flow {
  readonly direction: Direction;
  /** Number of the connection, from 1. */
  readonly connection: number;
  readonly #relay: Relay;
  readonly #from: Socket;
  readonly #to: Socket;
  #kept: Uint8Array[] = [];
  /** On the way, in order. */
  readonly #waiting: { readonly chunk: Uint8Array; readonly atMs: number }[] = [];
  #waitingBytes = 0;
  #timer: ReturnType<typeof setTimeout> | undefined;
  #isAbandoned = false;
  #hasEnded = false;

  constructor(relay: Relay, direction: Direction, connection: number, from: Socket, to: Socket) {
    this.#relay = relay;
    this.direction = direction;
    this.connection = connection;
    this.#from = from;
    this.#to = to;
    from.on("data", (chunk: Uint8Array) => this.#treat(chunk));
    // An error is followed by `close`, and that is where the other side learns of it. What was forwarded still goes out.
    from.on("error", () => {});
    from.on("close", () => this.#end());
    to.on("drain", () => this.#regulate());
    to.on("close", () => clearTimeout(this.#timer));
  }

  /** When the last of what is on the way is forwarded, on the clock of `performance.now()`. */
  get busyUntilMs(): number {
    return this.#waiting.at(-1)?.atMs ?? -Infinity;
  }

  forward(chunk: Uint8Array): void {
    if (this.#waiting.length > 0) this.forwardAt(chunk, this.busyUntilMs);
    else this.#forward(chunk);
  }

  /** Not before that time, on the clock of `performance.now()`, and in order. */
  forwardAt(chunk: Uint8Array, atMs: number): void {
    this.#waiting.push({ chunk, atMs: Math.max(atMs, this.busyUntilMs) });
    this.#waitingBytes += chunk.length;
    this.#regulate();
    if (this.#waiting.length === 1) this.#arm();
  }

  keep(chunk: Uint8Array): void {
    this.#kept.push(chunk);
  }

  lose(chunk: Uint8Array): void {
    this.#relay.counts.bytesLost += chunk.length;
  }

  /** The same with one bit turned over. */
  corrupt(chunk: Uint8Array, index: number, bit: number): Uint8Array {
    this.#relay.counts.bitsFlipped++;
    return chunk.map((byte, at) => at === index ? byte ^ (1 << bit) : byte);
  }

  /** Breaks the connection, once what was forwarded has gone out. */
  cut(): void {
    this.#relay.counts.cuts++;
    this.#from.destroy();
  }

  /** Breaks the connection with RST on both sides: what is on its way may be lost. */
  reset(): void {
    this.#relay.counts.resets++;
    this.#from.resetAndDestroy();
    this.#to.resetAndDestroy();
  }

  /** From now on it carries nothing, not even its end, whatever becomes of the link. */
  abandon(): void {
    this.#isAbandoned = true;
  }

  /** What was kept is treated again, as the relay does now. */
  treatKept(): void {
    const kept = this.#kept;
    this.#kept = [];
    for (const chunk of kept) this.#treat(chunk);
    this.#endIfEmpty();
  }

  #treat(chunk: Uint8Array): void {
    this.#treatment(chunk, this);
  }

  get #treatment(): Treatment {
    return this.#isAbandoned ? lose : this.#relay.treatment(this.direction);
  }

  #forward(chunk: Uint8Array): void {
    this.#relay.onForward?.(chunk, this);
    if (this.direction === "up") this.#relay.counts.bytesUp += chunk.length;
    else this.#relay.counts.bytesDown += chunk.length;
    if (!this.#to.writable) return;
    this.#to.write(chunk);
    this.#regulate();
  }

  #arm(): void {
    const first = this.#waiting[0];
    if (first === undefined) return;
    this.#timer = setTimeout(() => {
      // One in a turn, so that each is a write of its own.
      this.#waiting.shift();
      this.#waitingBytes -= first.chunk.length;
      this.#forward(first.chunk);
      this.#arm();
      this.#regulate();
      this.#endIfEmpty();
    }, Math.max(0, first.atMs - performance.now()));
  }

  #regulate(): void {
    if (this.#waitingBytes > WAITING_BYTES_MAX || this.#to.writableNeedDrain) this.#from.pause();
    else this.#from.resume();
  }

  #end(): void {
    if (this.#treatment.losesEnd) return;
    this.#hasEnded = true;
    this.#endIfEmpty();
  }

  #endIfEmpty(): void {
    if (this.#hasEnded && this.#kept.length === 0 && this.#waiting.length === 0) this.#to.end();
  }
}

/** See above. Counts what passes. */
export class Relay {
  readonly counts: RelayCounts = { connections: 0, cuts: 0, resets: 0, bytesUp: 0, bytesDown: 0, bytesLost: 0, bitsFlipped: 0 };
  /** Sees every chunk just before it goes on: whoever acts here acts before the receiver can. */
  onForward: ((chunk: Uint8Array, flow: Flow) => void) | undefined;
  /** Where the broker listens. */
  targetPort: number;
  readonly #sockets = new Set<Socket>();
  readonly #flows = new Set<Flow>();
  #treatments: Readonly<Record<Direction, Treatment>> = { up: pass, down: pass };
  /** Listens while the link is there. */
  #server: Server | undefined;
  #port = 0;

  private constructor(targetPort: number) {
    this.targetPort = targetPort;
  }

  /** On a free port, in front of the broker's. */
  static async start(targetPort: number): Promise<Relay> {
    const relay = new Relay(targetPort);
    await relay.restore();
    return relay;
  }

  /** Stays the same over cuts. */
  get port(): number {
    return this.#port;
  }

  treatment(direction: Direction): Treatment {
    return this.#treatments[direction];
  }

  /** From now on, on every connection; also for what was kept. */
  treat(treatments: Partial<Record<Direction, Treatment>>): void {
    this.#treatments = { ...this.#treatments, ...treatments };
    for (const flow of this.#flows) flow.treatKept();
  }

  /** Every connection becomes half-open for good, as when a router forgets them; new ones fare as the link does. */
  abandon(): void {
    for (const flow of this.#flows) flow.abandon();
  }

  /** Every connection ends with RST; new ones are accepted. */
  reset(): void {
    for (const flow of this.#flows) if (flow.direction === "up") flow.reset();
  }

  /** The link is there and well. */
  async restore(): Promise<void> {
    this.treat({ up: pass, down: pass });
    if (this.#server !== undefined) return;
    this.#server = createServer((client) => this.#accept(client));
    this.#port = await listen(this.#server, this.#port);
  }

  /** The link breaks, and stays broken until `restore()`: connections end at once, new ones are refused. */
  async cut(): Promise<void> {
    this.counts.cuts++;
    await this.close();
  }

  async close(): Promise<void> {
    const server = this.#server;
    this.#server = undefined;
    for (const socket of this.#sockets) socket.destroy();
    if (server !== undefined) await close(server);
  }

  #accept(client: Socket): void {
    const connection = ++this.counts.connections;
    const broker = connect({ host: "127.0.0.1", port: this.targetPort, noDelay: true });
    client.setNoDelay(true);
    for (const socket of [client, broker]) {
      this.#sockets.add(socket);
      socket.once("close", () => this.#sockets.delete(socket));
    }
    this.#join(new Flow(this, "up", connection, client, broker), broker);
    this.#join(new Flow(this, "down", connection, broker, client), client);
  }

  /** What is kept for a receiver is kept as long as the receiver is there. */
  #join(flow: Flow, receiver: Socket): void {
    this.#flows.add(flow);
    receiver.once("close", () => this.#flows.delete(flow));
  }
}
