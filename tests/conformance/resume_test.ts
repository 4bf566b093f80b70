/**
 * A connection is lost and the next one carries the session on: what goes again, how, in which order, and what never does.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { int32, type Letter } from "./bytes.ts";
import { Device } from "./device.ts";
import { eachVersion, scenarios } from "./scenario.ts";

const { both, only } = scenarios();

const letter = (qos: 1 | 2, payload: string): Letter => ({ qos, payload });

/** Both halves of QoS 2, and the end of it. */
async function complete({ line, wire }: Device, ...packetIds: readonly number[]): Promise<void> {
  line.send(...packetIds.map((packetId) => wire.pubrec(packetId)));
  await line.expect(...packetIds.map((packetId) => wire.pubrel(packetId)));
  line.send(...packetIds.map((packetId) => wire.pubcomp(packetId)));
}

describe("The session goes on", () => {
  test(
    "[MQTT-4.4.0-1] [MQTT-3.3.1-1] [MQTT-3.3.1-3] [MQTT-4.6.0-1] [3.1.1 MQTT-4.4.0-1] [3.1.1 MQTT-3.3.1-1] [3.1.1 MQTT-2.3.1-3] [3.1.1 MQTT-4.6.0-1] " +
      "resends each unacknowledged PUBLISH with DUP, its packet id and its bytes, in the order first sent, and nothing else",
    both(async (device) => {
      const { wire } = device;
      const letters: Letter[] = [
        letter(1, "a"),
        { ...letter(2, "b \u{1f321}"), topic: "an/ödd topic" },
        letter(1, "c"),
        { ...letter(2, ""), retain: true },
        { ...letter(1, "e".repeat(20_000)), retain: true },
      ];
      const packetIds = await device.send(...letters);
      device.line.send(wire.puback(packetIds[2]!));
      await device.pending(4);
      const unfinished = [0, 1, 3, 4];
      for (let time = 0; time < 2; time++) {
        const line = await device.reconnect();
        await line.expect(...unfinished.map((index) => wire.publish(letters[index]!, packetIds[index], true)));
        await device.fence();
      }
      device.line.send(wire.puback(packetIds[4]!), wire.puback(packetIds[0]!));
      await complete(device, packetIds[1]!, packetIds[3]!);
    }),
  );

  test(
    "[MQTT-4.4.0-1] [MQTT-4.6.0-4] [MQTT-4.3.3-5] [3.1.1 MQTT-4.4.0-1] [3.1.1 MQTT-4.6.0-4] " +
      "resends each unacknowledged PUBREL first, in the order the PUBRECs came, then the PUBLISHes",
    both(async (device) => {
      const { wire } = device;
      const letters = [..."abcde"].map((payload) => letter(2, payload));
      const [a, b, c, d, e] = await device.send(...letters);
      for (const packetId of [d!, b!]) {
        device.line.send(wire.pubrec(packetId));
        await device.line.expect(wire.pubrel(packetId));
      }
      for (let time = 0; time < 2; time++) {
        const line = await device.reconnect();
        await line.expect(wire.pubrel(d!), wire.pubrel(b!));
        await line.expect(wire.publish(letters[0]!, a, true), wire.publish(letters[2]!, c, true), wire.publish(letters[4]!, e, true));
        await device.fence();
      }
      device.line.send(wire.pubcomp(b!), wire.pubcomp(d!));
      await complete(device, e!, a!, c!);
    }),
  );

  test(
    "[MQTT-4.3.3-6] [MQTT-4.3.3-5] [3.1.1 MQTT-4.3.3-1] never sends PUBLISH again once PUBREL was sent, however often the line is cut",
    both(async (device) => {
      const { wire } = device;
      const [a] = await device.send(letter(2, "a"));
      device.line.send(wire.pubrec(a!));
      await device.line.expect(wire.pubrel(a!));
      for (let time = 0; time < 3; time++) {
        const line = await device.reconnect();
        await line.expect(wire.pubrel(a!));
        await device.fence();
      }
      // The broker may not have had our PUBREL, and says PUBREC again.
      device.line.send(wire.pubrec(a!));
      await device.line.expect(wire.pubrel(a!));
      device.line.send(wire.pubcomp(a!));
      await device.pending(0);
      await device.reconnect();
      await device.fence();
    }),
  );

  test(
    "[MQTT-4.4.0-1] [3.1.1 MQTT-4.4.0-1] resends at no other time: a live connection on which acknowledgements are withheld sees no repeat",
    both(async (device) => {
      const { line, wire } = device;
      const [a, b, c] = await device.send(letter(1, "a"), letter(2, "b"), letter(2, "c"));
      line.send(wire.pubrec(c!));
      await line.expect(wire.pubrel(c!));
      for (let time = 0; time < 40; time++) {
        const [other] = await device.send(letter(1, `other ${time}`));
        line.send(wire.puback(other!));
      }
      await line.silence(300);
      line.send(wire.puback(a!), wire.pubcomp(c!));
      await complete(device, b!);
    }),
  );

  test(
    "[MQTT-4.6.0-1] [3.1.1 MQTT-4.6.0-1] what was published meanwhile leaves after all that is unfinished, as new",
    both(async (device) => {
      const { wire } = device;
      const old = [letter(2, "a"), letter(1, "b")];
      const [a, b] = await device.send(...old);
      const line = await device.offline();
      await device.publish(letter(1, "c"), letter(2, "d"));
      device.welcome();
      await line.expect(wire.publish(old[0]!, a, true), wire.publish(old[1]!, b, true));
      const [c, d] = await device.expectNew(letter(1, "c"), letter(2, "d"));
      line.send(wire.puback(c!), wire.puback(b!));
      await complete(device, a!, d!);
    }),
  );

  test(
    "[MQTT-3.1.2-23] [MQTT-4.4.0-1] [MQTT-3.1.3-2] [3.1.1 MQTT-3.1.2-4] [3.1.1 MQTT-4.1.0-1] [3.1.1 MQTT-4.4.0-1] [3.1.1 MQTT-3.1.3-2] " +
      "after a restart of the process it is the same session: client id, packet ids, DUP, bytes, order",
    eachVersion(async (version) => {
      await using device = await Device.established(version);
      const { wire } = device;
      const letters = [letter(2, "a"), letter(1, "b"), letter(2, "c"), letter(1, "d")];
      const [a, b, c, d] = await device.send(...letters);
      device.line.send(wire.pubrec(c!), wire.puback(b!));
      await device.line.expect(wire.pubrel(c!));
      await device.pending(3);
      for (let time = 0; time < 2; time++) {
        await device.restart();
        const line = await device.online();
        await line.expect(wire.pubrel(c!), wire.publish(letters[0]!, a, true), wire.publish(letters[3]!, d, true));
        await device.fence();
      }
      device.line.send(wire.pubcomp(c!), wire.puback(d!));
      await complete(device, a!);
      await device.pending(0);
      // Packet ids go on where they were.
      await device.restart();
      await device.online();
      const [e] = await device.send(letter(1, "e"));
      device.line.send(wire.puback(e!));
      await device.settle();
    }),
  );

  test(
    "[MQTT-4.3.3-7] a message once sent never expires, one that was not yet sent does; the interval shrinks by the time in the cache",
    only(5, async (device) => {
      const { wire } = device;
      const expiring = (qos: 1 | 2, payload: string, seconds: number) => ({
        ...letter(qos, payload),
        properties: "02" + int32(seconds),
        options: { properties: { messageExpiryInterval: seconds } },
      });
      const [a, b] = [expiring(2, "a", 1), expiring(1, "b", 100)];
      const [idA, idB] = await device.send(a, b);
      const line = await device.offline();
      const [idC] = await device.publish(expiring(2, "c", 1), expiring(1, "d", 3));
      await line.silence(1_050);
      device.welcome();
      await line.expect(wire.publish(expiring(2, "a", 1), idA, true), wire.publish(expiring(1, "b", 99), idB, true));
      const [idD] = await device.expectNew(expiring(1, "d", 2));
      assert.deepEqual(await device.heard("expired"), { ids: [idC] });
      line.send(wire.puback(idB!), wire.puback(idD!));
      await complete(device, idA!);
    }),
  );
});

