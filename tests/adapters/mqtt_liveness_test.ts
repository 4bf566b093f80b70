/**
 * Whether the other side is still there, and how much of what was handed over has left: pings, slow links, dead peers, back-pressure.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { describe, test } from "node:test";
import { generate } from "mqtt-packet";
import type { QoS } from "../../lib/core/message.ts";
import type { PublishPacket } from "../../lib/core/ports.ts";
import { packet } from "../contracts/transport.ts";
import { within } from "../support/deadline.ts";
import type { ScriptedPeer } from "../support/scripted_broker.ts";
import { TransportLink } from "../support/transport_link.ts";

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** Reads past everything else. */
async function nextPing(peer: ScriptedPeer): Promise<void> {
  while ((await peer.next("PINGREQ")).packet.cmd !== "pingreq");
}

function bytes(count: number, seed = 1): Uint8Array {
  const result = new Uint8Array(count);
  for (let at = 0, x = seed; at < count; at++) result[at] = (x = (x * 1_103_515_245 + 12_345) & 0x7fff_ffff) >> 16;
  return result;
}

/** As the codec alone would have it. */
function encoded({ packetId, payload, properties, ...rest }: PublishPacket): Uint8Array {
  const fields = {
    ...rest,
    messageId: packetId,
    payload: Buffer.from(payload),
    ...(properties ? { properties: properties as object } : {}),
  };
  return generate({ cmd: "publish", ...fields }, { protocolVersion: 5 });
}

const sha256 = (data: Uint8Array) => createHash("sha256").update(data).digest("hex");

/** Sends something every 20 ms until it is stopped. */
function steadily(send: () => void): { stop(): void } {
  const timer = setInterval(send, 20);
  return { stop: () => clearInterval(timer) };
}

describe("Keep-alive", () => {
  test("A quiet connection is pinged, and lives as long as pings are answered", async () => {
    await using link = await TransportLink.create(5, { mqtt: { keepalive: 1 } });
    const { peer } = await link.online();
    for (let count = 0; count < 2; count++) {
      await peer.expectBytes("c0 00");
      peer.send({ cmd: "pingresp" });
    }
    await peer.expect("pingreq");
    assert.deepEqual(link.probe.types(), ["connected"]);
  });

  test("A silent broker is noticed", async () => {
    await using link = await TransportLink.create(4, { mqtt: { keepalive: 1 } });
    const { peer } = await link.online();
    await peer.expect("pingreq");
    const { during, by, reason } = await link.probe.next("disconnected");
    assert.deepEqual({ during, by }, { during: "online", by: "timeout" });
    assert.match(reason, /^nothing heard from the broker, nor an answer to a ping, in 1.5 s$/);
    await peer.expectEnd();
  });

  test("Traffic that is never answered does not keep pings away, nor a silent broker unnoticed", async () => {
    await using link = await TransportLink.create(5, { mqtt: { keepalive: 1 } });
    const { peer } = await link.online();
    const traffic = steadily(() => link.transport.publish([packet(0, 0)]));
    try {
      await nextPing(peer);
      peer.send({ cmd: "pingresp" });
      await nextPing(peer);
      assert.equal((await link.probe.next("disconnected")).by, "timeout");
    } finally {
      traffic.stop();
    }
  });

  test("What is heard takes the place of pings", async () => {
    await using link = await TransportLink.create(5, { mqtt: { keepalive: 2 } });
    const { peer } = await link.online();
    const traffic = steadily(() => peer.send("40 02 0001"));
    await sleep(3_000);
    traffic.stop();
    assert.deepEqual(peer.unread, [], "3 s without a ping");
    assert.deepEqual(link.probe.all("disconnected"), []);
    await peer.expect("pingreq");
  });

  test("The broker's own keep-alive is obeyed, also where none was asked for", async () => {
    for (const keepalive of [60, 0]) {
      await using link = await TransportLink.create(5, { mqtt: { keepalive } });
      const peer = await link.connect();
      assert.equal((await peer.acceptSession({ properties: { serverKeepAlive: 1 } })).keepalive, keepalive);
      assert.equal((await link.probe.next("connected")).keepAliveSeconds, 1);
      await peer.expect("pingreq");
    }
  });

  test("A message that takes longer than the keep-alive on its way out does not end the connection", async () => {
    await using link = await TransportLink.create(5, { mqtt: { keepalive: 2 } });
    const { peer } = await link.online();
    const payload = bytes(60_000_000);
    link.transport.publish([packet(1, 1, { payload })]);
    const startedMs = performance.now();
    const isStuck = () => link.transport.bufferedBytes() > 0 && link.probe.all("disconnected").length === 0;
    // 12 MB in a second, until the rest is in the hands of the operating system.
    while (isStuck()) {
      const readBefore = peer.receivedByteCount;
      peer.resume();
      while (peer.receivedByteCount === readBefore && isStuck()) await sleep(1);
      peer.pause();
      await sleep(Math.max(1, peer.receivedByteCount / 12_000 - (performance.now() - startedMs)));
    }
    peer.resume();
    assert.deepEqual(link.probe.all("disconnected"), []);
    assert.ok(performance.now() - startedMs > 3_000, "it took longer than the keep-alive's patience");
    const { packet: received } = await peer.next("PUBLISH");
    assert.ok(received.cmd === "publish" && sha256(received.payload as Uint8Array) === sha256(payload));
    peer.send({ cmd: "puback", messageId: 1, reasonCode: 0 });
    await link.probe.next("acknowledged");
  });

  test("A broker that stops reading in the midst of a large message is noticed", async () => {
    await using link = await TransportLink.create(5, { mqtt: { keepalive: 1 } });
    const { peer } = await link.online();
    peer.pause();
    link.transport.publish([packet(1, 1, { payload: bytes(30_000_000) })]);
    assert.equal((await link.probe.next("disconnected")).by, "timeout");
    assert.equal(link.transport.bufferedBytes(), 0);
  });
});

