import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { ModelBroker } from "../simulation/model_broker.ts";
import { brokerAddress, World } from "../simulation/world.ts";

/** Every id once, in order. */
function assertExactly(delivered: readonly number[], ids: readonly number[]): void {
  assert.deepEqual([...delivered], [...ids]);
}

function assertSane(world: World): void {
  assert.deepEqual(world.watch.violations, []);
}

describe("Publisher, storing", () => {
  it("stores and reports what it accepts before there is any connection", () => {
    const world = new World();
    const ids = world.publish(100);
    assert.equal(world.stored.size, 0, "nothing happens in reaction");
    world.run(0);
    assert.deepEqual([...world.stored], ids);
    assert.equal(world.reports.length, 1, "one report a tick");
    assert.equal(world.status.ledger.pending, 100);
  });

  it("goes on with the next id after a restart", () => {
    const world = new World();
    world.publish(5);
    world.run(0);
    world.crash();
    assert.deepEqual(world.publish(2), [6, 7]);
  });

  it("answers requests that come again after they were stored, and stores nothing twice", () => {
    const world = new World();
    const ids = world.publish(3);
    world.run(0);
    world.stored.clear();
    world.publisher.accept(ids.map((id) => [{ id, topic: "t", payload: new Uint8Array(1), qos: 2, retain: false }]));
    world.run(0);
    assert.deepEqual([...world.stored], ids);
    assert.equal(world.status.ledger.accepted, 3);
  });

  it("refuses with a full disk, says so, and takes messages again when there is room", () => {
    const world = new World();
    world.disk.fault = () => "full";
    const [refused] = world.publish(1);
    world.run(0);
    const failure = world.refused.get(refused!)!;
    assert.equal(failure.name, "CacheFullError");
    assert.equal(failure.isStored, false);
    assert.match(world.status.storeError ?? "", /full/);
    world.disk.fault = () => "none";
    world.run(20_000);
    const [stored] = world.publish(1);
    world.run(0);
    assert.ok(world.stored.has(stored!));
    assert.equal(world.status.storeError, undefined);
    world.publisher.watch([refused!]);
    world.run(0);
    assert.equal(world.reports.at(-1)!.fates[0]!.fate, "refused");
  });

  it("says that the outcome of a failed commit is unknown, reads the disk anew and delivers what it kept", () => {
    const world = new World();
    world.connect();
    world.run(1_000);
    world.disk.fault = () => "failed-kept";
    const [id] = world.publish(1);
    world.run(0);
    assert.equal(world.refused.get(id!)!.isStored, "unknown");
    world.disk.fault = () => "none";
    world.settle();
    assertExactly(world.broker().delivered, [id!]);
    assertSane(world);
  });

  it("writes many arrivals in commits of bounded size and keeps their order", () => {
    const world = new World();
    world.connect();
    const ids = world.publish(5_000);
    world.run(0);
    assert.equal(world.stored.size, 5_000);
    world.settle();
    assertExactly(world.broker().delivered, ids);
    assertSane(world);
  });

  it("keeps a group whole: it is stored by one commit", () => {
    const world = new World();
    let commits = 0;
    world.disk.onCommitted = (batch) => void (commits += (batch.append ?? []).length > 0 ? 1 : 0);
    const group = Array.from({ length: 2_500 }, (_, index) => ({
      id: index + 1,
      topic: "t",
      payload: new TextEncoder().encode(String(index + 1)),
      qos: 1 as const,
      retain: false,
    }));
    world.publisher.accept([group]);
    world.run(0);
    assert.equal(commits, 1);
    assert.equal(world.stored.size, 2_500);
  });
});

