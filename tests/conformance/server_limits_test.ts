/**
 * What the broker says in CONNACK that it does not take: it is not sent, and not lost.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { type Letter, says, text } from "./bytes.ts";
import { Device } from "./device.ts";
import { scenarios } from "./scenario.ts";

const { only } = scenarios();

/** What a letter weighs on the wire. */
const byteCount = ({ wire }: Device, letter: Letter) => wire.publish(letter, 1).length / 2;

/** Both halves of QoS 2, and the end of it. */
async function complete({ line, wire }: Device, packetId: number): Promise<void> {
  line.send(wire.pubrec(packetId));
  await line.expect(wire.pubrel(packetId));
  line.send(wire.pubcomp(packetId));
}

/** The status says why nothing is sent. */
async function waitingFor({ client }: Device, pattern: RegExp): Promise<void> {
  while (client.getStatus().waitingFor === undefined) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.match(client.getStatus().waitingFor!, pattern);
}

describe("Maximum Packet Size", () => {
  test(
    "[MQTT-3.2.2-15] what is one byte too large is quarantined and never sent, whatever makes it large; what just fits is sent; the others pass",
    only(5, async (device) => {
      const { wire } = device;
      const fitting: Letter = { qos: 1, payload: "x".repeat(200) };
      const maximum = byteCount(device, fitting);
      const line = await device.reconnect({ properties: says.maximumPacketSize(maximum) });
      const properties = { contentType: "c".repeat(196) };
      const withProperties = { qos: 1, payload: "x", properties: `03${text("c".repeat(196))}`, options: { properties } } as const;
      assert.equal(byteCount(device, withProperties), maximum + 1);
      const fittingTopic: Letter = { qos: 0, payload: "", topic: "ü".repeat(101) };
      assert.ok(byteCount(device, fittingTopic) <= maximum);
      const ids = await device.publish(
        fitting,
        { qos: 1, payload: "x".repeat(201) },
        { qos: 2, payload: "y".repeat(100_000) },
        fittingTopic,
        { qos: 0, payload: "", topic: "ü".repeat(103) },
        withProperties,
        { qos: 1, payload: "last" },
      );
      const [a] = await device.expectNew(fitting);
      await device.expectNew(fittingTopic);
      const [b] = await device.expectNew({ qos: 1, payload: "last" });
      line.send(wire.puback(a!), wire.puback(b!));
      for (const index of [1, 2, 4, 5]) {
        const { reason } = await device.heard("quarantined", (detail) => detail.ids[0] === ids[index]);
        assert.ok(reason.startsWith(`the broker takes packets of at most ${maximum} bytes, this one has `), reason);
      }
      await device.pending(0);
      // Set aside, not lost: where there is room again, it can go.
      await device.reconnect();
      assert.deepEqual(await device.client.requeue([ids[1]!]), [ids[1]]);
      const [again] = await device.expectNew({ qos: 1, payload: "x".repeat(201) });
      device.line.send(wire.puback(again!));
    }),
  );

  test(
    "[MQTT-3.2.2-15] [MQTT-4.4.0-1] a message in flight that has become too large ends the session: the next connection begins another, " +
      "the large one is quarantined, the others go as new",
    only(5, async (device) => {
      const [small, large]: Letter[] = [{ qos: 2, payload: "small" }, { qos: 1, payload: "x".repeat(1_000) }];
      await device.send(small!, large!);
      const line = await device.reconnect({ properties: says.maximumPacketSize(100) });
      await line.end();
      await device.discards();
      await device.online({ properties: says.maximumPacketSize(100) });
      const [packetId] = await device.expectNew(small!);
      await complete(device, packetId!);
      await device.heard("quarantined");
      await device.fence();
    }),
  );
});

