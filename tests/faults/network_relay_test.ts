/**
 * The relay spoils a link as it says, or every test that leans on it would prove nothing.
 */
import assert from "node:assert/strict";
import { once } from "node:events";
import { connect, createServer, type Server, type Socket } from "node:net";
import { test } from "node:test";
import { within } from "../support/deadline.ts";
import { breakAfter, chop, delay, flip, hold, limit, lose, Relay } from "../support/relay.ts";
import { close, listen } from "../support/sockets.ts";

/** One end of a connection, with what it got. */
class End {
  readonly socket: Socket;
  readonly chunks: Uint8Array[] = [];
  readonly closed: Promise<unknown>;
  error: string | undefined;
  #onData = () => {};

  constructor(socket: Socket) {
    this.socket = socket.setNoDelay(true);
    socket.on("data", (chunk: Uint8Array) => {
      this.chunks.push(chunk);
      this.#onData();
    });
    socket.on("error", (error: Error & { readonly code?: string }) => this.error = error.code);
    this.closed = once(socket, "close");
  }

  get text(): string {
    return new TextDecoder().decode(Uint8Array.from(this.chunks.flatMap((chunk) => [...chunk])));
  }

  /** Resolves when so many bytes are there. */
  async got(bytes: number): Promise<void> {
    const isThere = () => this.chunks.reduce((sum, { length }) => sum + length, 0) >= bytes;
    if (isThere()) return;
    const there = new Promise<void>((resolve) => this.#onData = () => isThere() ? resolve() : undefined);
    await within(there, () => `${bytes} bytes; there are "${this.text}"`);
  }
}

/** A connection through a relay. */
class Wire {
  readonly relay: Relay;
  readonly client: End;
  readonly broker: End;
  readonly #server: Server;

  private constructor(server: Server, relay: Relay, client: End, broker: End) {
    this.#server = server;
    this.relay = relay;
    this.client = client;
    this.broker = broker;
  }

  static async lay(): Promise<Wire> {
    const server = createServer();
    const relay = await Relay.start(await listen(server));
    const accepted = once(server, "connection");
    const client = connect({ host: "127.0.0.1", port: relay.port });
    const [broker] = await accepted;
    return new Wire(server, relay, new End(client), new End(broker));
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.client.socket.destroy();
    this.broker.socket.destroy();
    await this.relay.close();
    await close(this.#server);
  }
}

test("What is delayed arrives whole, later, and as far apart as it was sent", async () => {
  await using wire = await Wire.lay();
  wire.relay.treat({ up: delay(100) });
  const startMs = performance.now();
  wire.client.socket.write("one");
  await wire.broker.got(3);
  assert(performance.now() - startMs >= 99);
  assert.equal(wire.broker.text, "one");
});

test("What is held arrives when it is let go, in order, and then the end", async () => {
  await using wire = await Wire.lay();
  wire.relay.treat({ up: hold });
  wire.client.socket.end("one ");
  wire.broker.socket.write("down"); // the other way is free
  await wire.client.got(4);
  await within(once(wire.client.socket, "end").catch(() => {}).then(() => {}), "nothing", 50).catch(() => {});
  assert.equal(wire.broker.text, "");
  wire.relay.treat({ up: flip(0, 5) });
  await wire.broker.closed;
  assert.equal(wire.broker.text, "One ");
});

test("What is lost is lost, and so is the end", async () => {
  await using wire = await Wire.lay();
  wire.relay.treat({ up: lose });
  wire.client.socket.write("lost");
  wire.broker.socket.write("down");
  await wire.client.got(4);
  wire.client.socket.destroy();
  await wire.client.closed;
  wire.broker.socket.write("still believes in it");
  await wire.relay.restore();
  assert.equal(wire.broker.text, "");
  assert.equal(wire.broker.socket.writable, true);
  assert.equal(wire.relay.counts.bytesLost, 4);
});

test("An abandoned connection carries nothing any more; new ones do", async () => {
  await using wire = await Wire.lay();
  wire.relay.abandon();
  wire.client.socket.write("lost");
  const second = connect({ host: "127.0.0.1", port: wire.relay.port });
  second.end("new");
  await once(second, "close");
  assert.equal(wire.broker.text, "");
  assert.equal(wire.relay.counts.bytesUp, 3);
  wire.client.socket.destroy();
  await wire.client.closed;
  assert.equal(wire.broker.socket.writable, true);
});

test("A connection breaks after exactly so many bytes, and the next one does not", async () => {
  for (const bytes of [1, 4, 5]) {
    await using wire = await Wire.lay();
    wire.relay.treat({ up: breakAfter(bytes) });
    wire.client.socket.write("abc");
    await wire.broker.got(Math.min(bytes, 3));
    wire.client.socket.write("defgh");
    await wire.broker.closed;
    assert.equal(wire.broker.text, "abcdefgh".slice(0, bytes));
    assert.equal(wire.relay.counts.cuts, 1);
    const second = connect({ host: "127.0.0.1", port: wire.relay.port });
    second.end("a new connection");
    await once(second, "close");
    assert.equal(wire.relay.counts.cuts, 1);
  }
});

test("A reset is one for both sides", async () => {
  await using wire = await Wire.lay();
  wire.relay.treat({ up: breakAfter(2, "reset") });
  wire.client.socket.write("abc");
  await Promise.all([wire.client.closed, wire.broker.closed]);
  assert.deepEqual([wire.client.error, wire.broker.error], ["ECONNRESET", "ECONNRESET"]);
});

test("One bit is turned over, wherever the byte stands", async () => {
  await using wire = await Wire.lay();
  wire.relay.treat({ down: flip(4, 0) });
  wire.broker.socket.write("aaa");
  await wire.client.got(3);
  wire.broker.socket.write("aaa");
  await wire.client.got(6);
  assert.equal(wire.client.text, "aaaa`a");
  assert.equal(wire.relay.counts.bitsFlipped, 1);
});

test("Chopped bytes arrive in pieces", async () => {
  await using wire = await Wire.lay();
  wire.relay.treat({ up: chop(2) });
  wire.client.socket.write("abcdefghijklmnopqrst");
  await wire.broker.got(20);
  assert.equal(wire.broker.text, "abcdefghijklmnopqrst");
  assert(wire.broker.chunks.length > 3, `${wire.broker.chunks.length} pieces`);
});

test("A slow link takes its time, and leaves with the sender what it has no room for", async () => {
  await using wire = await Wire.lay();
  wire.relay.treat({ up: limit(1_000_000) });
  const startMs = performance.now();
  const bytes = 20_000_000;
  wire.client.socket.write(new Uint8Array(bytes));
  await wire.broker.got(1_000_000);
  assert(performance.now() - startMs >= 900, `${performance.now() - startMs} ms`);
  assert(wire.client.socket.writableLength > 0, "most of it is still with the sender");
});
