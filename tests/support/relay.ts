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

/** Decides what becomes of bytes that arrived: it may forward them, keep them, or do nothing, and they are lost. */
export type Treatment = (chunk: Uint8Array, flow: Flow) => void;

/** The link works. */
export const pass: Treatment = (chunk, flow) => flow.forward(chunk);

/** The link stalls: nothing is lost, nothing arrives until it is treated otherwise. */
export const hold: Treatment = (chunk, flow) => flow.keep(chunk);

/** What went through a relay so far. */
export interface RelayCounts {
  connections: number;
  cuts: number;
  bytesUp: number;
  bytesDown: number;
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

  constructor(relay: Relay, direction: Direction, connection: number, from: Socket, to: Socket) {
    this.#relay = relay;
    this.direction = direction;
    this.connection = connection;
    this.#from = from;
    this.#to = to;
    from.on("data", (chunk: Uint8Array) => relay.treatment(direction)(chunk, this));
    // An error is followed by `close`, and that is where the other side learns of it. What was forwarded still goes out.
    from.on("error", () => {});
    from.on("close", () => to.end());
    to.on("drain", () => from.resume());
  }

  forward(chunk: Uint8Array): void {
    this.#relay.onForward?.(chunk, this);
    if (this.direction === "up") this.#relay.counts.bytesUp += chunk.length;
    else this.#relay.counts.bytesDown += chunk.length;
    if (!this.#to.writable) return;
    if (!this.#to.write(chunk)) this.#from.pause();
  }

  keep(chunk: Uint8Array): void {
    this.#kept.push(chunk);
  }

  /** What was kept is treated again, as the relay does now. */
  treatKept(): void {
    const kept = this.#kept;
    this.#kept = [];
    for (const chunk of kept) this.#relay.treatment(this.direction)(chunk, this);
  }
}

/** See above. Counts what passes. */
export class Relay {
  readonly counts: RelayCounts = { connections: 0, cuts: 0, bytesUp: 0, bytesDown: 0 };
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
    for (const flow of [new Flow(this, "up", connection, client, broker), new Flow(this, "down", connection, broker, client)]) {
      this.#flows.add(flow);
      client.once("close", () => this.#flows.delete(flow));
    }
  }
}