describe("Publisher, sending", () => {
  for (const version of [4, 5] as const) {
    for (const qos of [0, 1, 2] as const) {
      it(`delivers QoS ${qos} once and in order, version ${version}`, () => {
        const world = new World({ protocolVersion: version });
        const ids = world.publish(300, { qos });
        world.connect();
        world.settle();
        assertExactly(world.broker().delivered, ids);
        assert.deepEqual([...world.delivered], ids);
        assert.equal(world.status.lastDeliveredId, 300);
        assert.equal(world.status.ledger.pending, 0);
        assertSane(world);
      });
    }
  }

  it("removes a QoS 0 message on disk before it is written", () => {
    const world = new World();
    world.connect();
    world.run(1_000);
    world.publish(1, { qos: 0 });
    world.run(0); // stored and handed over in this tick
    world.crash();
    world.connect();
    world.settle();
    assert.ok(world.broker().delivered.length <= 1);
    assert.equal(world.status.ledger.pending, 0);
  });

  it("never has more than Receive Maximum in flight, also when it shrinks at a reconnect", () => {
    const world = new World();
    world.broker().options.receiveMaximum = 10;
    world.line.latencyMs = 50;
    world.publish(200);
    world.connect();
    world.run(400);
    assert.equal(world.status.inFlightMax, 10);
    world.broker().options.receiveMaximum = 3;
    world.transport.cut();
    world.settle();
    assert.equal(world.broker().delivered.length, 200);
    assertSane(world);
  });

  it("keeps at most 20 of QoS 2 in flight on 3.1.1 unless told otherwise", () => {
    for (const [inFlightMax, expected] of [["auto", 20], [100, 100]] as const) {
      const world = new World({ protocolVersion: 4, inFlightMax });
      world.line.latencyMs = 1_000;
      world.publish(200);
      world.connect();
      let most = 0;
      for (let step = 0; step < 20; step++) {
        world.run(500);
        most = Math.max(most, world.status.inFlightCount);
      }
      assert.equal(most, expected);
    }
  });

  it("cycles through packet ids beyond 65,535 messages without using one twice at a time", () => {
    const world = new World({ inFlightMax: 500 });
    world.broker().options.receiveMaximum = 500;
    world.connect();
    for (let round = 0; round < 140; round++) {
      world.publish(500, { qos: 1 });
      world.run(100);
    }
    world.settle();
    assert.equal(world.broker().delivered.length, 70_000);
    assert.ok(world.broker().seen.every(({ packet }) => packet.packetId >= 1 && packet.packetId <= 65_279));
    assertSane(world);
  });
});

