/**
 * What every {@linkcode Transport} must do, against any broker that takes what it is given.
 *
 * @module
 */
import assert from "node:assert/strict";
import { randomUUID } from "node:crypto";
import { after, before, describe, test } from "node:test";
import type { ProtocolVersion, QoS } from "../../lib/core/message.ts";
import type { Broker, ConnectRequest, PublishPacket, Transport, TransportListener } from "../../lib/core/ports.ts";
import { TransportProbe } from "../support/transport_probe.ts";

/** A transport to be tested, and a broker for it. */
export interface TransportHarness {
  readonly protocolVersion: ProtocolVersion;
  /** Why this cannot be tested here. */
  readonly skip?: string | false;
  createTransport(clientId: string, listener: TransportListener): Transport;
  /** It takes everything, and keeps sessions until it is closed. */
  startBroker(): Promise<RunningBroker>;
  /** Where nothing listens. */
  freeAddress(): Promise<Broker>;
}

/** A broker in use. */
export interface RunningBroker {
  readonly address: Broker;
  close(): Promise<void>;
}

/** A message of a few bytes. */
export function packet(packetId: number, qos: QoS, more: Partial<PublishPacket> = {}): PublishPacket {
  return {
    topic: `contract/${packetId}`,
    payload: new TextEncoder().encode(`message ${packetId}`),
    qos,
    retain: false,
    packetId,
    dup: false,
    ...more,
  };
}

