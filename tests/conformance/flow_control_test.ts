/**
 * How many messages are on their way at once.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Letter } from "./bytes.ts";
import { Device } from "./device.ts";
import { eachVersion, scenarios } from "./scenario.ts";

const { only } = scenarios();

const letters = (count: number, qos: 1 | 2): Letter[] => Array.from({ length: count }, (_, index) => ({ qos, payload: `number ${index}` }));

describe("Receive Maximum", () => {
  for (const receiveMaximum of [1, 2, 20]) {
    test(
      `[MQTT-3.3.4-7] [MQTT-4.9.0-1] [MQTT-4.9.0-2] no more than ${receiveMaximum} of QoS 1 are unacknowledged; each PUBACK lets one more leave`,
      only(5, async (device) => {
        const line = await device.reconnect({ receiveMaximum });
        const all = letters(receiveMaximum + 3, 1);
        device.publish(...all);
        const packetIds = await device.expectNew(...all.slice(0, receiveMaximum));
        await line.silence();
        for (const next of all.slice(receiveMaximum)) {
          line.send(device.wire.puback(packetIds.shift()!));
          packetIds.push(...await device.expectNew(next));
          await line.silence(20);
        }
        line.send(...packetIds.map((packetId) => device.wire.puback(packetId)));
      }),
    );
  }

  test(
    "[MQTT-3.3.4-7] [MQTT-3.3.4-8] [MQTT-4.9.0-2] [MQTT-4.9.0-3] at QoS 2 PUBREC makes no room, PUBREL is not held back, PUBCOMP makes room, " +
      "and so does a PUBREC that refuses",
    only(5, async (device) => {
      const { wire } = device;
      const line = await device.reconnect({ receiveMaximum: 2 });
      const all = letters(6, 2);
      device.publish(...all);
      const [a, b] = await device.expectNew(all[0]!, all[1]!);
      line.send(wire.pubrec(a!), wire.pubrec(b!));
      await line.expect(wire.pubrel(a!), wire.pubrel(b!));
      await line.silence();
      line.send(wire.pubcomp(b!));
      const [c] = await device.expectNew(all[2]!);
      await line.silence(20);
      line.send(wire.pubrec(c!, 0x99));
      const [d] = await device.expectNew(all[3]!);
      await device.heard("quarantined");
      line.send(wire.pubcomp(a!));
      const [e] = await device.expectNew(all[4]!);
      line.send(wire.pubrec(d!), wire.pubrec(e!));
      await line.expect(wire.pubrel(d!), wire.pubrel(e!));
      line.send(wire.pubcomp(d!));
      const [f] = await device.expectNew(all[5]!);
      line.send(wire.pubcomp(e!), wire.pubrec(f!));
      await line.expect(wire.pubrel(f!));
      line.send(wire.pubcomp(f!));
    }),
  );

  test(
    "[MQTT-3.3.4-7] [MQTT-4.9.0-2] [MQTT-4.6.0-1] after it shrank, resent messages count: they leave in order, as many as it allows, " +
      "then the rest as acknowledgements come, then new ones, also those of QoS 0, which need no room",
    only(5, async (device) => {
      const { wire } = device;
      await device.reconnect({ receiveMaximum: 20 });
      const old = letters(5, 1);
      const packetIds = await device.send(...old);
      const line = await device.reconnect({ receiveMaximum: 2 });
      const fresh: Letter[] = [{ qos: 0, payload: "new" }, { qos: 1, payload: "new" }];
      device.publish(...fresh);
      const again = (index: number) => wire.publish(old[index]!, packetIds[index], true);
      await line.expect(again(0), again(1));
      await line.silence();
      for (const index of [2, 3, 4]) {
        line.send(wire.puback(packetIds[index - 2]!));
        await line.expect(again(index));
        if (index < 4) await line.silence(20);
      }
      await device.expectNew(fresh[0]!);
      line.send(wire.puback(packetIds[3]!));
      const [last] = await device.expectNew(fresh[1]!);
      line.send(wire.puback(packetIds[4]!), wire.puback(last!));
    }),
  );

  test(
    "[MQTT-4.9.0-1] it holds for its connection alone, and whatever was half resent is resent on the next",
    only(5, async (device) => {
      const { wire } = device;
      const old = letters(4, 2);
      const packetIds = await device.send(...old);
      const again = old.map((each, index) => wire.publish(each, packetIds[index], true));
      const narrow = await device.reconnect({ receiveMaximum: 1 });
      await narrow.expect(again[0]!);
      await narrow.silence(20);
      const wide = await device.reconnect();
      await wide.expect(...again);
      wide.send(...packetIds.map((packetId) => wire.pubrec(packetId)));
      await wide.expect(...packetIds.map((packetId) => wire.pubrel(packetId)));
      wide.send(...packetIds.map((packetId) => wire.pubcomp(packetId)));
    }),
  );

  test(
    "[MQTT-3.3.4-8] [MQTT-4.9.0-3] PUBRELs of an earlier connection leave at once, however many, and new messages do not join before there is room",
    only(5, async (device) => {
      const { wire } = device;
      const old = letters(3, 2);
      const packetIds = await device.send(...old);
      device.line.send(...packetIds.map((packetId) => wire.pubrec(packetId)));
      await device.line.expect(...packetIds.map((packetId) => wire.pubrel(packetId)));
      const line = await device.offline();
      const fresh: Letter = { qos: 1, payload: "new" };
      await device.publish(fresh);
      device.welcome({ receiveMaximum: 1 });
      await line.expect(...packetIds.map((packetId) => wire.pubrel(packetId)));
      line.send(...packetIds.map((packetId) => wire.pubcomp(packetId)));
      const [last] = await device.expectNew(fresh);
      line.send(wire.puback(last!));
    }),
  );

  test(
    "[MQTT-4.9.0-2] QoS 0 needs no room",
    only(5, async (device) => {
      await device.reconnect({ receiveMaximum: 1 });
      const [a] = await device.send({ qos: 1, payload: "a" });
      for (let time = 0; time < 5; time++) await device.fence();
      device.line.send(device.wire.puback(a!));
    }),
  );
});

describe("Where the broker names no Receive Maximum", () => {
  test(
    "MQTT 3.1.1 at QoS 2: no more than 20 unfinished, as brokers discard what goes beyond; QoS 1 is not held back by it",
    only(4, async (device) => {
      const { line, wire } = device;
      const [q1, q2] = [letters(60, 1), letters(23, 2)];
      device.publish(...q1, ...q2);
      const acknowledged = await device.expectNew(...q1);
      const packetIds = await device.expectNew(...q2.slice(0, 20));
      await line.silence();
      line.send(...acknowledged.map((packetId) => wire.puback(packetId)));
      line.send(...packetIds.map((packetId) => wire.pubrec(packetId)));
      await line.expect(...packetIds.map((packetId) => wire.pubrel(packetId)));
      await line.silence(20);
      line.send(wire.pubcomp(packetIds[7]!));
      packetIds.splice(7, 1, ...await device.expectNew(q2[20]!));
      await line.silence(20);
      const [, ...rest] = packetIds.splice(7, 1);
      assert.deepEqual(rest, []);
      line.send(...packetIds.map((packetId) => wire.pubcomp(packetId)));
      const last = await device.expectNew(q2[21]!, q2[22]!);
      const open = [last[0]! - 1, ...last];
      line.send(...open.map((packetId) => wire.pubrec(packetId)));
      await line.expect(...open.map((packetId) => wire.pubrel(packetId)));
      line.send(...open.map((packetId) => wire.pubcomp(packetId)));
    }),
  );

  test(
    "inFlightMax 1: one message after the other, resent ones too",
    eachVersion(async (version) => {
      await using device = await Device.established(version, { inFlightMax: 1 });
      const { wire } = device;
      const all: Letter[] = [{ qos: 1, payload: "a" }, { qos: 2, payload: "b" }, { qos: 1, payload: "c" }];
      device.publish(...all);
      const [a] = await device.expectNew(all[0]!);
      await device.line.silence();
      device.line.send(wire.puback(a!));
      const [b] = await device.expectNew(all[1]!);
      const line = await device.reconnect();
      await line.expect(wire.publish(all[1]!, b, true));
      line.send(wire.pubrec(b!));
      await line.expect(wire.pubrel(b!));
      await line.silence(20);
      line.send(wire.pubcomp(b!));
      const [c] = await device.expectNew(all[2]!);
      line.send(wire.puback(c!));
      await device.settle();
    }),
  );
});
