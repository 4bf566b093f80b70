/**
 * What leaves the wire, byte by byte, and what the transport makes of each answer. The other end is a script.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import type { IConnackPacket } from "mqtt-packet";
import { AssertionError } from "../../lib/core/assert.ts";
import type { ProtocolVersion } from "../../lib/core/message.ts";
import type { PublishPacket } from "../../lib/core/ports.ts";
import { packet } from "../contracts/transport.ts";
import type { Outgoing } from "../support/scripted_broker.ts";
import { TransportLink } from "../support/transport_link.ts";

const VERSIONS = [4, 5] as const;
const named = (version: ProtocolVersion) => version === 5 ? "MQTT 5" : "MQTT 3.1.1";
const hex = (text: string) => Buffer.from(text).toString("hex");

function publication(more: Partial<PublishPacket>): PublishPacket {
  return { topic: "a/b", payload: Uint8Array.of(1, 2, 3), qos: 0, retain: false, packetId: 0, dup: false, ...more };
}

describe("What leaves the wire", () => {
  test("CONNECT of 3.1.1 asks for the session, names the client and the keep-alive, and nothing else", async () => {
    await using link = await TransportLink.create(4);
    const peer = await link.connect();
    await peer.expectBytes(`10 12 0004 ${hex("MQTT")} 04 00 003c 0006 ${hex("device")}`);
  });

  test("CONNECT of 3.1.1 discards the session when it is to begin anew", async () => {
    await using link = await TransportLink.create(4);
    const peer = await link.connect({ cleanStart: true });
    await peer.expectBytes(`10 12 0004 ${hex("MQTT")} 04 02 003c 0006 ${hex("device")}`);
  });

  test("CONNECT of MQTT 5 carries Clean Start and the Session Expiry Interval", async () => {
    await using link = await TransportLink.create(5);
    const peer = await link.connect({ sessionExpirySeconds: 2_592_000 });
    await peer.expectBytes(`10 18 0004 ${hex("MQTT")} 05 00 003c 05 11 00278d00 0006 ${hex("device")}`);
    link.transport.abort();
    await link.probe.next("disconnected");
    const next = await link.connect({ cleanStart: true, sessionExpirySeconds: 1 });
    await next.expectBytes(`10 18 0004 ${hex("MQTT")} 05 02 003c 05 11 00000001 0006 ${hex("device")}`);
  });

  test("CONNECT carries credentials, keep-alive and will", async () => {
    const will = { topic: "w", payload: new TextEncoder().encode("gone"), qos: 1, retain: true };
    await using link = await TransportLink.create(4, { mqtt: { keepalive: 7, will } });
    const peer = await link.connect({ credentials: { username: "user", password: "secret" } });
    const body = `0004 ${hex("MQTT")} 04 ec 0007 0006 ${hex("device")} 0001 ${hex("w")} 0004 ${hex("gone")} 0004 ${hex("user")} 0006 ${
      hex("secret")
    }`;
    await peer.expectBytes(`10 29 ${body}`);
  });

  test("PUBLISH of 3.1.1 carries QoS, RETAIN, DUP and packet id, and leaves MQTT 5 properties out", async () => {
    await using link = await TransportLink.create(4);
    const { peer } = await link.online();
    link.transport.publish([
      publication({}),
      publication({ qos: 1, packetId: 1 }),
      publication({ qos: 2, packetId: 65_279, retain: true }),
      publication({ qos: 1, packetId: 256, dup: true, properties: { contentType: "text/plain" } }),
      publication({ qos: 2, packetId: 2, dup: true, retain: true, payload: new Uint8Array(0) }),
      publication({ retain: true, topic: "ö/€/😀" }),
    ]);
    await peer.expectBytes(
      `30 08 0003 ${hex("a/b")} 010203`,
      `32 0a 0003 ${hex("a/b")} 0001 010203`,
      `35 0a 0003 ${hex("a/b")} feff 010203`,
      `3a 0a 0003 ${hex("a/b")} 0100 010203`,
      `3d 07 0003 ${hex("a/b")} 0002`,
      `31 10 000b ${hex("ö/€/😀")} 010203`,
    );
  });

  test("PUBLISH of MQTT 5 carries its properties", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    link.transport.publish([
      publication({ qos: 1, packetId: 3 }),
      publication({ properties: { payloadFormatIndicator: true, messageExpiryInterval: 65_536, contentType: "t" } }),
      publication({ properties: { payloadFormatIndicator: false, responseTopic: "r", correlationData: Uint8Array.of(9, 0) } }),
      publication({ properties: { correlationData: new Uint8Array(0), contentType: "" } }),
    ]);
    await peer.expectBytes(
      `32 0b 0003 ${hex("a/b")} 0003 00 010203`,
      `30 14 0003 ${hex("a/b")} 0b 01 01 02 00010000 03 0001 74 010203`,
      `30 14 0003 ${hex("a/b")} 0b 01 00 08 0001 72 09 0002 0900 010203`,
      `30 0f 0003 ${hex("a/b")} 06 03 0000 09 0000 010203`,
    );
  });

  test("User properties are sent in their order, from own keys only, whatever their names", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    const userProperties = Object.assign(Object.create({ inherited: "no" }), { b: ["2", "1"], a: "x", none: [], "": "", length: "9" });
    Object.defineProperty(userProperties, "__proto__", { value: "p", enumerable: true });
    link.transport.publish([
      publication({ properties: { userProperties } }),
      publication({ properties: { userProperties: {} } }),
      publication({ properties: { userProperties: { none: [] } } }),
    ]);
    const pair = (name: string, value: string) => {
      const text = (part: string) => `${part.length.toString(16).padStart(4, "0")} ${hex(part)}`;
      return `26 ${text(name)} ${text(value)}`;
    };
    const pairs = [pair("b", "2"), pair("b", "1"), pair("a", "x"), pair("", ""), pair("length", "9"), pair("__proto__", "p")].join("");
    const size = Buffer.from(pairs.replaceAll(" ", ""), "hex").length;
    await peer.expectBytes(
      `30 ${(size + 9).toString(16)} 0003 ${hex("a/b")} ${size.toString(16)} ${pairs} 010203`,
      `30 09 0003 ${hex("a/b")} 00 010203`,
      `30 09 0003 ${hex("a/b")} 00 010203`,
    );
  });

  test("Long topics are sent whole, wherever they stand among others", async () => {
    await using link = await TransportLink.create(4);
    const { peer } = await link.online();
    const messages = Array.from({ length: 60 }, (_, index) => {
      const topic = ["x", "é", "€", "😀"][index % 4]!.repeat(Math.floor(65_535 / 4) - index * 200);
      return publication({ topic, payload: new Uint8Array(index * 997).fill(index) });
    });
    link.transport.publish(messages);
    for (const { topic, payload } of messages) {
      const received = await peer.expect("publish");
      assert.ok(received.topic === topic && Buffer.from(payload).equals(received.payload as Buffer), `${topic.length} characters`);
    }
  });

  for (const version of VERSIONS) {
    test(`PUBREL and DISCONNECT are the same on both versions: ${named(version)}`, async () => {
      await using link = await TransportLink.create(version);
      const { peer } = await link.online();
      link.transport.release([1, 65_279, 256]);
      link.transport.release([]);
      link.transport.publish([]);
      link.transport.disconnect();
      await peer.expectBytes("62 02 0001", "62 02 feff", "62 02 0100", "e0 00");
      await peer.expectEnd();
      peer.close();
      assert.deepEqual(await link.probe.next("disconnected"), { during: "online", by: "client", reason: "disconnected" });
    });

    test(`abort() sends no DISCONNECT: ${named(version)}`, async () => {
      await using link = await TransportLink.create(version);
      const { peer } = await link.online();
      link.transport.abort();
      await peer.expectEnd();
    });

    test(`Before CONNACK nothing but CONNECT is sent, whatever is asked for: ${named(version)}`, async () => {
      await using link = await TransportLink.create(version);
      const peer = await link.connect();
      await peer.expect("connect");
      link.transport.publish([packet(1, 1)]);
      link.transport.release([1]);
      assert.equal(link.transport.bufferedBytes(), 0);
      link.transport.disconnect();
      assert.deepEqual(await link.probe.next("disconnected"), { during: "handshake", by: "client", reason: "disconnected" });
      await peer.expectEnd();
    });
  }

  test("What a packet cannot be made of ends the connection, and nothing of it leaves", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    link.transport.publish([packet(1, 1), publication({ topic: "x".repeat(70_000) })]);
    const { during, by, reason } = await link.probe.next("disconnected");
    assert.deepEqual({ during, by }, { during: "online", by: "client" });
    assert.match(reason, /^cannot encode a packet: /);
    await peer.expectEnd();
  });
});

describe("What CONNACK says", () => {
  test("Where it says nothing, the defaults of MQTT hold", async () => {
    for (const version of VERSIONS) {
      await using link = await TransportLink.create(version);
      const { server } = await link.online({ sessionExpirySeconds: 77 });
      assert.deepEqual(server, {
        sessionPresent: false,
        protocolVersion: version,
        receiveMaximum: 65_535,
        maximumQoS: 2,
        retainAvailable: true,
        maximumPacketSize: 268_435_460,
        keepAliveSeconds: 60,
        sessionExpirySeconds: version === 5 ? 77 : Infinity,
      });
    }
  });

  test("The broker's limits are passed on", async () => {
    await using link = await TransportLink.create(5);
    const peer = await link.connect();
    const properties: NonNullable<IConnackPacket["properties"]> = {
      receiveMaximum: 20,
      maximumQoS: 1,
      retainAvailable: false,
      maximumPacketSize: 1024,
      serverKeepAlive: 30,
      sessionExpiryInterval: 0,
    };
    await peer.acceptSession({ sessionPresent: true, properties });
    assert.deepEqual(await link.probe.next("connected"), {
      sessionPresent: true,
      protocolVersion: 5,
      receiveMaximum: 20,
      maximumQoS: 1,
      retainAvailable: false,
      maximumPacketSize: 1024,
      keepAliveSeconds: 30,
      sessionExpirySeconds: 0,
    });
  });

  test("The greatest Session Expiry Interval means that the session never ends", async () => {
    await using link = await TransportLink.create(5);
    const peer = await link.connect();
    await peer.acceptSession({ properties: { sessionExpiryInterval: 0xffff_ffff } });
    assert.equal((await link.probe.next("connected")).sessionExpirySeconds, Infinity);
  });

  const refusals: readonly (readonly [ProtocolVersion, number, RegExp])[] = [
    [4, 1, /does not speak this version/],
    [4, 2, /client id/],
    [4, 3, /unavailable/],
    [4, 4, /bad user name or password/],
    [4, 5, /not authorized/],
    [4, 77, /code 77/],
    [5, 1, /does not speak this version/],
    [5, 0x80, /unspecified/],
    [5, 0x84, /does not speak this version/],
    [5, 0x85, /client id/],
    [5, 0x86, /bad user name or password/],
    [5, 0x87, /not authorized/],
    [5, 0x88, /unavailable/],
    [5, 0x89, /busy/],
    [5, 0x8a, /banned/],
    [5, 0x95, /too large/],
    [5, 0x97, /quota/],
    [5, 0x9c, /use another server/],
    [5, 0x9d, /moved/],
    [5, 0x9f, /too often/],
    [5, 0xee, /code 238/],
  ];
  for (const [version, code, words] of refusals) {
    test(`A refusal is told in words: ${named(version)}, code ${code}`, async () => {
      await using link = await TransportLink.create(version);
      const peer = await link.connect({ credentials: { username: "user", password: "secret" } });
      await peer.acceptSession({ returnCode: code, reasonCode: code });
      const { reason, ...rest } = await link.probe.next("disconnected");
      assert.deepEqual(rest, { during: "handshake", by: "broker", connackCode: code });
      assert.match(reason, /^refused by the broker: /);
      assert.match(reason, words);
      await peer.expectEnd();
    });
  }

  test("A broker of 3.1.1 alone that answers MQTT 5 in its own form, and closes, has refused the version", async () => {
    await using link = await TransportLink.create(5);
    const peer = await link.connect();
    await peer.expect("connect");
    peer.send("20 02 00 01");
    peer.endWriting();
    assert.equal((await link.probe.next("disconnected")).connackCode, 1);
  });

  test("A broker that closes at once instead of answering has ended it", async () => {
    for (const version of VERSIONS) {
      for (const how of ["close", "endWriting", "reset"] as const) {
        await using link = await TransportLink.create(version);
        const peer = await link.connect();
        await peer.expect("connect");
        peer[how]();
        const { during, by, connackCode } = await link.probe.next("disconnected");
        assert.deepEqual({ during, by, connackCode }, { during: "handshake", by: "broker", connackCode: undefined }, how);
      }
    }
  });

  test("The broker's own words are passed on, on one line and of bounded length", async () => {
    await using link = await TransportLink.create(5);
    const peer = await link.connect();
    await peer.acceptSession({ reasonCode: 0x87, properties: { reasonString: `no\nway ${"x".repeat(1000)}` } });
    const { reason } = await link.probe.next("disconnected");
    assert.match(reason, /^refused by the broker: not authorized \(no way x+\)$/);
    assert.ok(reason.length < 400);
  });

  test("A broker that repeats the password does not make us show it", async () => {
    await using link = await TransportLink.create(5);
    const peer = await link.connect({ credentials: { username: "user", password: "secret" } });
    await peer.acceptSession({ reasonCode: 0x86, properties: { reasonString: "user may not come in with secret" } });
    const { reason } = await link.probe.next("disconnected");
    assert.equal(reason, "refused by the broker: bad user name or password (*** may not come in with ***)");
  });

  test("A broker that says nothing at all is given up", async () => {
    await using link = await TransportLink.create(5, { connectTimeoutMs: 50 });
    const peer = await link.connect();
    await peer.expect("connect");
    assert.deepEqual(await link.probe.next("disconnected"), {
      during: "handshake",
      by: "timeout",
      reason: "no answer to CONNECT within 50 ms",
    });
    await peer.expectEnd();
  });
});

describe("What the broker says later", () => {
  test("Acknowledgements are passed on as they come, with their reason codes, whatever ids they name", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    peer.send(
      "40 02 0001", // the shortest form
      "40 03 0002 10",
      "40 04 0003 87 00",
      { cmd: "pubrec", messageId: 4, reasonCode: 0x97, properties: { reasonString: "later", userProperties: { a: ["b", "c"] } } },
      "50 02 ffff",
      "70 02 0005",
      "70 03 0006 92",
    );
    await link.probe.until("the last one", () => link.probe.all("completed").length === 2);
    assert.deepEqual(link.probe.reports.slice(1), [
      { type: "acknowledged", value: { packetId: 1, reasonCode: 0 } },
      { type: "acknowledged", value: { packetId: 2, reasonCode: 0x10 } },
      { type: "acknowledged", value: { packetId: 3, reasonCode: 0x87 } },
      { type: "received", value: { packetId: 4, reasonCode: 0x97 } },
      { type: "received", value: { packetId: 65_535, reasonCode: 0 } },
      { type: "completed", value: { packetId: 5, reasonCode: 0 } },
      { type: "completed", value: { packetId: 6, reasonCode: 0x92 } },
    ]);
    link.transport.disconnect();
    // Nothing was answered on its own account: no PUBREL, no PUBCOMP.
    await peer.expectBytes("e0 00");
  });

  test("On 3.1.1 every acknowledgement is a success", async () => {
    await using link = await TransportLink.create(4);
    const { peer } = await link.online();
    peer.send("40 02 0001", "50 02 0002", "70 02 0003");
    assert.deepEqual(await link.probe.next("acknowledged"), { packetId: 1, reasonCode: 0 });
    assert.deepEqual(await link.probe.next("received"), { packetId: 2, reasonCode: 0 });
    assert.deepEqual(await link.probe.next("completed"), { packetId: 3, reasonCode: 0 });
  });

  test("Acknowledgements in pieces, and many in one piece, are heard alike", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    const ids = Array.from({ length: 500 }, (_, index) => index + 1);
    const bytes = Buffer.concat(ids.map((id) => Buffer.from([0x50, 2, id >> 8, id & 0xff])));
    peer.send(bytes.subarray(0, 1001));
    await link.probe.until("250 received", () => link.probe.all("received").length === 250);
    peer.send(bytes.subarray(1001));
    await link.probe.until("500 received", () => link.probe.all("received").length === 500);
    assert.deepEqual(link.probe.all("received").map(({ packetId }) => packetId), ids);
  });

  const goodbyes: readonly (readonly [number, RegExp])[] = [
    [0x00, /normal/],
    [0x81, /malformed/],
    [0x82, /protocol error/],
    [0x89, /busy/],
    [0x8b, /shutting down/],
    [0x8d, /keep-alive/],
    [0x8e, /taken over/],
    [0x93, /in flight/],
    [0x95, /too large/],
    [0x97, /quota/],
    [0x98, /administrator/],
    [0x99, /payload format/],
    [0x9a, /retained/],
    [0x9b, /QoS/],
    [0x9c, /use another server/],
  ];
  for (const [code, words] of goodbyes) {
    test(`DISCONNECT is told in words: code ${code}`, async () => {
      await using link = await TransportLink.create(5);
      const { peer } = await link.online();
      peer.send({ cmd: "disconnect", reasonCode: code });
      const { reason, ...rest } = await link.probe.next("disconnected");
      assert.deepEqual(rest, { during: "online", by: "broker", disconnectCode: code });
      assert.match(reason, /^broker disconnected: /);
      assert.match(reason, words);
      await peer.expectEnd();
    });
  }

  for (const how of ["close", "endWriting", "reset"] as const) {
    test(`What the broker said just before is heard first, 500 acknowledgements and why it ends: ${how}()`, async () => {
      await using link = await TransportLink.create(5);
      const { peer } = await link.online();
      const acks = Array.from({ length: 500 }, (_, index): Outgoing => ({ cmd: "puback", messageId: index + 1, reasonCode: 0 }));
      peer.send(...acks, { cmd: "disconnect", reasonCode: 0x8e });
      peer[how]();
      assert.equal((await link.probe.next("disconnected")).disconnectCode, 0x8e);
      assert.equal(link.probe.all("acknowledged").length, 500);
      assert.equal(link.probe.types().at(-1), "disconnected");
    });
  }

  test("500 acknowledgements and then a mere close are heard too", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    peer.send(...Array.from({ length: 500 }, (_, index): Outgoing => ({ cmd: "puback", messageId: index + 1, reasonCode: 0 })));
    peer.endWriting();
    assert.deepEqual(await link.probe.next("disconnected"), { during: "online", by: "broker", reason: "broker closed the connection" });
    assert.equal(link.probe.all("acknowledged").length, 500);
  });

  test("A broker that will say no more has ended the connection, although it would still read", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    peer.pause();
    link.transport.publish([packet(1, 1, { payload: new Uint8Array(20_000_000) })]);
    peer.endWriting();
    assert.deepEqual(await link.probe.next("disconnected"), { during: "online", by: "broker", reason: "broker closed the connection" });
    assert.equal(link.transport.bufferedBytes(), 0);
  });

  test("A reset is the broker's doing, and has its code", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    peer.reset();
    assert.deepEqual(await link.probe.next("disconnected"), {
      during: "online",
      by: "broker",
      reason: "connection reset by the broker",
      code: "ECONNRESET",
    });
  });

  test("A PUBLISH that an earlier program subscribed to in this session disturbs nothing", async () => {
    for (const version of VERSIONS) {
      await using link = await TransportLink.create(version);
      const peer = await link.connect();
      await peer.acceptSession({ sessionPresent: true });
      const stray = { cmd: "publish", topic: "t", payload: "x", dup: false, retain: false } as const;
      peer.send({ ...stray, qos: 0 }, { ...stray, qos: 1, messageId: 1 }, { ...stray, qos: 2, messageId: 2 });
      await link.probe.next("connected");
      // MQTT.js answers, so that the broker does not send them for ever.
      assert.equal((await peer.expect("puback")).messageId, 1);
      assert.equal((await peer.expect("pubrec")).messageId, 2);
      peer.send({ cmd: "pubrel", messageId: 2 });
      assert.equal((await peer.expect("pubcomp")).messageId, 2);
      link.transport.publish([packet(1, 1)]);
      assert.equal((await peer.expect("publish")).messageId, 1);
      peer.send({ cmd: "puback", messageId: 1, reasonCode: 0 });
      assert.equal((await link.probe.next("acknowledged")).packetId, 1);
    }
  });

  test("To connect while there is a connection is our own mistake, and does not disturb it", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    assert.throws(() => link.transport.connect(link.request()), AssertionError);
    peer.send("40 02 0001");
    await link.probe.next("acknowledged");
  });

  test("What remains of a connection reaches nobody", async () => {
    await using link = await TransportLink.create(5);
    const { peer: first } = await link.online();
    link.transport.abort();
    await link.probe.next("disconnected");
    const { peer: second } = await link.online();
    first.send("40 02 0001");
    first.reset();
    second.send("40 02 0002");
    await link.probe.next("acknowledged");
    await first.closed;
    second.send("40 02 0003");
    await link.probe.next("acknowledged");
    assert.deepEqual(link.probe.all("acknowledged").map(({ packetId }) => packetId), [2, 3]);
    assert.deepEqual(link.probe.types(), ["connected", "disconnected", "connected", "acknowledged", "acknowledged"]);
  });
});

describe("What MQTT forbids the broker ends the connection", () => {
  const inAnswerToConnect: readonly (readonly [name: string, ProtocolVersion, Outgoing])[] = [
    ["a web server", 5, Buffer.from("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["an SSH server", 4, Buffer.from("SSH-2.0-OpenSSH_9.2\r\n")],
    ["a mail server", 5, Buffer.from("220 mail.example ESMTP ready, at your service, whoever you may be\r\n")],
    ["a TLS server's alert", 5, "15 03 01 00 02 02 0a"],
    ["zeros", 4, "00 00 00 00 00 00"],
    ["a packet that is no answer", 5, "d0 00"],
    ["an acknowledgement", 4, "40 02 0001"],
    ["CONNACK without a code", 4, "20 00"],
    ["CONNACK without a code, 5", 5, "20 00"],
    ["CONNACK with reserved flags", 5, "20 03 02 00 00"],
    ["Receive Maximum 0", 5, "20 06 00 00 03 21 0000"],
    ["Receive Maximum twice", 5, "20 09 00 00 06 21 0001 21 0002"],
    ["Maximum QoS 3", 5, "20 05 00 00 02 24 03"],
    ["Maximum Packet Size 0", 5, "20 08 00 00 05 27 00000000"],
    ["an unknown property", 5, "20 05 00 00 02 ff 01"],
    ["a length without end", 5, "20 ff ff ff ff ff"],
  ];
  for (const [name, version, bytes] of inAnswerToConnect) {
    test(`In answer to CONNECT: ${name}`, async () => {
      await using link = await TransportLink.create(version);
      const peer = await link.connect({ credentials: { username: "user", password: "secret" } });
      await peer.expect("connect");
      peer.send(bytes);
      const { during, by, reason } = await link.probe.next("disconnected");
      assert.deepEqual({ during, by }, { during: "handshake", by: "protocol" }, reason);
      assert.doesNotMatch(reason, /user|secret/);
      await peer.expectEnd();
      assert.deepEqual(link.probe.types(), ["disconnected"]);
    });
  }

  test("A session that is present although a clean start was asked for", async () => {
    for (const version of VERSIONS) {
      await using link = await TransportLink.create(version);
      const peer = await link.connect({ cleanStart: true });
      await peer.acceptSession({ sessionPresent: true });
      assert.equal((await link.probe.next("disconnected")).by, "protocol");
    }
  });

  const whileOnline: readonly (readonly [name: string, ProtocolVersion, string])[] = [
    ["a second CONNACK", 5, "20 03 00 00 00"],
    ["DISCONNECT on 3.1.1", 4, "e0 00"],
    ["DISCONNECT with an unknown code", 5, "e0 01 7f"],
    ["CONNECT", 5, `10 13 0004 ${hex("MQTT")} 05 00 003c 00 0006 ${hex("device")}`],
    ["SUBSCRIBE", 4, "82 06 0001 0001 61 00"],
    ["PINGREQ", 4, "c0 00"],
    ["PUBACK without an id, followed by more", 4, "40 00 40 02 0001"],
    ["PUBACK with half an id", 5, "40 01 00"],
    ["PUBREC that is too long on 3.1.1", 4, "50 03 0001 00"],
    ["PUBCOMP for id 0", 5, "70 02 0000"],
    ["PUBACK with a code that it cannot have", 5, "40 03 0001 92"],
    ["PUBACK with flags", 5, "41 02 0001"],
    ["PUBLISH at QoS 3", 4, "36 05 0001 61 0001"],
    ["PUBLISH with an alias that was not allowed", 5, "30 07 0001 61 03 23 0001"],
    ["AUTH that was not asked for", 5, "f0 02 18 00"],
    ["a reserved type", 4, "00 00"],
    ["text", 4, hex("hello there, this is not MQTT")],
  ];
  for (const [name, version, bytes] of whileOnline) {
    test(`While online: ${name}`, async () => {
      await using link = await TransportLink.create(version);
      const { peer } = await link.online();
      peer.send(bytes);
      const { during, by, reason } = await link.probe.next("disconnected");
      assert.deepEqual({ during, by }, { during: "online", by: "protocol" }, reason);
      assert.match(reason, /^the broker broke the protocol: /);
      await peer.expectEnd();
      assert.deepEqual(link.probe.types(), ["connected", "disconnected"]);
    });
  }
});
