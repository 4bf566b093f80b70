/**
 * What each Quality of Service looks like on the wire, from the first PUBLISH to the last acknowledgement.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { int16, type Letter, text } from "./bytes.ts";
import { scenarios } from "./scenario.ts";

const { both, only } = scenarios();

describe("Exchanges", () => {
  test(
    "[MQTT-4.3.1-1] [MQTT-3.3.1-2] [MQTT-2.2.1-2] [3.1.1 MQTT-4.3.1-1] [3.1.1 MQTT-3.3.1-2] [3.1.1 MQTT-2.3.1-5] " +
      "QoS 0 leaves once, without DUP and without a packet id",
    both(async (device) => {
      await device.send({ qos: 0, payload: "a" }, { qos: 0, payload: "", retain: true }, { qos: 0, payload: "c" });
      await device.reconnect();
      await device.fence();
    }),
  );

  test(
    "[MQTT-4.3.2-1] [MQTT-4.3.2-2] [MQTT-4.3.2-3] [MQTT-2.2.1-3] [3.1.1 MQTT-4.3.2-1] [3.1.1 MQTT-2.3.1-1] [3.1.1 MQTT-2.3.1-2] " +
      "QoS 1 leaves with an unused packet id and DUP 0, and is open until PUBACK",
    both(async (device) => {
      const { line, wire } = device;
      const [a, b] = await device.send({ qos: 1, payload: "a" }, { qos: 1, payload: "b", retain: true });
      line.send(wire.puback(b!));
      await device.pending(1);
      line.send(wire.puback(a!));
      await device.pending(0);
    }),
  );

  test(
    "[MQTT-4.3.3-1] [MQTT-4.3.3-2] [MQTT-4.3.3-3] [MQTT-4.3.3-4] [MQTT-4.3.3-5] [MQTT-3.6.1-1] [MQTT-2.1.3-1] " +
      "[3.1.1 MQTT-4.3.3-1] [3.1.1 MQTT-3.6.1-1] [3.1.1 MQTT-2.2.2-1] " +
      "QoS 2 leaves with an unused packet id and DUP 0; PUBREC brings PUBREL with flags 0010, and it is open until PUBCOMP",
    both(async (device) => {
      const { line, wire } = device;
      const [a] = await device.send({ qos: 2, payload: "a" });
      await device.fence();
      await device.pending(1);
      line.send(wire.pubrec(a!));
      await line.expect(`62 02 ${int16(a!)}`);
      await device.fence();
      await device.pending(1);
      line.send(wire.pubcomp(a!));
      await device.pending(0);
    }),
  );

  test(
    "[MQTT-2.2.1-5] [MQTT-4.6.0-4] [3.1.1 MQTT-2.3.1-6] [3.1.1 MQTT-4.6.0-4] " +
      "PUBRELs carry the packet ids of their PUBLISHes and leave in the order of the PUBRECs, not of the PUBLISHes",
    both(async (device) => {
      const { line, wire } = device;
      const [a, b, c, d] = await device.send(...["a", "b", "c", "d"].map((payload): Letter => ({ qos: 2, payload })));
      line.send(wire.pubrec(c!));
      await line.expect(wire.pubrel(c!));
      line.send(wire.pubrec(d!), wire.pubrec(a!), wire.pubrec(b!));
      await line.expect(wire.pubrel(d!), wire.pubrel(a!), wire.pubrel(b!));
      line.send(wire.pubcomp(b!), wire.pubcomp(d!), wire.pubcomp(c!), wire.pubcomp(a!));
    }),
  );

  test(
    "[MQTT-4.3.3-4] [MQTT-4.3.3-6] [3.1.1 MQTT-4.3.3-1] PUBREC said again brings PUBREL again, never PUBLISH",
    both(async (device) => {
      const { line, wire } = device;
      const [a] = await device.send({ qos: 2, payload: "a" });
      for (let time = 0; time < 3; time++) {
        line.send(wire.pubrec(a!));
        await line.expect(wire.pubrel(a!));
      }
      line.send(wire.pubcomp(a!));
    }),
  );

  test(
    "[MQTT-4.3.2-3] [MQTT-4.3.3-3] acknowledgements are understood in every form: short, with a code, with properties, in pieces",
    only(5, async (device) => {
      const { line, wire } = device;
      const reason = "1f" + text("because");
      const properties = reason + "26" + text("k") + text("v") + "26" + text("k") + text("w");
      const forms = (type: string, packetId: number): string[] => [
        `${type}02 ${int16(packetId)}`,
        `${type}03 ${int16(packetId)} 00`,
        `${type}04 ${int16(packetId)} 00 00`,
        `${type}0e ${int16(packetId)} 00 0a ${reason}`,
        `${type}1c ${int16(packetId)} 00 18 ${properties}`,
      ];
      for (let form = 0; form < 5; form++) {
        const [a, b] = await device.send({ qos: 1, payload: `a${form}` }, { qos: 2, payload: `b${form}` });
        line.send(forms("40", a!)[form]!);
        line.send(forms("50", b!)[form]!);
        await line.expect(wire.pubrel(b!));
        line.send(forms("70", b!)[form]!);
        await device.pending(0);
      }
      const [a] = await device.send({ qos: 1, payload: "in pieces" });
      for (const piece of wire.puback(a!, 0x10).match(/../g)!) {
        line.send(piece);
        await new Promise((resolve) => setTimeout(resolve, 1));
      }
    }),
  );

  test(
    "[MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.7.2-1] No matching subscribers (0x10) is a success, and so is Packet Identifier not found (0x92) in PUBCOMP",
    only(5, async (device) => {
      const { line, wire } = device;
      const [a, b] = await device.send({ qos: 1, payload: "a" }, { qos: 2, payload: "b" });
      line.send(wire.puback(a!, 0x10), wire.pubrec(b!, 0x10));
      await line.expect(wire.pubrel(b!));
      line.send(wire.pubcomp(b!, 0x92));
      await device.pending(0);
    }),
  );

  test(
    "[MQTT-3.3.1-4] [3.1.1 MQTT-3.3.1-4] nothing leaves with both QoS bits set, as there is no such QoS to publish with",
    both(async (device) => {
      for (const qos of [3, -1, 1.5, NaN, "1", null, true]) {
        await assert.rejects(device.client.publish("t", "x", { qos: qos as 0 }), /^(Range|Type)Error: .*qos is /);
        assert.equal((await device.heard("refused")).isStored, false);
      }
      await device.fence();
    }),
  );

  test(
    "First PUBLISHes leave in the order of publish(), whatever their QoS",
    both(async (device) => {
      const { line, wire } = device;
      const letters = Array.from({ length: 30 }, (_, index): Letter => ({ qos: (index * 7 % 3) as 0, payload: `number ${index}` }));
      const packetIds = await device.send(...letters);
      for (const [index, { qos }] of letters.entries()) {
        if (qos === 1) line.send(wire.puback(packetIds[index]!));
        if (qos !== 2) continue;
        line.send(wire.pubrec(packetIds[index]!));
        await line.expect(wire.pubrel(packetIds[index]!));
        line.send(wire.pubcomp(packetIds[index]!));
      }
    }),
  );
});