describe("Publisher, resuming", () => {
  it("repeats with DUP, the same packet id and in order what a cut left unanswered, then goes on", () => {
    const world = new World({ inFlightMax: 5 });
    world.connect();
    world.run(1_000);
    world.line.latencyMs = 100;
    const ids = world.publish(8, { qos: 1 });
    world.run(150); // at the broker; the answers are on their way back
    world.transport.cut();
    world.run(20_000);
    const seen = world.broker().seen.map(({ id, packet }) => [id, packet.packetId, packet.dup]);
    assert.deepEqual(seen.slice(0, 10), [
      ...[1, 2, 3, 4, 5].map((id) => [id, id, false]),
      ...[1, 2, 3, 4, 5].map((id) => [id, id, true]),
    ]);
    assert.deepEqual([...world.delivered], ids);
    assertSane(world);
  });

  it("does not resend on a live connection, however long the broker is silent", () => {
    const world = new World({ ackTimeoutMs: 3_600_000 });
    world.connect();
    world.run(1_000);
    world.line.isBlackhole = true;
    world.publish(3);
    world.run(3_000_000);
    assert.equal(world.status.connection.state, "online");
    assertSane(world);
  });

  it("replaces a connection on which nothing is answered for ackTimeoutMs", () => {
    const world = new World();
    world.connect();
    world.run(1_000);
    world.line.isBlackhole = true;
    const ids = world.publish(3);
    world.run(29_999);
    assert.equal(world.eventsOf("disconnect").length, 0);
    world.run(2);
    assert.match(world.eventsOf("disconnect")[0]!.reason, /no progress for 30000 ms/);
    world.line.isBlackhole = false;
    world.settle();
    assertExactly(world.broker().delivered, ids);
  });

  it("goes on with PUBREL after a crash between PUBREC and PUBREL: exactly once", () => {
    for (const deliversAt of ["publish", "release"] as const) {
      for (let crashAfterMs = 0; crashAfterMs < 60; crashAfterMs++) {
        const world = new World();
        world.setBroker(new ModelBroker({ deliversAt }));
        world.connect();
        world.run(1_000);
        world.line.latencyMs = 10;
        const ids = world.publish(30);
        world.run(crashAfterMs);
        world.cutPower();
        world.connect();
        world.settle();
        assertExactly(world.broker().delivered, ids);
        assertSane(world);
      }
    }
  });

  it("takes 0x91 on a repeat for a sign that the broker has the message", () => {
    const world = new World({ protocolVersion: 5 });
    world.setBroker(new ModelBroker({ answersInUse: true }));
    world.connect();
    world.run(1_000);
    world.line.latencyMs = 10;
    const ids = world.publish(10);
    world.run(15);
    world.transport.cut();
    world.settle();
    assertExactly(world.broker().delivered, ids);
    assertSane(world);
  });

  it("gives a message another packet id when the broker says on first sending that it is in use, and discards that session next time", () => {
    const world = new World({ protocolVersion: 5 });
    let isFirst = true;
    world.setBroker(new ModelBroker({ judge: (id) => id === 2 && isFirst ? (isFirst = false, 0x91) : 0 }));
    world.connect();
    world.run(1_000);
    const ids = world.publish(3);
    world.run(5_000);
    assert.deepEqual([...world.broker().delivered].sort(), ids);
    const sendings = world.broker().seen.filter(({ id }) => id === 2);
    assert.equal(sendings.length, 2);
    assert.notEqual(sendings[0]!.packet.packetId, sendings[1]!.packet.packetId);
    assert.equal(sendings[1]!.packet.dup, false);
    world.transport.cut();
    world.run(10_000);
    assert.equal(world.eventsOf("connect").at(-1)!.server.sessionPresent, false, "it was discarded");
    assertSane(world);
  });
});

describe("Publisher, when the session is lost", () => {
  it("sends everything unfinished again as new, in the order it was sent, before anything else, and says so", () => {
    for (const version of [4, 5] as const) {
      const world = new World({ protocolVersion: version, inFlightMax: 5 });
      world.connect();
      world.run(1_000);
      world.line.latencyMs = 10;
      const ids = world.publish(12);
      world.run(25); // PUBRECs are there, PUBRELs on their way
      world.transport.cut();
      world.broker().loseSessions();
      world.settle();
      const [lost] = world.eventsOf("sessionlost");
      assert.equal(lost!.requeuedCount, 5);
      assert.equal(lost!.duplicatesPossibleCount, 5);
      assert.deepEqual([...new Set(world.broker().delivered)], ids);
      const again = world.broker().seen.slice(5, 10);
      assert.deepEqual(again.map(({ id, packet }) => [id, packet.dup]), [1, 2, 3, 4, 5].map((id) => [id, false]));
      assert.ok(again.every(({ packet }) => packet.packetId > 5), "packet ids go on");
      assertSane(world);
    }
  });

  it("frees all packet ids in one commit before any PUBLISH of the new session", () => {
    const world = new World();
    world.connect();
    world.run(1_000);
    world.line.latencyMs = 10;
    world.publish(5);
    world.run(15);
    const batches: { freed: boolean | undefined; sent: number }[] = [];
    world.disk.onCommitted = (batch) => void batches.push({ freed: batch.freePacketIds, sent: (batch.sent ?? []).length });
    world.transport.cut();
    world.broker().loseSessions();
    world.settle();
    const first = batches.findIndex(({ sent }) => sent > 0);
    assert.ok(batches.slice(0, first + 1).some(({ freed }) => freed === true));
  });

  it("discards a session that is not its own: a new cache under an old client id loses nothing to old packet ids", () => {
    for (const version of [4, 5] as const) {
      const world = new World({ protocolVersion: version });
      world.connect();
      world.run(1_000);
      world.line.latencyMs = 10;
      world.publish(20);
      world.run(15); // the broker holds packet ids 1 to 20
      world.transport.cut();
      world.transport.kill();
      world.disk = new World().disk;
      world.boot();
      const held = world.broker().delivered.length;
      const ids = world.publish(20);
      world.connect();
      world.settle();
      assert.deepEqual(world.broker().delivered.slice(held), ids);
    }
  });

  it("goes from broker A to B and back: discarded at each, nothing lost", () => {
    const world = new World();
    world.connect("a");
    world.run(1_000);
    world.line.latencyMs = 10;
    const ids = world.publish(30);
    world.run(25);
    world.connect("b");
    world.run(105);
    world.connect("a");
    world.settle();
    const everywhere = new Set([...world.broker("a").delivered, ...world.broker("b").delivered]);
    assert.deepEqual([...everywhere].sort((x, y) => x - y), ids);
    assert.ok(world.eventsOf("sessionlost").length >= 2);
  });

  it("keeps its session among brokers of one sessionGroup", () => {
    const world = new World({ sessionGroup: "cluster" });
    const shared = world.broker("a");
    world.setBroker(shared, "b");
    world.connect("a");
    world.run(1_000);
    world.line.latencyMs = 10;
    const ids = world.publish(30);
    world.run(25);
    world.connect("b");
    world.settle();
    assertExactly(shared.delivered, ids);
    assert.equal(world.eventsOf("sessionlost").length, 0);
  });
});

