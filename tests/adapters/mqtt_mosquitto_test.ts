/**
 * Against the real broker: that it takes what is sent as it was meant, counted by an independent subscriber, and what it says when it does not.
 *
 * @module
 */
import assert from "node:assert/strict";
import { createHash, randomUUID } from "node:crypto";
import { describe, test } from "node:test";
import { createMqttTransport } from "../../lib/adapters/mqtt_transport.ts";
import type { ProtocolVersion } from "../../lib/core/message.ts";
import type { ConnectRequest, PublishPacket, Transport } from "../../lib/core/ports.ts";
import { packet } from "../contracts/transport.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { type Arrival, Subscriber } from "../support/subscriber.ts";
import { TransportProbe } from "../support/transport_probe.ts";

const WITHOUT_LIMITS = "max_inflight_messages 0\nmax_queued_messages 0\n";

function device(broker: Mosquitto, protocolVersion: ProtocolVersion, clientId = `device-${randomUUID().slice(0, 8)}`) {
  const probe = new TransportProbe();
  const transport = createMqttTransport({ clientId }, probe);
  const connect = async (more: Partial<ConnectRequest> = {}) => {
    transport.connect({
      broker: { protocol: "mqtt", host: "127.0.0.1", port: broker.port },
      protocolVersion,
      cleanStart: false,
      sessionExpirySeconds: 600,
      ...more,
    });
    return await probe.next("connected");
  };
  return { probe, transport, connect };
}

async function leave(transport: Transport, probe: TransportProbe): Promise<void> {
  transport.disconnect();
  assert.equal((await probe.next("disconnected")).by, "client");
}

for (const version of [4, 5] as const) {
  describe(`With mosquitto on MQTT ${version === 5 ? "5" : "3.1.1"}`, { skip: mosquittoMissing() }, () => {
    test("1,000 messages of QoS 2 in flight at once arrive once each, in order", async () => {
      const broker = await Mosquitto.start({ config: WITHOUT_LIMITS, isPersistent: false });
      const arrivals: Arrival[] = [];
      const subscriber = await Subscriber.start({ port: broker.port, onMessage: (arrival) => arrivals.push(arrival) });
      const { probe, transport, connect } = device(broker, version);
      await connect();
      const ids = Array.from({ length: 1000 }, (_, index) => index + 1);
      transport.publish(ids.map((id) => packet(id, 2)));
      await probe.until("1,000 received", () => probe.all("received").length === 1000);
      transport.release(probe.all("received").map(({ packetId }) => packetId));
      await probe.until("1,000 completed", () => probe.all("completed").length === 1000);
      await leave(transport, probe);
      await subscriber.fence();
      assert.deepEqual(arrivals.map(({ topic }) => topic), ids.map((id) => `contract/${id}`));
      await subscriber.stop();
      await broker.close();
    });

    test("What was in flight when the broker was stopped arrives exactly once after it is back", async () => {
      const broker = await Mosquitto.start();
      const arrivals: Arrival[] = [];
      const subscriber = await Subscriber.start({ port: broker.port, onMessage: (arrival) => arrivals.push(arrival) });
      const { probe, transport, connect } = device(broker, version);
      await connect();
      // 1 to 5 are received, 6 to 10 are received and released, 11 to 20 are perhaps received.
      const ids = Array.from({ length: 20 }, (_, index) => index + 1);
      transport.publish(ids.slice(0, 10).map((id) => packet(id, 2)));
      await probe.until("10 received", () => probe.all("received").length === 10);
      transport.release([6, 7, 8, 9, 10]);
      transport.publish(ids.slice(10).map((id) => packet(id, 2)));
      await broker.stop();
      assert.equal((await probe.next("disconnected")).during, "online");
      const received = new Set(probe.all("received").map(({ packetId }) => packetId));
      const completed = new Set(probe.all("completed").map(({ packetId }) => packetId));

      await broker.restart();
      assert.equal((await connect()).sessionPresent, true);
      transport.release(ids.filter((id) => received.has(id) && !completed.has(id)));
      transport.publish(ids.filter((id) => !received.has(id)).map((id) => packet(id, 2, { dup: true })));
      probe.onReport = (type, value) => {
        if (type === "received") transport.release([(value as { packetId: number }).packetId]);
      };
      await probe.until("all completed", () => new Set(probe.all("completed").map(({ packetId }) => packetId)).size === ids.length);
      await leave(transport, probe);
      await subscriber.subscribed();
      await subscriber.fence();
      const topics = arrivals.map(({ topic }) => topic).sort();
      assert.deepEqual(topics, ids.map((id) => `contract/${id}`).sort());
      await subscriber.stop();
      await broker.close();
    });

    test("A payload of 10 MB arrives as it was", async () => {
      const broker = await Mosquitto.start({ isPersistent: false });
      const arrivals: Arrival[] = [];
      const subscriber = await Subscriber.start({ port: broker.port, onMessage: (arrival) => arrivals.push(arrival) });
      const { probe, transport, connect } = device(broker, version);
      await connect();
      const payload = Uint8Array.from({ length: 10_000_000 }, (_, index) => (index * 31) >> 3);
      transport.publish([packet(1, 1, { payload })]);
      await probe.next("acknowledged");
      assert.equal(transport.bufferedBytes(), 0);
      await leave(transport, probe);
      await subscriber.fence();
      const digest = (bytes: Uint8Array) => createHash("sha256").update(bytes).digest("hex");
      assert.deepEqual(arrivals.map((each) => digest(each.payload)), [digest(payload)]);
      await subscriber.stop();
      await broker.close();
    });

    test("A second connection with the same client id takes over, and the first ends", async () => {
      const broker = await Mosquitto.start({ isPersistent: false });
      const first = device(broker, version, "same");
      await first.connect();
      const second = device(broker, version, "same");
      await second.connect();
      // Not every mosquitto says why.
      const { during, by } = await first.probe.next("disconnected");
      assert.deepEqual({ during, by }, { during: "online", by: "broker" });
      await leave(second.transport, second.probe);
      await broker.close();
    });

    test("A login that is refused is told in words, without the password", async () => {
      const broker = await Mosquitto.start({ config: "allow_anonymous false\n", isPersistent: false });
      const { probe, transport } = device(broker, version);
      transport.connect({
        broker: { protocol: "mqtt", host: "127.0.0.1", port: broker.port },
        protocolVersion: version,
        cleanStart: true,
        sessionExpirySeconds: 0,
        credentials: { username: "nobody", password: "let me in" },
      });
      const cause = await probe.next("disconnected");
      assert.deepEqual(cause, {
        during: "handshake",
        by: "broker",
        reason: "refused by the broker: not authorized",
        connackCode: version === 5 ? 0x87 : 5,
      });
      await broker.close();
    });
  });
}

