/**
 * PUBACK and PUBREC with a reason code of at least 0x80: the exchange is over. What becomes of the message depends on the code.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Letter } from "./bytes.ts";
import { Device } from "./device.ts";
import { scenarios } from "./scenario.ts";

const { only } = scenarios();

/** Both halves of QoS 2, and the end of it. */
async function complete({ line, wire }: Device, ...packetIds: readonly number[]): Promise<void> {
  line.send(...packetIds.map((packetId) => wire.pubrec(packetId)));
  await line.expect(...packetIds.map((packetId) => wire.pubrel(packetId)));
  line.send(...packetIds.map((packetId) => wire.pubcomp(packetId)));
}

describe("For now", () => {
  test(
    "[MQTT-4.4.0-2] [MQTT-4.3.3-4] [MQTT-2.2.1-3] 0x80, 0x83, 0x97: never PUBREL, never the same PUBLISH again, not even on another connection; " +
      "nothing new leaves until the retry, which is a new PUBLISH under a new packet id with DUP 0, in the order sent",
    only(5, async (device) => {
      const { wire } = device;
      const letters: Letter[] = Array.from({ length: 6 }, (_, index) => ({ qos: index % 2 === 0 ? 1 : 2, payload: `number ${index}` }));
      const packetIds = await device.send(...letters);
      const codes = [0x97, 0x80, 0x80, 0x83, 0x83, 0x97];
      device.line.send(
        ...packetIds.map((packetId, index) => index % 2 === 0 ? wire.puback(packetId, codes[index]) : wire.pubrec(packetId, codes[index])),
      );
      await device.inFlight(0);
      const fresh: Letter = { qos: 1, payload: "fresh" };
      device.publish(fresh);
      await device.line.silence(50);
      const line = await device.reconnect();
      await line.silence(50);
      const again = await device.expectNew(...letters, fresh);
      line.send(...[0, 2, 4, 6].map((index) => wire.puback(again[index]!)));
      await complete(device, again[1]!, again[3]!, again[5]!);
    }),
  );
});

describe("For good", () => {
  test(
    "[MQTT-4.4.0-2] [MQTT-4.3.3-4] 0x90, 0x99: the message is quarantined and never sent again; the others are not held up",
    only(5, async (device) => {
      const { wire } = device;
      for (const code of [0x90, 0x99]) {
        const ids = device.publish({ qos: 1, payload: "a" }, { qos: 2, payload: "b" }, { qos: 1, payload: "c" });
        const [a, b, c] = await device.expectNew({ qos: 1, payload: "a" }, { qos: 2, payload: "b" }, { qos: 1, payload: "c" });
        device.line.send(wire.puback(a!, code), wire.pubrec(b!, code));
        for (const index of [0, 1]) {
          const id = (await ids)[index];
          const { reasonCode } = await device.heard("quarantined", (detail) => detail.ids[0] === id);
          assert.equal(reasonCode, code);
        }
        const [d] = await device.send({ qos: 1, payload: "d" });
        device.line.send(wire.puback(c!), wire.puback(d!));
        await device.pending(0);
        await device.reconnect();
        await device.fence();
      }
    }),
  );

  test(
    "[MQTT-4.4.0-2] 0x87 while other messages pass: the message is quarantined and never sent again",
    only(5, async (device) => {
      const { wire } = device;
      const [a, b] = await device.send({ qos: 2, payload: "denied" }, { qos: 1, payload: "passes" });
      device.line.send(wire.pubrec(a!, 0x87));
      await device.fence();
      device.line.send(wire.puback(b!));
      assert.equal((await device.heard("quarantined")).reasonCode, 0x87);
      await device.pending(0);
      await device.reconnect();
      await device.fence();
    }),
  );

  test(
    "[MQTT-4.4.0-2] 0x87 for all, said at once of a full window: no more are tried, as more are denied than a mistake in one message explains",
    async () => {
      await using device = await Device.established(5);
      const letters: Letter[] = Array.from({ length: 60 }, (_, index) => ({ qos: 1, payload: `number ${index}` }));
      const line = await device.reconnect({ receiveMaximum: 20 });
      device.publish(...letters);
      const packetIds = await device.expectNew(...letters.slice(0, 20));
      line.send(...packetIds.map((packetId) => device.wire.puback(packetId, 0x87)));
      await line.silence();
      await device.pending(60);
    },
  );

  test(
    "[MQTT-4.4.0-2] 0x87 for all, one after the other: after 16 sending rests, on the next connection too, and nothing is quarantined",
    async () => {
      await using device = await Device.established(5);
      const { wire } = device;
      const letters: Letter[] = Array.from({ length: 40 }, (_, index) => ({ qos: 1, payload: `number ${index}` }));
      const receiveMaximum = 4;
      const line = await device.reconnect({ receiveMaximum });
      device.publish(...letters);
      // The first few leave before anything is known, then one for each that is denied, 16 in all.
      const packetIds = await device.expectNew(...letters.slice(0, receiveMaximum));
      for (let index = 0; index < 16; index++) {
        line.send(wire.puback(packetIds[index]!, 0x87));
        if (index + receiveMaximum < 16) packetIds.push(...await device.expectNew(letters[index + receiveMaximum]!));
      }
      await line.silence();
      assert.deepEqual(device.unheard("quarantined"), []);
      assert.match(device.client.getStatus().waitingFor ?? "", /permission/);
      await device.reconnect();
      await device.line.silence();
      await device.pending(40);
    },
  );
});

describe("Packet identifier in use (0x91)", () => {
  test(
    "[MQTT-4.3.3-10] about a repeat: the broker has the message, so it goes on with PUBREL",
    only(5, async (device) => {
      const { wire } = device;
      const letter: Letter = { qos: 2, payload: "a" };
      const [packetId] = await device.send(letter);
      const line = await device.reconnect();
      await line.expect(wire.publish(letter, packetId, true));
      line.send(wire.pubrec(packetId!, 0x91));
      await line.expect(wire.pubrel(packetId!));
      line.send(wire.pubcomp(packetId!));
    }),
  );

  test(
    "[MQTT-4.4.0-2] [MQTT-2.2.1-3] about a first sending: never PUBREL; the message leaves at once under another packet id, " +
      "and the next connection discards the session that holds the id",
    only(5, async (device) => {
      const { wire } = device;
      const letters: Letter[] = [{ qos: 2, payload: "a" }, { qos: 1, payload: "b" }];
      const [a, b] = await device.send(...letters);
      device.line.send(wire.pubrec(a!, 0x91));
      const [again] = await device.expectNew(letters[0]!);
      await complete(device, again!);
      await device.pending(1);
      device.line.send(wire.puback(b!, 0x91));
      const [open] = await device.expectNew(letters[1]!);
      assert.ok(open! > b!);
      device.line.cut();
      await device.begin();
      // As the session is another, what was unfinished goes as new.
      const [last] = await device.expectNew(letters[1]!);
      device.line.send(wire.puback(last!));
      await device.pending(0);
      await device.reconnect();
      await device.fence();
    }),
  );
});