describe("Publisher, when the broker refuses", () => {
  it("quarantines what can never be taken and lets the others pass", () => {
    for (const code of [0x90, 0x99]) {
      const world = new World({ protocolVersion: 5 });
      world.setBroker(new ModelBroker({ judge: (id) => id === 3 ? code : 0 }));
      world.connect();
      world.publish(6);
      world.settle();
      assertExactly(world.broker().delivered, [1, 2, 4, 5, 6]);
      const [event] = world.eventsOf("quarantined");
      assert.deepEqual(event!.ids, [3]);
      assert.equal(event!.reasonCode, code);
      assert.equal(world.publisher.quarantined(0, 10)[0]!.id, 3);
      assertSane(world);
    }
  });

  it("quarantines a denied message only because others pass", () => {
    const world = new World({ protocolVersion: 5 });
    world.setBroker(new ModelBroker({ judge: (id) => id % 10 === 0 ? 0x87 : 0 }));
    world.connect();
    world.publish(50);
    world.settle();
    assert.deepEqual(world.eventsOf("quarantined").flatMap(({ ids }) => ids).sort((a, b) => a - b).slice(0, 4), [10, 20, 30, 40]);
    assert.equal(world.broker().delivered.length, 45);
  });

  it("does not quarantine a backlog for one mistake in an access list", () => {
    const world = new World({ protocolVersion: 5 });
    let isDenied = true;
    world.setBroker(new ModelBroker({ judge: () => isDenied ? 0x87 : 0 }));
    world.connect();
    const ids = world.publish(1_000);
    world.run(6 * 3_600_000);
    assert.equal(world.eventsOf("quarantined").length, 0);
    assert.ok(world.broker().seen.length < 1_000, `no flood: ${world.broker().seen.length} tries in six hours`);
    assert.match(world.status.waitingFor ?? "", /permission/);
    isDenied = false;
    world.settle();
    assert.deepEqual([...world.broker().delivered].sort((a, b) => a - b), ids);
    assert.equal(world.eventsOf("quarantined").length, 0);
    assertSane(world);
  });

  it("tries a transient refusal again after a while, ten times, then quarantines", () => {
    const world = new World({ protocolVersion: 5 });
    world.setBroker(new ModelBroker({ judge: (id) => id === 1 ? 0x83 : 0 }));
    world.connect();
    world.publish(3);
    world.settle();
    assert.equal(world.broker().seen.filter(({ id }) => id === 1).length, 10);
    assert.equal(world.publisher.quarantined(0, 10)[0]!.attempts, 10);
    assert.deepEqual([...world.broker().delivered].sort(), [2, 3]);
    assertSane(world);
  });

  it("never counts 0x97 as an attempt, and sends nothing new until the retry is due", () => {
    const world = new World({ protocolVersion: 5, inFlightMax: 1 });
    let refusals = 0;
    world.setBroker(new ModelBroker({ judge: (id) => id === 1 && refusals++ < 30 ? 0x97 : 0 }));
    world.connect();
    world.publish(2);
    world.run(500);
    assert.equal(world.broker().seen.length, 1);
    assert.match(world.status.waitingFor ?? "", /asked for time/);
    world.settle();
    assert.deepEqual([...world.broker().delivered].sort(), [1, 2]);
    assert.equal(world.eventsOf("quarantined").length, 0);
  });

  it("takes 0x10, no matching subscribers, for delivered", () => {
    const world = new World({ protocolVersion: 5 });
    world.setBroker(new ModelBroker({ judge: () => 0x10 }));
    world.connect();
    const ids = world.publish(5);
    world.settle();
    assert.deepEqual([...world.delivered], ids);
  });

  it("sends a retry as a new PUBLISH: new packet id, no DUP", () => {
    const world = new World({ protocolVersion: 5 });
    let isFirst = true;
    world.setBroker(new ModelBroker({ judge: () => isFirst ? (isFirst = false, 0x80) : 0 }));
    world.connect();
    world.publish(1);
    world.settle();
    const [first, second] = world.broker().seen;
    assert.notEqual(first!.packet.packetId, second!.packet.packetId);
    assert.equal(second!.packet.dup, false);
  });

  it("quarantines before sending what is larger than the broker takes", () => {
    const world = new World({ protocolVersion: 5 });
    world.setBroker(new ModelBroker({ maximumPacketSize: 100 }));
    world.connect();
    world.publish(1, { payload: new Uint8Array(1_000) });
    const [good] = world.publish(1);
    world.settle();
    assertExactly(world.broker().delivered, [good!]);
    assert.match(world.publisher.quarantined(0, 1)[0]!.reason, /at most 100 bytes/);
    assert.equal(world.broker().seen.length, 1);
  });

  it("discards the session first when the broker lowers its Maximum QoS below what is in flight", () => {
    const world = new World({ protocolVersion: 5 });
    world.connect();
    world.run(1_000);
    world.line.latencyMs = 10;
    const ids = world.publish(10);
    world.run(15);
    world.broker().options.maximumQoS = 1;
    world.transport.cut();
    world.settle();
    assert.deepEqual([...new Set(world.broker().delivered)].sort((a, b) => a - b), ids);
    assert.ok(world.status.downgradedCount > 0);
    assertSane(world);
  });
});