describe("With mosquitto on MQTT 5", { skip: mosquittoMissing() }, () => {
  test("Its limits are heard, and what goes beyond them ends the connection with its reason", async () => {
    const broker = await Mosquitto.start({ config: "max_packet_size 1000\nmax_keepalive 30\n", isPersistent: false });
    const { probe, transport, connect } = device(broker, 5);
    const server = await connect();
    assert.deepEqual([server.receiveMaximum, server.maximumPacketSize, server.keepAliveSeconds], [20, 1000, 30]);
    transport.publish([packet(1, 1, { payload: new Uint8Array(2000) })]);
    const { during, by, disconnectCode } = await probe.next("disconnected");
    assert.deepEqual({ during, by, disconnectCode }, { during: "online", by: "broker", disconnectCode: 0x95 });
    await broker.close();
  });

  test("Properties arrive as they were sent", async () => {
    const broker = await Mosquitto.start({ isPersistent: false });
    const arrivals: Arrival[] = [];
    const subscriber = await Subscriber.start({ port: broker.port, protocolVersion: 5, onMessage: (arrival) => arrivals.push(arrival) });
    const { probe, transport, connect } = device(broker, 5);
    await connect();
    const properties: PublishPacket["properties"] = {
      payloadFormatIndicator: true,
      contentType: "text/plain",
      responseTopic: "answers/€",
      correlationData: Uint8Array.of(0, 255, 1),
      userProperties: { unit: "°C", many: ["one", "two"] },
    };
    transport.publish([packet(1, 1, { properties })]);
    await probe.next("acknowledged");
    await leave(transport, probe);
    await subscriber.fence();
    const { correlationData, userProperties, ...rest } = arrivals[0]!.properties;
    assert.deepEqual(rest, { payloadFormatIndicator: true, contentType: "text/plain", responseTopic: "answers/€" });
    assert.deepEqual([...correlationData!], [0, 255, 1]);
    assert.deepEqual({ ...userProperties }, properties.userProperties);
    await subscriber.stop();
    await broker.close();
  });
});