describe("Maximum QoS", () => {
  test(
    "[MQTT-3.2.2-11] Maximum QoS 1: what was published at QoS 2 leaves at QoS 1, and is resent as it was sent",
    only(5, async (device) => {
      const { wire } = device;
      await device.reconnect({ properties: says.maximumQoS(1) });
      const downgradedCount = device.client.getStatus().downgradedCount;
      device.publish({ qos: 2, payload: "a" }, { qos: 1, payload: "b" });
      const sent: Letter[] = [{ qos: 1, payload: "a" }, { qos: 1, payload: "b" }];
      const packetIds = await device.expectNew(...sent);
      // It now takes QoS 2, but the exchange was begun at 1.
      const line = await device.reconnect();
      await line.expect(...sent.map((letter, index) => wire.publish(letter, packetIds[index], true)));
      line.send(...packetIds.map((packetId) => wire.puback(packetId)));
      await device.pending(0);
      assert.equal(device.client.getStatus().downgradedCount, downgradedCount + 1);
    }),
  );

  test(
    "[MQTT-3.2.2-11] Maximum QoS 1 with QoS 2 in flight: the session is discarded first, then they go as new at QoS 1",
    only(5, async (device) => {
      const { wire } = device;
      const properties = says.maximumQoS(1);
      const [, b] = await device.send({ qos: 2, payload: "a" }, { qos: 2, payload: "b" });
      device.line.send(wire.pubrec(b!));
      await device.line.expect(wire.pubrel(b!));
      const line = await device.reconnect({ properties });
      await line.end();
      await device.discards();
      await device.online({ properties });
      const packetIds = await device.expectNew({ qos: 1, payload: "a" }, { qos: 1, payload: "b" });
      device.line.send(...packetIds.map((packetId) => wire.puback(packetId)));
    }),
  );

  test(
    "[MQTT-3.2.2-11] Maximum QoS 0: without allowQos0 nothing is sent, the status says why, and all leaves where more is taken",
    only(5, async (device) => {
      const { wire } = device;
      const line = await device.reconnect({ properties: says.maximumQoS(0) });
      const letters: Letter[] = [{ qos: 1, payload: "a" }, { qos: 2, payload: "b" }];
      await device.publish(...letters);
      await waitingFor(device, /QoS 0/);
      await line.silence();
      await device.reconnect();
      const [a, b] = await device.expectNew(...letters);
      device.line.send(wire.puback(a!));
      await complete(device, b!);
    }),
  );

  test("[MQTT-3.2.2-11] Maximum QoS 0 with allowQos0: all leaves at QoS 0", async () => {
    await using device = await Device.established(5, { allowQos0: true });
    await device.reconnect({ properties: says.maximumQoS(0) });
    device.publish({ qos: 1, payload: "a" }, { qos: 2, payload: "b" }, { qos: 0, payload: "c" });
    await device.expectNew({ qos: 0, payload: "a" }, { qos: 0, payload: "b" }, { qos: 0, payload: "c" });
    await device.settle();
  });
});

describe("Retain Available", () => {
  test(
    "[MQTT-3.2.2-14] Retain Available 0: without retainFallback nothing with RETAIN is sent, the status says why, and it leaves where it is taken",
    only(5, async (device) => {
      const { wire } = device;
      const line = await device.reconnect({ properties: says.retainAvailable(false) });
      const letters: Letter[] = [{ qos: 1, payload: "a" }, { qos: 1, payload: "b", retain: true }];
      await device.publish(...letters);
      const [a] = await device.expectNew(letters[0]!);
      line.send(wire.puback(a!));
      await waitingFor(device, /retain/);
      await line.silence();
      await device.reconnect({ properties: says.retainAvailable(true) });
      const [b] = await device.expectNew(letters[1]!);
      device.line.send(wire.puback(b!));
    }),
  );

  test("[MQTT-3.2.2-14] Retain Available 0 with retainFallback: it leaves without RETAIN", async () => {
    await using device = await Device.established(5, { retainFallback: true });
    await device.reconnect({ properties: says.retainAvailable(false) });
    device.publish({ qos: 1, payload: "a", retain: true }, { qos: 0, payload: "b", retain: true });
    const [a] = await device.expectNew({ qos: 1, payload: "a" }, { qos: 0, payload: "b" });
    device.line.send(device.wire.puback(a!));
    await device.settle();
  });

  test(
    "[MQTT-3.2.2-14] Retain Available 0 with a retained message in flight: it is not resent with RETAIN; the session is discarded, the message waits",
    only(5, async (device) => {
      const { wire } = device;
      const properties = says.retainAvailable(false);
      const letter: Letter = { qos: 1, payload: "a", retain: true };
      await device.send(letter);
      const line = await device.reconnect({ properties });
      await line.end();
      await device.discards();
      await (await device.online({ properties })).silence();
      await device.reconnect();
      const [packetId] = await device.expectNew(letter);
      device.line.send(wire.puback(packetId!));
    }),
  );
});

test(
  "[MQTT-3.2.2-17] [MQTT-3.2.2-18] [MQTT-3.3.2-7] [MQTT-3.3.2-8] [MQTT-3.3.2-9] topic aliases are never used, whatever Topic Alias Maximum is: " +
    "every PUBLISH has its topic, the first, a further one, a resent one",
  only(5, async (device) => {
    const { wire } = device;
    const letters = Array.from({ length: 4 }, (_, index): Letter => ({ qos: 1, payload: `${index}`, topic: "the/same/topic" }));
    for (const maximum of [0, 1, 65_535]) {
      await device.reconnect({ properties: says.topicAliasMaximum(maximum) });
      const packetIds = await device.send(...letters);
      const line = await device.reconnect({ properties: says.topicAliasMaximum(maximum) });
      await line.expect(...letters.map((letter, index) => wire.publish(letter, packetIds[index], true)));
      line.send(...packetIds.map((packetId) => wire.puback(packetId)));
      await device.pending(0);
    }
  }),
);
