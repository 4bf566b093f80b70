/**
 * What the transport relies on below the documented surface of MQTT.js and of its codec. An update that breaks one of these is to fail here,
 * by name, before it fails anywhere else.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { describe, test } from "node:test";
import mqtt, { type IClientOptions, type MqttClient, type Packet } from "mqtt";
import { generate, parser, writeToStream } from "mqtt-packet";
import { within } from "../support/deadline.ts";
import { ScriptedBroker, type ScriptedPeer } from "../support/scripted_broker.ts";

/** As the transport has it. */
const OPTIONS: IClientOptions = {
  protocol: "mqtt",
  host: "127.0.0.1",
  protocolVersion: 5,
  clientId: "contract",
  clean: false,
  reconnectPeriod: 0,
  resubscribe: false,
  reschedulePings: false,
  queueQoSZero: false,
  timerVariant: "native",
  writeCache: false,
};

interface Opened {
  readonly client: MqttClient;
  readonly peer: ScriptedPeer;
  readonly received: Packet[];
  readonly errors: Error[];
}

async function open(options: IClientOptions, use: (opened: Opened) => Promise<void>): Promise<void> {
  const broker = await ScriptedBroker.start();
  const client = mqtt.connect({ ...OPTIONS, ...options, port: broker.port });
  const received: Packet[] = [];
  const errors: Error[] = [];
  client.on("packetreceive", (packet) => received.push(packet));
  client.on("error", (error) => errors.push(error));
  try {
    await use({ client, peer: await broker.accept(), received, errors });
  } finally {
    client.end(true);
    await broker.close();
  }
}

const once = <T>(client: MqttClient, event: string) =>
  within(new Promise<T>((resolve) => (client as unknown as NodeJS.EventEmitter).once(event, resolve)), `"${event}" from MQTT.js`);

async function online(options: IClientOptions, use: (opened: Opened) => Promise<void>): Promise<void> {
  await open(options, async (opened) => {
    const connected = once(opened.client, "connect");
    await opened.peer.acceptSession({ sessionPresent: true });
    await connected;
    await use(opened);
  });
}

