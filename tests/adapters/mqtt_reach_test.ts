/**
 * The way to a broker, and what a person reads when it fails: TLS, WebSocket, names, permissions. No secret is shown, nothing is printed, and
 * no error escapes.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createServer as createHttpServer } from "node:http";
import { readFileSync } from "node:fs";
import { createConnection, createServer, type Server } from "node:net";
import { after, before, describe, test } from "node:test";
import process from "node:process";
import { createServer as createTlsServer } from "node:tls";
import { fileURLToPath } from "node:url";
import { createMqttTransport } from "../../lib/adapters/mqtt_transport.ts";
import type { Broker, ConnectRequest, Disconnection } from "../../lib/core/ports.ts";
import { Certificates, opensslMissing } from "../support/certificates.ts";
import { Child } from "../support/child.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { ObedientBroker } from "../support/obedient_broker.ts";
import { freePort, listen } from "../support/sockets.ts";
import type { Ended, Ordeal } from "../support/transport_ordeal.ts";
import { TransportProbe } from "../support/transport_probe.ts";
import { WebSocketGateway } from "../support/websocket_gateway.ts";

const PASSWORD = "correct horse battery staple";

function connect(broker: Partial<Broker>, mqtt: Readonly<Record<string, unknown>> = {}) {
  const probe = new TransportProbe();
  const transport = createMqttTransport({ clientId: "reach", mqtt, connectTimeoutMs: 5_000 }, probe);
  const request: ConnectRequest = {
    broker: { protocol: "mqtt", host: "127.0.0.1", port: 1883, ...broker },
    protocolVersion: 5,
    cleanStart: true,
    sessionExpirySeconds: 0,
    credentials: { username: "device", password: PASSWORD },
  };
  transport.connect(request);
  return { probe, transport };
}

async function failure(broker: Partial<Broker>, mqtt: Readonly<Record<string, unknown>> = {}): Promise<Disconnection> {
  const { probe } = connect(broker, mqtt);
  const cause = await probe.next("disconnected");
  assert.doesNotMatch(JSON.stringify(cause), new RegExp(`${PASSWORD}|token|query`));
  return cause;
}

describe("The way to a broker", () => {
  const servers: Server[] = [];
  const serve = async (server: Server) => {
    servers.push(server);
    return await listen(server);
  };
  after(() => servers.forEach((server) => server.close()));

  test("A host that does not exist is not found", async () => {
    for (const protocol of ["mqtt", "ws"] as const) {
      const { during, by, reason } = await failure({ protocol, host: "nosuchhost.invalid" });
      assert.deepEqual({ during, by }, { during: "connecting", by: "network" });
      assert.match(reason, /host not found|cannot be looked up/);
    }
  });

  test("A port that is none is refused without a crash", async () => {
    const { during, by } = await failure({ port: 70_000 });
    assert.deepEqual({ during, by }, { during: "connecting", by: "client" });
  });

  test("A web server without MQTT says so by its status, and a path with a token stays secret", async () => {
    const port = await serve(createHttpServer((_, response) => response.writeHead(404).end()));
    const cause = await failure({ protocol: "ws", port, path: "/mqtt?token=query" });
    assert.deepEqual(cause, { during: "connecting", by: "network", reason: "the WebSocket was refused with HTTP status 404" });
  });

  test("What is wrong with a URL is told without the token in it", async () => {
    const { by, reason } = await failure({ protocol: "ws", port: 70_000, path: "/mqtt?token=query" });
    assert.deepEqual({ by, reason }, { by: "client", reason: "Invalid URL: ws://127.0.0.1:70000***" });
  });

  test("A WebSocket reaches the path it was given", async () => {
    const broker = await ObedientBroker.start();
    const gateway = await WebSocketGateway.start(broker.port);
    for (const path of ["/mqtt?token=query", undefined]) {
      const { probe, transport } = connect({ protocol: "ws", port: gateway.port, ...(path === undefined ? {} : { path }) });
      await probe.next("connected");
      const connectBytes = 20 + "reach".length + 2 + "device".length + 2 + PASSWORD.length;
      assert.equal(transport.progress(), connectBytes + 1, "CONNECT and CONNACK");
      transport.disconnect();
      await probe.next("disconnected");
    }
    assert.deepEqual(gateway.requests, ["GET /mqtt?token=query HTTP/1.1", "GET / HTTP/1.1"]);
    await broker.close();
    await gateway.close();
  });

  test("IPv6 addresses are reached, by TCP and by WebSocket", async (t) => {
    const probeServer = createServer();
    const hasIpv6 = await new Promise((resolve) => {
      probeServer.once("error", () => resolve(false));
      probeServer.listen(0, "::1", () => resolve(true));
    });
    probeServer.close();
    if (!hasIpv6) return t.skip("this machine has no IPv6 loopback");
    for (const protocol of ["mqtt", "ws"] as const) {
      const broker = await ObedientBroker.start();
      const server = protocol === "mqtt" ? broker : await WebSocketGateway.start(broker.port);
      const port = await freePort();
      const bridge = createServer((socket) => {
        const onward = createConnection(server.port);
        socket.pipe(onward).pipe(socket);
      });
      await new Promise<void>((resolve) => bridge.listen(port, "::1", () => resolve()));
      const { probe, transport } = connect({ protocol, host: "::1", port });
      await probe.next("connected");
      transport.disconnect();
      await probe.next("disconnected");
      bridge.close();
      await server.close();
      if (server !== broker) await broker.close();
    }
  });

  test("A server that expects TLS is not taken for a broker", { skip: opensslMissing() }, async () => {
    const certificates = new Certificates();
    const files = certificates.sign("tls", "DNS:localhost");
    const port = await serve(tlsServer(files));
    const { during, by } = await failure({ port });
    assert.equal(during, "handshake");
    assert.ok(by === "protocol" || by === "broker", by);
    certificates.remove();
  });
});

function tlsServer({ cert, key }: { readonly cert: string; readonly key: string }, onData: (data: Uint8Array) => void = () => {}): Server {
  return createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (socket) => {
    socket.on("error", () => {});
    socket.on("data", onData);
  }).on("tlsClientError", () => {});
}

describe("TLS", { skip: opensslMissing() }, () => {
  let certificates: Certificates;
  const servers: Server[] = [];
  /** What the servers were told. */
  let heard = "";
  const serve = async (name: string, subjects: string, days?: number) => {
    const server = tlsServer(certificates.sign(name, subjects, days), (data) => heard += new TextDecoder("latin1").decode(data));
    servers.push(server);
    return await listen(server);
  };
  before(() => {
    certificates = new Certificates();
  });
  after(() => {
    servers.forEach((server) => server.close());
    certificates.remove();
  });

  for (const protocol of ["mqtts", "wss"] as const) {
    test(`A certificate of an unknown authority is not trusted: ${protocol}`, async () => {
      const { reason, ...rest } = await failure({ protocol, port: await serve(`unknown-${protocol}`, "IP:127.0.0.1") });
      assert.equal(reason, "TLS: the broker's certificate comes from an unknown authority");
      assert.deepEqual({ ...rest, code: undefined }, { during: "connecting", by: "network", code: undefined });
    });

    test(`A certificate for another host is not trusted, and hears no password: ${protocol}`, async () => {
      const port = await serve(`other-${protocol}`, "DNS:other.example");
      for (const host of ["127.0.0.1", "localhost"]) {
        assert.deepEqual(await failure({ protocol, host, port }, { ca: certificates.authority }), {
          during: "connecting",
          by: "network",
          reason: "TLS: the broker's certificate is for another host",
          code: "ERR_TLS_CERT_ALTNAME_INVALID",
        });
      }
      assert.equal(heard, "");
    });

    test(`A certificate that has expired is not trusted: ${protocol}`, async () => {
      const port = await serve(`expired-${protocol}`, "IP:127.0.0.1", -1);
      assert.deepEqual(await failure({ protocol, port }, { ca: certificates.authority }), {
        during: "connecting",
        by: "network",
        reason: "TLS: the broker's certificate has expired; is the clock right?",
        code: "CERT_HAS_EXPIRED",
      });
    });

    test(`A server that does not speak TLS is named as such: ${protocol}`, async () => {
      const server = createServer((socket) => {
        socket.on("error", () => {});
        socket.once("data", () => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
      });
      servers.push(server);
      const { during, by, reason } = await failure({ protocol, port: await listen(server) });
      assert.deepEqual({ during, by, reason }, {
        during: "connecting",
        by: "network",
        reason: "TLS: the broker does not speak TLS on this port",
      });
    });
  }

  for (const protocol of ["mqtts", "wss"] as const) {
    test(`A broker that has a certificate for another name is reached by that name: ${protocol}`, async () => {
      const broker = await ObedientBroker.start();
      const gateway = await WebSocketGateway.start(broker.port);
      const { cert, key } = certificates.sign(`named-${protocol}`, "DNS:broker.example");
      const proxy = createTlsServer({ cert: readFileSync(cert), key: readFileSync(key) }, (socket) => {
        const onward = createConnection(protocol === "wss" ? gateway.port : broker.port, "127.0.0.1");
        socket.pipe(onward).pipe(socket);
        for (const each of [socket, onward]) each.on("error", () => {});
      });
      servers.push(proxy);
      const { probe, transport } = connect({ protocol, port: await listen(proxy) }, {
        ca: certificates.authority,
        servername: "broker.example",
      });
      await probe.next("connected");
      transport.publish([{ topic: "t", payload: new Uint8Array(1_000_000), qos: 1, retain: false, packetId: 1, dup: false }]);
      assert.equal((await probe.next("acknowledged")).packetId, 1);
      transport.disconnect();
      await probe.next("disconnected");
      await gateway.close();
      await broker.close();
    });
  }

  test("A broker that asks for a client certificate gets it, as text or as bytes", { skip: mosquittoMissing() }, async () => {
    const { cert, key } = certificates.sign("broker", "IP:127.0.0.1");
    const device = certificates.sign("device", "DNS:device");
    const config = `certfile ${cert}\nkeyfile ${key}\ncafile ${certificates.path("ca.crt")}\nrequire_certificate true\n`;
    const broker = await Mosquitto.start({ config, isPersistent: false });
    const address = { protocol: "mqtts", port: broker.port } as const;
    const ca = certificates.authority;
    const bytes = { cert: new Uint8Array(readFileSync(device.cert)), key: new Uint8Array(readFileSync(device.key)) };
    const text = { cert: readFileSync(device.cert, "utf8"), key: readFileSync(device.key, "utf8") };
    for (const own of [bytes, text]) {
      const { probe, transport } = connect(address, { ca, ...own });
      await probe.next("connected");
      transport.disconnect();
      await probe.next("disconnected");
    }
    const { by } = await failure(address, { ca });
    assert.ok(by === "broker" || by === "network", by);
    await broker.close();
  });
});

