/**
 * A process in which connections fail in every way there is. It says how each ended; whatever else it writes is noise, and if it does not end
 * well, an error has escaped.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createServer, type Socket } from "node:net";
import process from "node:process";
import { createServer as createTlsServer } from "node:tls";
import { createMqttTransport } from "../../lib/adapters/mqtt_transport.ts";
import type { Broker } from "../../lib/core/ports.ts";
import { argument, type Said, say } from "./child.ts";
import { freePort, listen } from "./sockets.ts";
import { TransportProbe } from "./transport_probe.ts";

/** What is to be done. */
export type Ordeal =
  /** Everything that can go wrong; the certificate is for a TLS server that nobody trusts. */
  | { readonly kind: "all"; readonly tls?: { readonly cert: string; readonly key: string } }
  /** One connection. */
  | { readonly kind: "one"; readonly broker: Broker };

/** How one ended. */
export interface Ended extends Said {
  readonly type: "ended";
  readonly name: string;
  readonly outcome: unknown;
}

const CONNACK = Buffer.from([0x20, 3, 0, 0, 0]);

async function endure(name: string, broker: Partial<Broker>, { isAborted = false, mqtt = {} } = {}): Promise<void> {
  const probe = new TransportProbe();
  const transport = createMqttTransport({ clientId: "ordeal", mqtt, connectTimeoutMs: 500 }, probe);
  transport.connect({
    broker: { protocol: "mqtt", host: "127.0.0.1", port: 1883, ...broker },
    protocolVersion: 5,
    cleanStart: true,
    sessionExpirySeconds: 0,
    credentials: { username: "user", password: "secret" },
  });
  if (isAborted) transport.abort();
  probe.onReport = (type) => {
    if (type === "connected") {
      transport.publish([{ topic: "t", payload: new Uint8Array(5_000_000), qos: 1, retain: false, packetId: 1, dup: false }]);
    }
  };
  const outcome = await probe.next("disconnected");
  const said: Ended = { type: "ended", name, outcome };
  say(said);
}

/** Listens, and does this to whoever connects. */
function serve(treat: (socket: Socket) => void): Promise<number> {
  return listen(createServer((socket) => {
    socket.on("error", () => {});
    treat(socket);
  }));
}

async function all(tls: { readonly cert: string; readonly key: string } | undefined): Promise<void> {
  const onFirstData = (then: (socket: Socket) => void) => serve((socket) => socket.once("data", () => then(socket)));
  const closed = await freePort();
  for (const protocol of ["mqtt", "mqtts", "ws", "wss"] as const) {
    await endure(`${protocol}: refused`, { protocol, port: closed });
    await endure(`${protocol}: unknown host`, { protocol, host: "nosuchhost.invalid" });
    await endure(`${protocol}: aborted`, { protocol, port: closed }, { isAborted: true });
    await endure(`${protocol}: silent`, { protocol, port: await serve(() => {}) });
    await endure(`${protocol}: closed`, { protocol, port: await serve((socket) => socket.destroy()) });
    await endure(`${protocol}: reset`, { protocol, port: await onFirstData((socket) => socket.resetAndDestroy()) });
    await endure(`${protocol}: web server`, {
      protocol,
      port: await onFirstData((socket) => socket.end("HTTP/1.1 404 Not Found\r\n\r\n")),
    });
    await endure(`${protocol}: garbage`, { protocol, port: await onFirstData((socket) => socket.end("garbage, nothing but garbage")) });
    await endure(`${protocol}: impossible port`, { protocol, port: 70_000 });
  }
  await endure("refused by the broker", { port: await onFirstData((socket) => socket.write(Buffer.from([0x20, 3, 0, 0x86, 0]))) });
  await endure("closed while writing", {
    port: await onFirstData((socket) => {
      socket.write(CONNACK);
      socket.once("data", () => socket.destroy());
    }),
  });
  await endure("reset while writing", {
    port: await onFirstData((socket) => {
      socket.write(CONNACK);
      socket.once("data", () => socket.resetAndDestroy());
    }),
  });
  await endure("garbage while writing", {
    port: await onFirstData((socket) => {
      socket.write(CONNACK);
      socket.once("data", () => socket.write("garbage"));
    }),
  });
  await endure("keep-alive", { port: await onFirstData((socket) => socket.write(CONNACK)) }, { mqtt: { keepalive: 1 } });
  if (tls !== undefined) {
    const port = await listen(createTlsServer(tls, (socket) => socket.on("error", () => {})).on("tlsClientError", () => {}));
    for (const protocol of ["mqtt", "mqtts", "ws", "wss"] as const) await endure(`${protocol}: untrusted TLS server`, { protocol, port });
  }
}

if (import.meta.main) {
  const ordeal = argument<Ordeal>();
  if (ordeal.kind === "one") await endure("one", ordeal.broker);
  else await all(ordeal.tls);
  // What is left of the connections has time to make itself heard.
  setTimeout(() => process.exit(0), 700);
}