describe("Back-pressure", () => {
  test("Bytes are counted until the operating system has taken them, and progress grows with each of them", async () => {
    await using link = await TransportLink.create(5);
    const { transport, probe } = link;
    const { peer } = await link.online();
    peer.pause();
    const payload = bytes(10_000_000);
    const message = packet(1, 1, { payload, topic: "large" });
    const wholeBytes = encoded(message).length;
    const before = transport.progress();
    transport.publish([message]);
    // The system takes what it has room for, and then no more.
    let buffered = -1;
    while (buffered !== transport.bufferedBytes()) {
      buffered = transport.bufferedBytes();
      await sleep(200);
    }
    assert.ok(buffered > 0 && buffered < wholeBytes, `${buffered} of ${wholeBytes} bytes wait`);
    assert.equal(transport.progress() - before, wholeBytes - buffered);
    assert.deepEqual(probe.all("drained"), []);
    peer.resume();
    await probe.next("drained");
    assert.equal(transport.bufferedBytes(), 0);
    assert.equal(transport.progress() - before, wholeBytes);
    const { bytes: received } = await peer.next("PUBLISH");
    assert.equal(received.length, wholeBytes);
    assert.equal(sha256(received.subarray(-payload.length)), sha256(payload));
    const progress = transport.progress();
    peer.send({ cmd: "puback", messageId: 1, reasonCode: 0 });
    await probe.next("acknowledged");
    assert.equal(transport.progress(), progress + 1);
    assert.equal(probe.all("drained").length, 1);
  });

  test("What is handed over while the link is busy leaves in order, byte by byte", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    peer.pause();
    const sizes = [0, 1, 200, 65_000, 65_535, 65_536, 65_537, 130_000, 5_000_000, 3];
    const messages = Array.from({ length: 300 }, (_, index): PublishPacket => ({
      topic: `t/${"x".repeat(index)}/€`,
      payload: bytes(index < 200 ? index * 7 : sizes[index % sizes.length]!, index),
      qos: (index % 3) as QoS,
      retain: index % 5 === 0,
      dup: index % 3 > 0 && index % 7 === 0,
      packetId: index % 3 === 0 ? 0 : index,
      ...(index % 4 === 0 ? { properties: { contentType: `type ${index}`, userProperties: { a: ["1", "2"] } } } : {}),
    }));
    for (let at = 0; at < messages.length; at += 10) {
      link.transport.publish(messages.slice(at, at + 10));
      link.transport.release([at + 1]);
    }
    peer.resume();
    const check = async () => {
      for (const [index, message] of messages.entries()) {
        const { bytes: received } = await peer.next(`message ${index}`);
        assert.equal(sha256(received), sha256(encoded(message)), `message ${index}`);
        if (index % 10 === 9) await peer.expectBytes(Uint8Array.of(0x62, 2, (index - 8) >> 8, (index - 8) & 0xff));
      }
    };
    await within(check(), "300 messages");
  });

  test("disconnect() lets out what was handed over before, and then says DISCONNECT", async () => {
    await using link = await TransportLink.create(4);
    const { peer } = await link.online();
    const payload = bytes(8_000_000);
    link.transport.publish([packet(1, 1, { payload })]);
    link.transport.disconnect();
    const { packet: received } = await peer.next("PUBLISH");
    assert.ok(received.cmd === "publish" && sha256(received.payload as Uint8Array) === sha256(payload));
    peer.send({ cmd: "puback", messageId: 1 });
    await peer.expectBytes("e0 00");
    await link.probe.next("acknowledged");
    peer.close();
    assert.equal((await link.probe.next("disconnected")).by, "client");
  });

  test("disconnect() does not wait for ever for a broker that does not read", async () => {
    await using link = await TransportLink.create(4);
    const { peer } = await link.online();
    peer.pause();
    link.transport.publish([packet(1, 1, { payload: bytes(20_000_000) })]);
    link.transport.disconnect();
    assert.ok(link.transport.bufferedBytes() > 0);
    assert.deepEqual(await within(link.probe.next("disconnected"), "the end", 4_000), {
      during: "online",
      by: "client",
      reason: "disconnected",
    });
    assert.equal(link.transport.bufferedBytes(), 0);
  });

  test("disconnect() does not wait for ever for a broker that does not close", async () => {
    await using link = await TransportLink.create(5);
    const { peer } = await link.online();
    link.transport.disconnect();
    await peer.expectBytes("e0 00");
    assert.equal((await within(link.probe.next("disconnected"), "the end", 4_000)).by, "client");
  });
});
