/**
 * Topics, payloads and properties: what is accepted is on the wire as it was given, to the byte; what MQTT cannot carry is refused and leaves no
 * trace there.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { PublishProperties } from "../../mod.ts";
import { hex, int16, int32, type Letter, text } from "./bytes.ts";
import type { Device } from "./device.ts";
import { scenarios } from "./scenario.ts";

const { both, only } = scenarios();

/** publish() refuses each of these, and none of them is seen on the wire. */
async function expectRefused(device: Device, calls: readonly (readonly unknown[])[]): Promise<void> {
  for (const call of calls) {
    const publish = device.client.publish.bind(device.client) as (...given: readonly unknown[]) => Promise<number>;
    await assert.rejects(publish(...call), /^(Type|Range)Error: Cannot publish/, JSON.stringify(call).slice(0, 100));
    assert.equal((await device.heard("refused")).isStored, false);
  }
  await device.fence();
}

describe("Topics", () => {
  test(
    "[MQTT-3.3.2-1] [MQTT-4.7.3-3] [MQTT-1.5.4-3] [3.1.1 MQTT-3.3.2-1] [3.1.1 MQTT-4.7.3-3] [3.1.1 MQTT-1.5.3-3] leave as they were given, to the byte",
    both(async (device) => {
      const topics = [
        "a",
        "/",
        "//",
        "/a/",
        " ",
        "a b / c ",
        "$SYS/x",
        "$share/x/y",
        "\u{feff}bom",
        "bom\u{feff}",
        "\u0001\u001f\u007f\u0085",
        "\u{ffff}\u{fffe}\u{fdd0}\u{fffd}",
        "\u{1f600}/\u{10ffff}",
        "e\u0301/\u00e9",
        "x".repeat(65_535),
        "€".repeat(21_845),
        "\u{10000}".repeat(16_383),
        ...[125, 126, 127, 128, 129].map((length) => "t".repeat(length)),
      ];
      await device.send(...topics.map((topic): Letter => ({ qos: 0, payload: "x", topic })));
    }),
  );

  test(
    "[MQTT-3.3.2-2] [MQTT-4.7.0-1] [MQTT-4.7.3-1] [MQTT-4.7.3-2] [MQTT-4.7.3-3] [MQTT-1.5.4-1] [MQTT-1.5.4-2] " +
      "[3.1.1 MQTT-3.3.2-2] [3.1.1 MQTT-4.7.1-1] [3.1.1 MQTT-4.7.3-1] [3.1.1 MQTT-4.7.3-2] [3.1.1 MQTT-4.7.3-3] [3.1.1 MQTT-1.5.3-1] [3.1.1 MQTT-1.5.3-2] " +
      "that are none are refused, and nothing leaves",
    both(async (device) => {
      const topics = [
        "",
        "#",
        "+",
        "a/#",
        "+/a",
        "a+b",
        "a#",
        "\0",
        "a\0b",
        "\ud800",
        "a\udc00",
        "\udc00\ud800",
        "x".repeat(65_536),
        "€".repeat(21_846),
        "\u{10000}".repeat(16_384),
        undefined,
        null,
        7,
        {},
      ];
      await expectRefused(device, topics.map((topic) => [topic, "x", { qos: 0 }]));
    }),
  );
});

describe("Payloads", () => {
  test(
    "[MQTT-1.5.5-1] leave as they were given, with a Remaining Length in the fewest bytes",
    both(async (device) => {
      const { wire } = device;
      // Around each length at which one more byte is needed; the rest of the packet weighs 3 or 4 bytes.
      const lengths = [0, 1, ...[128, 16_384, 2_097_152].flatMap((edge) => [edge - 5, edge - 4, edge - 3, edge - 2])];
      await device.send(...lengths.map((length): Letter => ({ qos: 0, payload: "x".repeat(length) })));
      const bytes = Uint8Array.from({ length: 256 }, (_, index) => index);
      device.client.publish("t", bytes.subarray(7), { qos: 0 });
      device.client.publish("t", new DataView(bytes.buffer, 3, 5), { qos: 0 });
      device.client.publish("t", bytes.buffer, { qos: 0 });
      device.client.publish("t", -0.5, { qos: 0 });
      device.client.publish("t", 2n ** 70n, { qos: 0 });
      device.client.publish("t", null, { qos: 0, retain: true });
      device.client.publish("t", "\u{feff}\0 ü €", { qos: 0 });
      bytes.fill(0); // too late
      const all = Uint8Array.from({ length: 256 }, (_, index) => index);
      const published = (payload: string, retain = false) => {
        const { length } = hex(payload);
        return wire.publish({ qos: 0, payload, retain }).slice(0, length === 0 ? undefined : -length) + hex(payload);
      };
      const raw = (payload: Uint8Array) => {
        const stand = published("x".repeat(payload.length));
        return stand.slice(0, stand.length - payload.length * 2) + hex(payload);
      };
      await device.line.expect(
        raw(all.subarray(7)),
        raw(all.subarray(3, 8)),
        raw(all),
        published("-0.5"),
        published("1180591620717411303424"),
        published("", true),
        published("\u{feff}\0 ü €"),
      );
    }),
  );

  test(
    "that MQTT would carry changed or not at all are refused, and nothing leaves",
    both(async (device) => {
      const detached = new Uint8Array(8);
      structuredClone(detached, { transfer: [detached.buffer] });
      await expectRefused(
        device,
        ["\ud800", {}, [], NaN, Infinity, undefined, true, Symbol.iterator, () => {}, detached].map((payload) => ["t", payload]),
      );
    }),
  );
});