describe("Publisher, waiting and operating", () => {
  it("reports a flush when everything accepted before it has its fate, with counts", () => {
    const world = new World({ protocolVersion: 5 });
    world.setBroker(new ModelBroker({ judge: (id) => id === 2 ? 0x90 : 0 }));
    const ids = world.publish(3);
    world.publisher.flush(9, ids.at(-1)!);
    world.run(10_000);
    assert.ok(world.reports.every(({ flushed }) => flushed.length === 0), "nothing is delivered yet");
    world.publish(1);
    world.connect();
    world.settle();
    const [flushed] = world.reports.flatMap((report) => report.flushed);
    assert.equal(flushed!.flushId, 9);
    assert.deepEqual(flushed!.counts, { delivered: 2, quarantined: 1, dropped: 0, expired: 0, purged: 0, damaged: 0 });
  });

  it("reports a flush of nothing at once", () => {
    const world = new World();
    world.publisher.flush(1, 0);
    world.run(0);
    assert.equal(world.reports.at(-1)!.flushed[0]!.flushId, 1);
  });

  it("reports the fate of a watched id, also from before a restart, and never says delivered by default", () => {
    const world = new World();
    world.connect();
    const [id] = world.publish(1);
    world.settle();
    world.crash();
    world.publisher.watch([id!, 999]);
    world.run(0);
    assert.deepEqual(world.reports.at(-1)!.fates.map(({ id, fate }) => [id, fate]), [[id, "delivered"], [999, "unissued"]]);
  });

  it("requeues and purges what is quarantined", () => {
    const world = new World({ protocolVersion: 5 });
    let isStrict = true;
    world.setBroker(new ModelBroker({ judge: () => isStrict ? 0x90 : 0 }));
    world.connect();
    world.publish(3);
    world.run(5_000);
    isStrict = false;
    assert.deepEqual(world.publisher.requeue([2, 77]), [2]);
    assert.deepEqual(world.publisher.purge([1]), [1]);
    world.settle();
    assertExactly(world.broker().delivered, [2]);
    const { purged, quarantined, delivered, pending } = world.status.ledger;
    assert.deepEqual({ purged, quarantined, delivered, pending }, { purged: 1, quarantined: 1, delivered: 1, pending: 0 });
  });

  it("lets a message expire by known time only", () => {
    const world = new World();
    world.publish(1, { properties: { messageExpiryInterval: 60 } });
    world.publish(1);
    world.run(1_000);
    world.clock.setEpochMs(4_102_444_800_000); // a jump of decades
    world.connect();
    world.run(1_000);
    assert.equal(world.broker().delivered.length, 2, "the jump expires nothing");
    world.publisher.disconnect();
    world.run(1_000);
    world.publish(1, { properties: { messageExpiryInterval: 60 } });
    world.run(61_000);
    world.connect();
    world.settle();
    assert.equal(world.status.ledger.expired, 1);
  });

  it("stops: stores what was accepted, disconnects, and leaves the session at the broker", () => {
    const world = new World();
    world.connect();
    world.run(1_000);
    world.publish(100);
    world.publisher.stop(0);
    world.run(10_000);
    assert.ok(world.isStopped);
    assert.equal(world.stored.size, 100);
    assert.ok(world.broker().hasSession("device"));
    world.boot();
    world.connect();
    world.settle();
    assert.equal(world.broker().delivered.length, 100);
    assertSane(world);
  });

  it("drains before it stops, if asked, and not for longer than asked", () => {
    const world = new World();
    world.connect();
    world.publish(100);
    world.publisher.stop(60_000);
    world.run(60_000);
    assert.ok(world.isStopped);
    assert.equal(world.broker().delivered.length, 100);

    const offline = new World();
    offline.publish(1);
    offline.publisher.stop(500);
    offline.run(499);
    assert.ok(!offline.isStopped);
    offline.run(2);
    assert.ok(offline.isStopped);
  });

  it("goes offline on disconnect() and goes on storing, until connect()", () => {
    const world = new World();
    world.connect();
    world.run(1_000);
    world.publisher.disconnect();
    const ids = world.publish(10);
    world.run(3_600_000);
    assert.equal(world.status.connection.state, "idle");
    assert.equal(world.broker().seen.length, 0);
    world.connect();
    world.settle();
    assertExactly(world.broker().delivered, ids);
  });

  it("sleeps when there is nothing to do", () => {
    const world = new World();
    world.connect();
    world.publish(10);
    world.settle();
    assert.equal(world.publisher.wakeAtMs(), Infinity);
  });
});