describe("The session is lost", () => {
  test(
    "[MQTT-3.2.2-5] [MQTT-4.4.0-1] [3.1.1 MQTT-3.2.2-3] session present 0 with unfinished messages: all go again as new, DUP 0, in send order, " +
      "under packet ids of their own; never PUBREL alone",
    both(async (device) => {
      const { wire } = device;
      const letters = [letter(2, "a"), letter(1, "b"), letter(2, "c"), letter(2, "d")];
      const [a, , c] = await device.send(...letters);
      device.line.send(wire.pubrec(c!));
      await device.line.expect(wire.pubrel(c!));
      device.line.send(wire.pubrec(a!));
      await device.line.expect(wire.pubrel(a!));
      const line = await device.reconnect({ isPresent: false });
      const packetIds = await device.expectNew(...letters);
      assert.deepEqual(await device.heard("sessionlost"), { requeuedCount: 4, duplicatesPossibleCount: 3 });
      await device.fence();
      // Late answers to what was of the lost session mean nothing.
      line.send(wire.pubcomp(a!), wire.pubrec(c!));
      line.send(wire.puback(packetIds[1]!));
      await complete(device, packetIds[0]!, packetIds[2]!, packetIds[3]!);
    }),
  );

  test(
    "[MQTT-3.2.2-5] [MQTT-2.2.1-3] [3.1.1 MQTT-2.3.1-2] it is lost again and again: each time everything goes as new, and the packet ids never begin anew",
    both(async (device) => {
      const { wire } = device;
      const letters = [letter(2, "a"), letter(1, "b")];
      await device.send(...letters);
      let packetIds: number[] = [];
      for (let time = 0; time < 3; time++) {
        await device.reconnect({ isPresent: false });
        packetIds = await device.expectNew(...letters);
      }
      // Kept for once, so these are repeats.
      const line = await device.reconnect();
      await line.expect(...letters.map((each, index) => wire.publish(each, packetIds[index], true)));
      line.send(wire.puback(packetIds[1]!));
      await complete(device, packetIds[0]!);
    }),
  );

  test(
    "[MQTT-3.2.2-5] after a restart of the process as well",
    eachVersion(async (version) => {
      await using device = await Device.established(version);
      const { wire } = device;
      const letters = [letter(1, "a"), letter(2, "b")];
      const [, b] = await device.send(...letters);
      device.line.send(wire.pubrec(b!));
      await device.line.expect(wire.pubrel(b!));
      await device.restart();
      await device.online({ isPresent: false });
      const packetIds = await device.expectNew(...letters);
      device.line.send(wire.puback(packetIds[0]!));
      await complete(device, packetIds[1]!);
      await device.settle();
    }),
  );
});