/** Runs the suite. */
export function testTransport(name: string, harness: TransportHarness): void {
  describe(`A transport keeps its contract: ${name}`, { skip: harness.skip ?? false }, () => {
    let broker: RunningBroker;
    before(async () => {
      broker = await harness.startBroker();
    });
    after(() => broker?.close());

    const create = (clientId = `contract-${randomUUID().slice(0, 8)}`) => {
      const probe = new TransportProbe();
      return { clientId, probe, transport: harness.createTransport(clientId, probe) };
    };
    const request = (more: Partial<ConnectRequest> = {}): ConnectRequest => ({
      broker: broker.address,
      protocolVersion: harness.protocolVersion,
      cleanStart: true,
      sessionExpirySeconds: 600,
      ...more,
    });
    /** Ends a connection in order, and has nothing more to hear of it. */
    const leave = async (transport: Transport, probe: TransportProbe) => {
      transport.disconnect();
      const { by, during } = await probe.next("disconnected");
      assert.deepEqual({ by, during }, { by: "client", during: "online" });
    };

    test("connect() is answered once, by what the broker allows", async () => {
      const { probe, transport } = create();
      transport.connect(request());
      assert.deepEqual(probe.types(), [], "no answer comes from within a call");
      const server = await probe.next("connected");
      assert.equal(server.sessionPresent, false);
      assert.equal(server.protocolVersion, harness.protocolVersion);
      assert.ok(server.receiveMaximum >= 1 && server.receiveMaximum <= 65_535);
      assert.ok(server.maximumPacketSize >= 1 && server.maximumPacketSize <= 268_435_460);
      assert.equal(server.maximumQoS, 2);
      assert.equal(server.retainAvailable, true);
      await leave(transport, probe);
      assert.deepEqual(probe.types(), ["connected", "disconnected"]);
    });

    test("A message of QoS 0 is written, and reported as drained", async () => {
      const { probe, transport } = create();
      transport.connect(request());
      await probe.next("connected");
      const progress = transport.progress();
      transport.publish([packet(0, 0)]);
      assert.deepEqual(probe.types(), ["connected"], "no answer comes from within a call");
      await probe.next("drained");
      assert.equal(transport.bufferedBytes(), 0);
      assert.ok(transport.progress() > progress);
      await leave(transport, probe);
      assert.deepEqual(probe.types(), ["connected", "drained", "disconnected"]);
    });

    test("A message of QoS 1 is acknowledged under its packet id", async () => {
      const { probe, transport } = create();
      transport.connect(request());
      await probe.next("connected");
      transport.publish([packet(4711, 1)]);
      assert.deepEqual(probe.types(), ["connected"], "no answer comes from within a call");
      assert.equal((await probe.next("acknowledged")).packetId, 4711);
      await leave(transport, probe);
    });

    test("A message of QoS 2 is received, released and completed under its packet id", async () => {
      const { probe, transport } = create();
      transport.connect(request());
      await probe.next("connected");
      transport.publish([packet(65_279, 2)]);
      assert.equal((await probe.next("received")).packetId, 65_279);
      assert.deepEqual(probe.all("completed"), [], "PUBREL is not sent before it is asked for");
      transport.release([65_279]);
      assert.equal((await probe.next("completed")).packetId, 65_279);
      await leave(transport, probe);
    });

    test("1,000 messages of QoS 2 in flight are each received and completed once", async () => {
      const { probe, transport } = create();
      transport.connect(request());
      const { receiveMaximum } = await probe.next("connected");
      assert.ok(receiveMaximum >= 1000, "the broker of this test takes as many");
      const ids = Array.from({ length: 1000 }, (_, index) => index + 1);
      probe.onReport = (type, value) => {
        // Released from within the report, as a core never does: calls must be lawful at any time.
        if (type === "received") transport.release([(value as { packetId: number }).packetId]);
      };
      for (let at = 0; at < ids.length; at += 100) transport.publish(ids.slice(at, at + 100).map((id) => packet(id, 2)));
      await probe.until("1,000 completed", () => probe.all("completed").length >= 1000);
      await leave(transport, probe);
      assert.deepEqual(probe.all("received").map(({ packetId }) => packetId), ids, "PUBRECs come in the order sent");
      assert.deepEqual(probe.all("completed").map(({ packetId }) => packetId).sort((a, b) => a - b), ids);
    });

    test("A session is there again when it is asked for, and unfinished exchanges go on in it", async () => {
      const first = create();
      first.transport.connect(request());
      await first.probe.next("connected");
      await leave(first.transport, first.probe);

      // On 3.1.1 a session that began clean ends with its connection, so it is begun with one that is not.
      const second = create(first.clientId);
      second.transport.connect(request({ cleanStart: false }));
      assert.equal((await second.probe.next("connected")).sessionPresent, harness.protocolVersion === 5);
      second.transport.publish([packet(1, 2), packet(2, 2)]);
      await second.probe.next("received");
      await second.probe.next("received");
      second.transport.abort();
      await second.probe.next("disconnected");

      second.transport.connect(request({ cleanStart: false }));
      assert.equal((await second.probe.next("connected")).sessionPresent, true);
      second.transport.release([1]);
      assert.equal((await second.probe.next("completed")).packetId, 1);
      second.transport.publish([packet(2, 2, { dup: true })]);
      assert.equal((await second.probe.next("received")).packetId, 2);
      second.transport.release([2]);
      assert.equal((await second.probe.next("completed")).packetId, 2);
      await leave(second.transport, second.probe);

      const third = create(first.clientId);
      third.transport.connect(request());
      assert.equal((await third.probe.next("connected")).sessionPresent, false, "a clean start discards it");
      await leave(third.transport, third.probe);
    });

    test("disconnect() is answered once, then there is silence until connect()", async () => {
      const { probe, transport } = create();
      transport.connect(request());
      await probe.next("connected");
      transport.publish([packet(1, 1)]);
      await probe.next("acknowledged");
      transport.disconnect();
      assert.equal(probe.all("disconnected").length, 0, "no answer comes from within a call");
      transport.disconnect();
      transport.publish([packet(2, 1)]);
      await probe.next("disconnected");
      const reports = probe.types();
      transport.publish([packet(3, 1)]);
      transport.release([3]);
      transport.disconnect();
      transport.abort();
      assert.equal(transport.bufferedBytes(), 0);
      transport.connect(request());
      await probe.next("connected");
      transport.publish([packet(4, 1)]);
      assert.equal((await probe.next("acknowledged")).packetId, 4, "what was published while there was no connection is gone");
      await leave(transport, probe);
      assert.deepEqual(probe.types().slice(reports.length).filter((type) => type !== "drained"), [
        "connected",
        "acknowledged",
        "disconnected",
      ]);
    });

    test("abort() ends a connection at any time, with one answer that does not come from within", async () => {
      const { probe, transport } = create();
      transport.connect(request());
      transport.abort();
      transport.abort();
      assert.deepEqual(probe.types(), []);
      assert.equal((await probe.next("disconnected")).by, "client");
      transport.connect(request());
      await probe.next("connected");
      transport.publish([packet(1, 1)]);
      transport.abort();
      transport.disconnect();
      assert.equal(probe.all("disconnected").length, 1);
      const { by, during } = await probe.next("disconnected");
      assert.deepEqual({ by, during }, { by: "client", during: "online" });
      transport.connect(request());
      await probe.next("connected");
      await leave(transport, probe);
      assert.deepEqual(probe.types().filter((type) => type !== "drained"), [
        "disconnected",
        "connected",
        "disconnected",
        "connected",
        "disconnected",
      ]);
    });

    test("Where nothing listens, the connection is refused, again and again, and then succeeds", async () => {
      const { probe, transport } = create();
      const nowhere = await harness.freeAddress();
      for (let attempt = 0; attempt < 3; attempt++) {
        transport.connect(request({ broker: nowhere }));
        const { during, by, reason, code } = await probe.next("disconnected");
        assert.deepEqual({ during, by, reason, code }, {
          during: "connecting",
          by: "network",
          reason: "connection refused",
          code: "ECONNREFUSED",
        });
      }
      transport.connect(request());
      await probe.next("connected");
      await leave(transport, probe);
    });

    test("When the broker goes, the connection ends, once", async () => {
      const other = await harness.startBroker();
      const { probe, transport } = create();
      transport.connect(request({ broker: other.address }));
      await probe.next("connected");
      await other.close();
      const { during, by } = await probe.next("disconnected");
      assert.deepEqual({ during, by }, { during: "online", by: "broker" });
      transport.connect(request());
      await probe.next("connected");
      await leave(transport, probe);
      assert.deepEqual(probe.types(), ["connected", "disconnected", "connected", "disconnected"]);
    });
  });
}