describe("What is relied on in MQTT.js", () => {
  test("It is of the minor version that this was tested with, and so is its codec", () => {
    const require = createRequire(import.meta.url);
    const version = (name: string) => JSON.parse(readFileSync(require.resolve(`${name}/package.json`), "utf8")).version;
    assert.match(version("mqtt"), /^5\.16\./);
    assert.match(version("mqtt-packet"), /^9\.0\./);
  });

  test("After connect() there is a stream, nothing has been written to it, and CONNECT follows through _write or _writev", async () => {
    const broker = await ScriptedBroker.start();
    const client = mqtt.connect({ ...OPTIONS, port: broker.port });
    const stream = client.stream as unknown as Record<"_write" | "_writev", (...words: unknown[]) => void>;
    const calls: string[] = [];
    for (const name of ["_write", "_writev"] as const) {
      const method = stream[name];
      assert.equal(typeof method, "function");
      stream[name] = (...words) => {
        calls.push(name);
        return method.apply(stream, words);
      };
    }
    assert.deepEqual(calls, []);
    assert.ok(client.stream.writableLength > 0);
    const peer = await broker.accept();
    await peer.expect("connect");
    assert.ok(calls.length > 0);
    client.end(true);
    await broker.close();
  });

  test("Acknowledgements for ids that it does not know are heard, and not answered, not remembered, not an error", async () => {
    await online({}, async ({ client, peer, received, errors }) => {
      peer.send("40 02 0001", "50 02 0002", "70 02 0003", "50 03 0004 97", "70 03 0005 92", { cmd: "pingresp" });
      while (received.at(-1)?.cmd !== "pingresp") await once(client, "packetreceive");
      assert.deepEqual(received.slice(1).map(({ cmd, messageId }) => [cmd, messageId]), [
        ["puback", 1],
        ["pubrec", 2],
        ["pubcomp", 3],
        ["pubrec", 4],
        ["pubcomp", 5],
        ["pingresp", undefined],
      ]);
      client.stream.end(Buffer.from([0xe0, 0]));
      await peer.expectBytes("e0 00");
      assert.deepEqual(errors, []);
      assert.deepEqual((client as unknown as { outgoing: object }).outgoing, {});
    });
  });

  test("A packet heard says how long it was", async () => {
    await online({}, async ({ client, peer, received }) => {
      peer.send("50 02 0002", "50 04 0002 10 00", { cmd: "pingresp" });
      while (received.at(-1)?.cmd !== "pingresp") await once(client, "packetreceive");
      assert.deepEqual(received.slice(1, 3).map(({ length }) => length), [2, 4]);
    });
  });

  test("What is written to its stream leaves as it is, between its own packets, and is not sent again by the next connection", async () => {
    const bytes = generate({ cmd: "publish", topic: "t", payload: "x", qos: 2, messageId: 7, dup: false, retain: false }, {
      protocolVersion: 5,
    });
    const session = async (isFirst: boolean) => {
      await online({}, async ({ client, peer }) => {
        if (isFirst) {
          client.stream.write(bytes);
          await peer.expectBytes(bytes);
        }
        client.sendPing();
        await peer.expectBytes("c0 00");
      });
    };
    await session(true);
    await session(false);
  });

  test("With reconnectPeriod 0 it never connects again by itself, and end(true) closes at once without DISCONNECT", async () => {
    await online({}, async ({ client, peer }) => {
      const closed = once(client, "close");
      client.end(true);
      await closed;
      await peer.expectEnd();
      assert.equal(client.reconnecting, false);
    });
    await online({}, async ({ client, peer }) => {
      let reconnects = 0;
      client.on("reconnect", () => reconnects++);
      const closed = once(client, "close");
      peer.close();
      await closed;
      assert.deepEqual([client.reconnecting, reconnects], [false, 0]);
      assert.equal((client as unknown as { reconnectTimer: unknown }).reconnectTimer, null);
    });
  });

  test("It pings, says so by packetsend, and reschedulePing(true) puts that off", async () => {
    await online({ keepalive: 1 }, async ({ client, peer }) => {
      let pings = 0;
      client.on("packetsend", (packet) => packet.cmd === "pingreq" ? pings++ : 0);
      const startedMs = performance.now();
      const timer = setInterval(() => client.reschedulePing(true), 100);
      await new Promise((resolve) => setTimeout(resolve, 1_500));
      clearInterval(timer);
      assert.equal(pings, 0);
      await peer.expectBytes("c0 00");
      assert.equal(pings, 1);
      assert.ok(performance.now() - startedMs > 2_000);
    });
  });

  test("Its time-outs are named as the transport knows them", async () => {
    await open({ connectTimeout: 20 }, async ({ client }) => {
      assert.equal((await once<Error>(client, "error")).message, "connack timeout");
    });
    await online({ keepalive: 1 }, async ({ client }) => {
      assert.equal((await once<Error>(client, "error")).message, "Keepalive timeout");
    });
  });

  test("keepalive set while CONNACK is heard is in force from then on", async () => {
    await open({ keepalive: 0 }, async ({ client, peer }) => {
      client.on("packetreceive", (packet) => {
        if (packet.cmd === "connack") client.options.keepalive = 1;
      });
      await peer.acceptSession({ properties: { serverKeepAlive: 1 } });
      await peer.expectBytes("c0 00");
    });
  });

  test("CONNACK is heard before it is acted on, and a refusal is an error with its code", async () => {
    await open({}, async ({ client, peer, received }) => {
      const failed = once<Error & { code: number }>(client, "error");
      await peer.acceptSession({ reasonCode: 0x87 });
      assert.equal((await failed).code, 0x87);
      assert.equal(received[0]?.cmd, "connack");
    });
  });

  test("Bytes that are no MQTT are an error without a code, and do not throw", async () => {
    await open({}, async ({ client, peer }) => {
      const failed = once<Error & { code?: unknown }>(client, "error");
      peer.send(Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n"));
      assert.equal((await failed).code, undefined);
    });
  });

  test("A connection that is refused is an error with the system's code", async () => {
    const broker = await ScriptedBroker.start();
    await broker.close();
    const client = mqtt.connect({ ...OPTIONS, port: broker.port });
    assert.equal((await once<Error & { code?: unknown }>(client, "error")).code, "ECONNREFUSED");
    client.end(true);
  });
});

describe("What is relied on in its codec", () => {
  /** Takes the pieces as the transport's encoder does. */
  function pieces(packet: Packet, protocolVersion: 4 | 5): (string | Uint8Array)[] {
    const result: (string | Uint8Array)[] = [];
    const sink = { write: (piece: string | Uint8Array) => (result.push(piece), true), destroy: (error: Error) => assert.fail(error) };
    assert.equal(writeToStream(packet, sink as unknown as NodeJS.WritableStream, { protocolVersion }), true);
    return result;
  }

  test("It hands on a payload as the very object that it was given, whatever kind of bytes it is", () => {
    const payload = new Uint8Array(100_000);
    const written = pieces({ cmd: "publish", topic: "t", payload: payload as Buffer, qos: 1, messageId: 1, dup: true, retain: false }, 5);
    assert.equal(written.at(-1), payload);
  });

  test("Its pieces, put together, are what generate() makes", () => {
    for (const protocolVersion of [4, 5] as const) {
      for (
        const packet of [
          {
            cmd: "publish",
            topic: "ü/€",
            payload: Buffer.from("x"),
            qos: 2,
            messageId: 256,
            dup: false,
            retain: true,
            properties: { contentType: "c" },
          },
          { cmd: "pubrel", messageId: 65_279, reasonCode: 0 },
        ] satisfies Packet[]
      ) {
        const whole = Buffer.concat(pieces(packet, protocolVersion).map((piece) => Buffer.from(piece as string)));
        assert.equal(whole.toString("hex"), generate(packet, { protocolVersion }).toString("hex"));
      }
    }
  });

  test("It says destroy(error) when it cannot encode", () => {
    let error: Error | undefined;
    const sink = { write: () => true, destroy: (reason: Error) => error = reason };
    const packet = { cmd: "publish", topic: "t", payload: "", qos: 1, dup: false, retain: false } as const;
    writeToStream(packet, sink as unknown as NodeJS.WritableStream, { protocolVersion: 5 });
    assert.match(String(error), /messageId/);
  });

  test("Whatever a broker sends, its parser says packet or error, and never throws", () => {
    const samples = ([4, 5] as const).flatMap((protocolVersion) => {
      const packets: Packet[] = [
        { cmd: "connack", returnCode: 0, reasonCode: 0, sessionPresent: true, properties: { receiveMaximum: 20, reasonString: "r" } },
        { cmd: "puback", messageId: 3, reasonCode: 0x10, properties: { reasonString: "x", userProperties: { a: ["b", "c"] } } },
        { cmd: "pubrec", messageId: 3, reasonCode: 0 },
        { cmd: "publish", topic: "a/b", payload: "x", qos: 1, messageId: 9, dup: false, retain: false },
        { cmd: "disconnect", reasonCode: 0x8e },
        { cmd: "pingresp" },
      ];
      return packets.map((packet) =>
        generate(protocolVersion === 5 ? packet : { ...packet, properties: {} } as Packet, { protocolVersion })
      );
    });
    let seed = 1;
    const below = (limit: number) => (seed = (seed * 1_103_515_245 + 12_345) % 2_147_483_648) % limit;
    let packetCount = 0;
    let errorCount = 0;
    for (let round = 0; round < 20_000; round++) {
      const bytes = Buffer.concat([samples[below(samples.length)]!, samples[below(samples.length)]!]);
      for (let changes = below(5); changes > 0; changes--) bytes[below(bytes.length)] = [0, 1, 127, 128, 255, below(256)][below(6)]!;
      const packets = parser({ protocolVersion: 4 + below(2) }).on("packet", () => packetCount++).on("error", () => errorCount++);
      packets.parse(bytes.subarray(0, 1 + below(bytes.length)));
      packets.parse(bytes);
    }
    assert.ok(packetCount > 1000 && errorCount > 1000, `${packetCount} packets, ${errorCount} errors`);
  });
});