describe("Alone in a process", () => {
  test("However connections fail, nothing is printed, no error escapes, and each says why", async () => {
    const certificates = opensslMissing() ? undefined : new Certificates();
    const files = certificates?.sign("untrusted", "IP:127.0.0.1");
    const tls = files === undefined ? {} : { tls: { cert: readFileSync(files.cert, "utf8"), key: readFileSync(files.key, "utf8") } };
    const ordeal: Ordeal = { kind: "all", ...tls };
    const child = new Child<Ended>(new URL("../support/transport_ordeal.ts", import.meta.url), ordeal);
    const exit = await child.exited;
    certificates?.remove();
    assert.deepEqual({ exit, stderr: child.stderr }, { exit: { code: 0, signal: null }, stderr: "" });
    assert.equal(child.said.length, 41 + (certificates === undefined ? 0 : 4));
    for (const { name, outcome } of child.said) {
      const { reason } = outcome as Disconnection;
      assert.ok(reason.length > 5, name);
      assert.doesNotMatch(reason, /secret/, name);
    }
  });

  /** Runs one connection with these permissions besides those that MQTT.js needs. */
  function withPermissions(broker: Broker, ...permissions: readonly string[]): Ended {
    const file = (path: string) => fileURLToPath(new URL(path, import.meta.url));
    const ordeal: Ordeal = { kind: "one", broker };
    const words = ["run", "--cached-only", "--no-prompt", "--ignore-env", "--config", file("../deno.json"), ...permissions];
    // Not through node:child_process, by which Deno gives all permissions to a Deno that it starts.
    const command = new Deno.Command(process.execPath, {
      args: [...words, file("../support/transport_ordeal.ts"), JSON.stringify(ordeal)],
    });
    const { stdout, stderr } = command.outputSync();
    const said = new TextDecoder().decode(stdout);
    assert.equal(said.split("\n").length, 2, new TextDecoder().decode(stderr));
    return JSON.parse(said);
  }

  const skip = "Deno" in globalThis ? false : "only Deno has permissions";

  test("Deno without permission for the network says which one is missing", { skip }, () => {
    const broker = { protocol: "mqtt", host: "127.0.0.1", port: 4711 } as const;
    const outcome = (address: string) => ({
      during: "connecting",
      by: "client",
      reason: `Deno may not use the network: start it with --allow-net=${address}`,
      code: "NotCapable",
    });
    assert.deepEqual(withPermissions(broker).outcome, outcome("127.0.0.1:4711"));
    assert.deepEqual(withPermissions(broker, "--allow-net=127.0.0.1:4712,localhost").outcome, outcome("127.0.0.1:4711"));
    assert.deepEqual(withPermissions({ ...broker, host: "::1" }, "--deny-net").outcome, outcome("[::1]:4711"));
    assert.deepEqual(withPermissions({ ...broker, protocol: "wss", host: "broker.example" }).outcome, outcome("broker.example:4711"));
  });

  test("Deno with just the permission it asked for gets as far as the broker", { skip }, async () => {
    const port = await freePort();
    for (const protocol of ["mqtt", "mqtts", "ws"] as const) {
      for (const host of ["127.0.0.1", "localhost"]) {
        const { outcome } = withPermissions({ protocol, host, port }, `--allow-net=${host}:${port}`);
        assert.equal((outcome as Disconnection).code, "ECONNREFUSED", `${protocol} ${host} ${JSON.stringify(outcome)}`);
      }
    }
  });
});