describe("Publisher, connecting", () => {
  it("falls back to 3.1.1 when the broker refuses 5, and remembers that in the cache", () => {
    const world = new World();
    world.setBroker(new ModelBroker({ speaks: [4] }));
    world.connect();
    world.run(1_000);
    assert.equal(world.eventsOf("connect")[0]!.server.protocolVersion, 4);
    assert.equal(world.eventsOf("disconnect").length, 0, "no failure worth telling");
    world.crash();
    world.events.length = 0;
    world.broker().options.refusesBy = "close"; // would now show
    world.connect();
    world.run(1_000);
    assert.equal(world.eventsOf("connect").length, 1);
    assert.equal(world.eventsOf("disconnect").length, 0);
  });

  it("falls back after three closes following CONNECT, and not after fewer", () => {
    const world = new World();
    world.setBroker(new ModelBroker({ speaks: [4], refusesBy: "close" }));
    world.connect();
    world.run(60_000);
    assert.equal(world.eventsOf("disconnect").length, 3);
    assert.equal(world.eventsOf("connect")[0]!.server.protocolVersion, 4);
  });

  it("does not fall back because of closes from where 5 was spoken before, unless they go on and on, and then does not keep it", () => {
    const world = new World();
    world.connect();
    world.run(1_000);
    world.broker().options.speaks = [];
    world.broker().options.refusesBy = "close";
    world.transport.cut();
    world.run(10 * 60_000);
    const closes = world.eventsOf("disconnect").length;
    assert.ok(closes > 5 && closes < 30, `${closes} closes`);
    world.broker().options.speaks = [4, 5];
    world.run(60_000);
    assert.equal(world.eventsOf("connect").at(-1)!.server.protocolVersion, 5);
    world.broker().options.speaks = [4];
    world.transport.cut();
    world.run(2 * 3_600_000);
    assert.equal(world.eventsOf("connect").at(-1)!.server.protocolVersion, 4);
    world.broker().options.speaks = [4, 5];
    world.transport.cut();
    world.run(60_000);
    assert.equal(world.eventsOf("connect").at(-1)!.server.protocolVersion, 5);
  });

  it("tries 5 again after a day", () => {
    const world = new World();
    world.setBroker(new ModelBroker({ speaks: [4] }));
    world.connect();
    world.run(1_000);
    world.broker().options.speaks = [4, 5];
    world.run(25 * 3_600_000);
    world.transport.cut();
    world.run(60_000);
    assert.equal(world.eventsOf("connect").at(-1)!.server.protocolVersion, 5);
    world.crash();
    world.connect();
    world.run(1_000);
    assert.equal(world.eventsOf("connect").at(-1)!.server.protocolVersion, 5, "and keeps to it");
  });

  it("respects a fixed version", () => {
    const world = new World({ protocolVersion: 5 });
    world.setBroker(new ModelBroker({ speaks: [4] }));
    world.connect();
    world.run(3_600_000);
    assert.equal(world.eventsOf("connect").length, 0);
  });

  it("does not flood a broker that refuses the login", () => {
    const world = new World();
    let tries = 0;
    world.setBroker(new ModelBroker({ admits: () => (tries++, 0x86) }));
    world.connect();
    world.run(3_600_000);
    assert.ok(tries >= 3 && tries <= 15, `${tries} tries in an hour`);
    assert.ok(world.eventsOf("disconnect").every(({ isLoginRefused }) => isLoginRefused));
  });

  it("asks for credentials before every connect, and backs off when there are none", () => {
    const world = new World({ asksCredentials: true });
    const users: (string | undefined)[] = [];
    world.setBroker(new ModelBroker({ admits: (_version, username) => (users.push(username), 0) }));
    world.publisher.connect(brokerAddress("broker"));
    world.run(0);
    assert.equal(world.credentialsWantedCount, 1);
    world.publisher.provideCredentials(undefined, { name: "Error", message: "token server is down" });
    world.run(0);
    assert.match(world.eventsOf("disconnect")[0]!.reason, /token server is down/);
    world.run(60_000);
    assert.equal(world.credentialsWantedCount, 2 + world.eventsOf("disconnect").length - 1);
    world.publisher.provideCredentials({ username: "meter" });
    world.run(1_000);
    assert.equal(users.at(-1), "meter");
    assert.equal(world.status.connection.state, "online");
    world.transport.cut();
    world.run(5_000);
    assert.ok(world.credentialsWantedCount >= 3);
  });

  it("loses nothing while the line is down for a day", () => {
    const world = new World();
    world.line.isDown = true;
    world.connect();
    const ids = world.publish(100);
    world.run(24 * 3_600_000);
    world.line.isDown = false;
    world.settle();
    assertExactly(world.broker().delivered, ids);
  });
});
