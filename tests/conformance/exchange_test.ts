/**
 * One message after the other: what each Quality of Service looks like on the wire.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { Letter } from "./bytes.ts";
import { both } from "./scenario.ts";

describe("Exchanges", () => {
  test(
    "[MQTT-4.3.1-1] [MQTT-3.3.1-2] [MQTT-2.2.1-2] [3.1.1 MQTT-4.3.1-1] [3.1.1 MQTT-3.3.1-2] [3.1.1 MQTT-2.3.1-5] QoS 0 goes once, without DUP and packet id",
    both(async (device) => {
      await device.send({ qos: 0, payload: "a" }, { qos: 0, payload: "", retain: true }, { qos: 0, payload: "c" });
      await device.reconnect();
    }),
  );
});