describe("Properties", () => {
  const user = (name: string, value: string) => `26${text(name)}${text(value)}`;
  const rows: readonly (readonly [properties: PublishProperties, bytes: string])[] = [
    [{}, ""],
    [{ payloadFormatIndicator: true }, "0101"],
    [{ payloadFormatIndicator: false }, "0100"],
    [{ messageExpiryInterval: 4_294_967_295 }, `02${int32(4_294_967_295)}`],
    [{ contentType: "" }, `03${text("")}`],
    [{ contentType: "application/cbor; ü=€" }, `03${text("application/cbor; ü=€")}`],
    [{ responseTopic: "answers/🌡️" }, `08${text("answers/🌡️")}`],
    [{ correlationData: new Uint8Array(0) }, "090000"],
    [{ correlationData: Uint8Array.of(0, 1, 254, 255) }, "090004" + "0001feff"],
    [{ correlationData: new Uint8Array(65_535).fill(7) }, `09${int16(65_535)}` + "07".repeat(65_535)],
    [{ userProperties: { b: "2", a: "1" } }, user("b", "2") + user("a", "1")],
    [{ userProperties: { a: ["2", "1", "2"], "": "" } }, user("a", "2") + user("a", "1") + user("a", "2") + user("", "")],
    [
      { userProperties: JSON.parse('{"__proto__": "p", "constructor": ["c"], "length": "l"}') },
      user("__proto__", "p") + user("constructor", "c") + user("length", "l"),
    ],
    [
      {
        userProperties: { z: "9" },
        correlationData: Uint8Array.of(9),
        responseTopic: "r",
        contentType: "c",
        messageExpiryInterval: 3_600,
        payloadFormatIndicator: true,
      },
      `0101 02${int32(3_600)} 03${text("c")} 08${text("r")} 09000109 ${user("z", "9")}`.replaceAll(" ", ""),
    ],
  ];

  test(
    "[MQTT-1.5.7-1] [MQTT-2.2.2-1] [MQTT-3.3.2-13] [MQTT-3.3.2-19] leave as they were given, to the byte, first and resent; those of one name keep their order",
    only(5, async (device) => {
      const { wire } = device;
      const letters = rows.map(([properties, bytes], index) => ({
        qos: 1,
        payload: `number ${index}`,
        properties: bytes,
        options: { properties },
      } as const));
      const packetIds = await device.send(...letters);
      const line = await device.reconnect();
      await line.expect(...letters.map((letter, index) => wire.publish(letter, packetIds[index], true)));
      line.send(...packetIds.map((packetId) => wire.puback(packetId)));
    }),
  );

  test(
    "do not exist in MQTT 3.1.1: they are left out, and counted",
    only(4, async (device) => {
      const before = device.client.getStatus().propertiesDroppedCount;
      device.publish({ qos: 1, payload: "a", options: { properties: { contentType: "c", userProperties: { a: "b" } } } });
      const [packetId] = await device.expectNew({ qos: 1, payload: "a" });
      device.line.send(device.wire.puback(packetId!));
      await device.pending(0);
      assert.equal(device.client.getStatus().propertiesDroppedCount, before + 1);
    }),
  );

  test(
    "[MQTT-1.5.4-1] [MQTT-1.5.4-2] [MQTT-1.5.7-1] [MQTT-3.3.2-13] [MQTT-3.3.2-14] [MQTT-3.3.2-19] [MQTT-3.3.4-6] [MQTT-3.2.2-18] " +
      "that are none, or not a publisher's, are refused, and nothing leaves",
    both(async (device) => {
      const wrong: readonly Record<string, unknown>[] = [
        { contentType: "\ud800" },
        { contentType: "a\0b" },
        { contentType: "x".repeat(65_536) },
        { responseTopic: "" },
        { responseTopic: "a/#" },
        { responseTopic: "+" },
        { responseTopic: "\0" },
        { responseTopic: "\udc00" },
        { correlationData: new Uint8Array(65_536) },
        { correlationData: "text" },
        { messageExpiryInterval: 0 },
        { messageExpiryInterval: 4_294_967_296 },
        { messageExpiryInterval: 1.5 },
        { payloadFormatIndicator: 1 },
        { userProperties: { a: "\ud800" } },
        { userProperties: { "\0": "a" } },
        { userProperties: { a: ["b", "c\0"] } },
        { userProperties: { a: 1 } },
        { userProperties: { ["x".repeat(65_536)]: "a" } },
        { subscriptionIdentifier: 1 },
        { topicAlias: 1 },
        { serverKeepAlive: 1 },
      ];
      await expectRefused(device, wrong.map((properties) => ["t", "x", { properties }]));
    }),
  );
});
