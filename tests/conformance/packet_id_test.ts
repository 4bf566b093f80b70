/**
 * Packet ids over more messages than there are ids.
 */
import { test } from "node:test";
import { Device } from "./device.ts";
import type { Letter } from "./bytes.ts";
import { PACKET_ID_MAX } from "./line.ts";
import { eachVersion } from "./scenario.ts";

const MESSAGES_PER_CALL = 10_000;
/** So many acknowledgements are sent at once. */
const ACKNOWLEDGED_AT_ONCE = 500;

test(
  "[MQTT-2.2.1-3] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [3.1.1 MQTT-2.3.1-1] [3.1.1 MQTT-2.3.1-2] [3.1.1 MQTT-2.3.1-3] " +
    "packet ids go from 1 to 65279 and round again, past those that are in use, at whichever stage",
  eachVersion(async (version) => {
    await using device = await Device.create(version, { inFlightMax: 5_000, durability: "process-crash" });
    const { wire } = device;
    const line = await device.begin();
    const held: Letter[] = [{ qos: 1, payload: "PUBACK withheld" }, { qos: 2, payload: "PUBREC withheld" }, {
      qos: 2,
      payload: "PUBCOMP withheld",
    }];
    const [first, second, third] = await device.send(...held);
    line.send(wire.pubrec(third!));
    await line.expect(wire.pubrel(third!));

    const count = PACKET_ID_MAX + 1_000;
    const payloads = Array.from({ length: count }, (_, index) => `${index}`);
    for (let at = 0; at < count; at += MESSAGES_PER_CALL) {
      device.client.publishMany(payloads.slice(at, at + MESSAGES_PER_CALL).map((payload) => ({ topic: "t", payload, qos: 1 })));
    }
    let acknowledgements: string[] = [];
    for (const payload of payloads) {
      let [packetId] = device.ids(1);
      // Round again: the first three are still in use.
      while (packetId! <= held.length) [packetId] = device.ids(1);
      await line.expect(wire.publish({ qos: 1, payload }, packetId));
      acknowledgements.push(wire.puback(packetId!));
      if (acknowledgements.length < ACKNOWLEDGED_AT_ONCE) continue;
      line.send(...acknowledgements);
      acknowledgements = [];
    }
    line.send(...acknowledgements, wire.puback(first!), wire.pubcomp(third!), wire.pubrec(second!));
    await line.expect(wire.pubrel(second!));
    line.send(wire.pubcomp(second!));
    await device.settle();
  }),
);
