/**
 * CONNECT, byte by byte, and what comes of each answer to it: whose session it is decides what a publisher may send.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { counted, DISCONNECT, hex, int16, int32, type Letter, text, Wire } from "./bytes.ts";
import { Device } from "./device.ts";
import { eachVersion, scenarios } from "./scenario.ts";

const { both, only } = scenarios();

const letter: Letter = { qos: 1, payload: "a" };

describe("CONNECT", () => {
  test(
    "[MQTT-3.1.0-1] [MQTT-3.1.0-2] [3.1.1 MQTT-3.1.0-1] [3.1.1 MQTT-3.1.0-2] is the first packet of every connection, " +
      "alone until CONNACK although messages wait, and comes once",
    both(async (device) => {
      for (let time = 0; time < 3; time++) {
        const line = await device.offline();
        await device.publish(letter);
        await line.silence();
        device.welcome();
        const [packetId] = await device.expectNew(letter);
        line.send(device.wire.puback(packetId!));
        await device.pending(0);
        await device.fence();
      }
    }),
  );

  test(
    "[MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.1.2-23] [MQTT-3.14.4-1] [MQTT-3.14.4-2] a new cache has the broker discard what it knows with Clean Start, " +
      "which is all that this connection is for, and then goes on with Clean Start 0; each asks to keep the session",
    async () => {
      await using device = await Device.create(5, { sessionExpirySeconds: 86_400 });
      device.publish(letter);
      const connect = (flags: string) =>
        "10" + counted(`0004 ${hex("MQTT")} 05 ${flags} 003c 05 11 ${int32(86_400)} 0006 ${hex("device")}`.replaceAll(" ", ""));
      const discarding = await device.accept();
      await discarding.expect(connect("02"));
      discarding.send(device.wire.connack());
      await discarding.expect(DISCONNECT);
      await discarding.end();
      const line = await device.accept();
      await line.expect(connect("00"));
      line.send(device.wire.connack({ isPresent: true }));
      const [packetId] = await device.expectNew(letter);
      line.send(device.wire.puback(packetId!));
      device.connect = { sessionExpirySeconds: 86_400 };
      await device.settle();
      await device.reconnect();
    },
  );

  test(
    "[3.1.1 MQTT-3.1.2-6] [3.1.1 MQTT-3.1.2-4] [3.1.1 MQTT-3.14.4-1] [3.1.1 MQTT-3.14.4-2] a new cache has the broker discard what it knows with " +
      "Clean Session 1, which is all that this connection is for, and then goes on with Clean Session 0",
    async () => {
      await using device = await Device.create(4);
      device.publish(letter);
      const connect = (flags: string) => "10" + counted(`0004 ${hex("MQTT")} 04 ${flags} 003c 0006 ${hex("device")}`.replaceAll(" ", ""));
      const discarding = await device.accept();
      await discarding.expect(connect("02"));
      discarding.send(device.wire.connack());
      await discarding.expect(DISCONNECT);
      await discarding.end();
      const line = await device.accept();
      await line.expect(connect("00"));
      line.send(device.wire.connack());
      const [packetId] = await device.expectNew(letter);
      line.send(device.wire.puback(packetId!));
      await device.settle();
      await device.reconnect();
    },
  );

  test(
    "[MQTT-3.1.2-4] [3.1.1 MQTT-3.1.2-6] the old session is discarded again until the broker has confirmed a session of our own",
    eachVersion(async (version) => {
      await using device = await Device.create(version);
      device.publish(letter);
      // Cut before CONNACK, after CONNACK, and in the second connect.
      (await device.knocks({ isClean: true })).cut();
      const discarding = await device.online({ isPresent: false, connect: { isClean: true } });
      await discarding.expect(DISCONNECT);
      discarding.cut();
      (await device.knocks()).cut();
      await device.begin();
      const [packetId] = await device.expectNew(letter);
      device.line.send(device.wire.puback(packetId!));
      await device.settle();
      await device.reconnect();
    }),
  );

  test(
    "[MQTT-3.1.3-2] [MQTT-3.1.3-3] [3.1.1 MQTT-3.1.3-2] [3.1.1 MQTT-3.1.3-3] the client id is the one given, to the byte, on every connection",
    eachVersion(async (version) => {
      const clientId = "Meßgerät 7/🌡️ " + "x".repeat(200);
      await using device = await Device.create(version, { clientId });
      device.connect = { clientId };
      await device.begin();
      await device.reconnect();
      await device.restart();
      await device.online();
    }),
  );

  test(
    "[MQTT-3.1.3-1] [MQTT-3.1.2-9] [MQTT-3.1.2-17] [MQTT-3.1.2-19] [3.1.1 MQTT-3.1.3-1] [3.1.1 MQTT-3.1.2-9] [3.1.1 MQTT-3.1.2-19] [3.1.1 MQTT-3.1.2-21] " +
      "will and credentials stand in their order, announced by their flags",
    eachVersion(async (version) => {
      const will = { topic: "gone", payload: Uint8Array.of(0, 255), qos: 1, retain: true } as const;
      await using device = await Device.create(version, {
        mqtt: { will, keepalive: 7 },
        credentials: () => ({ username: "user", password: "geheim" }),
      });
      const [expiry, willProperties] = version === 5 ? ["05 11 00278d00", "00"] : ["", ""];
      const fields = `${text("device")} ${willProperties} ${text("gone")} 0002 00ff ${text("user")} ${text("geheim")}`;
      const connect = (flags: string) =>
        "10" + counted(`${text("MQTT")} 0${version} ${flags} 0007 ${expiry} ${fields}`.replaceAll(" ", ""));
      const discarding = await device.accept();
      await discarding.expect(connect("ee"));
      discarding.send(device.wire.connack());
      await discarding.expect(DISCONNECT);
      await discarding.end();
      await (await device.accept()).expect(connect("ec"));
    }),
  );

  test(
    "[MQTT-3.1.2-2] [3.1.1 MQTT-3.1.2-2] a broker that refuses version 5, in its own words or in those of 3.1.1, is spoken to in 3.1.1",
    async () => {
      const [five, four] = [new Wire(5), new Wire(4)];
      const refusals = [five.connack({ code: 0x84 }), four.connack({ code: 1 })];
      await Promise.all(refusals.map(async (refusal) => {
        await using device = await Device.create(4, { findsVersion: true });
        const line = await device.accept();
        await line.expect(five.connect({ isClean: true }));
        line.send(refusal);
        await line.end();
        await device.begin();
        const [packetId] = await device.send(letter);
        device.line.send(four.puback(packetId!));
        await device.settle();
        // And remembered.
        await device.restart();
        await device.online();
      }));
    },
  );
});

describe("CONNACK", () => {
  test(
    "[MQTT-3.2.2-4] [MQTT-3.2.2-2] [3.1.1 MQTT-3.2.2-1] session present in answer to a clean start: the client closes, sends nothing, and asks again",
    eachVersion(async (version) => {
      await using device = await Device.create(version);
      device.publish(letter);
      for (let time = 0; time < 2; time++) {
        const line = await device.online({ isPresent: true, connect: { isClean: true } });
        await line.end();
      }
      await device.begin();
      const [packetId] = await device.expectNew(letter);
      device.line.send(device.wire.puback(packetId!));
      await device.settle();
    }),
  );

  test(
    "[3.1.1 MQTT-3.2.2-3] session present just after Clean Session 1 has discarded it: the client does not believe it",
    async () => {
      await using device = await Device.create(4);
      device.publish(letter);
      await device.discards();
      await (await device.online({ isPresent: true })).end();
      await device.begin();
      const [packetId] = await device.expectNew(letter);
      device.line.send(device.wire.puback(packetId!));
      await device.settle();
    },
  );

  test(
    "[MQTT-3.1.2-6] [MQTT-3.2.2-5] a broker that has not kept the session that the discarding connection began: nothing is lost, as nothing was sent",
    async () => {
      await using device = await Device.create(5);
      device.publish(letter);
      await device.begin({ isPresent: false });
      const [packetId] = await device.expectNew(letter);
      device.line.send(device.wire.puback(packetId!));
      await device.settle();
    },
  );

  const refusals4 = [[1, 0], [2, 0], [3, 5_000], [4, 60_000], [5, 60_000]] as const;
  const refusals5 = [
    ...([0x80, 0x81, 0x82, 0x83, 0x84, 0x85, 0x90, 0x95, 0x99, 0x9a, 0x9b, 0x9c, 0x9d] as const).map((code) => [code, 0] as const),
    ...([0x88, 0x89, 0x97, 0x9f] as const).map((code) => [code, 5_000] as const),
    ...([0x86, 0x87, 0x8a, 0x8c] as const).map((code) => [code, 60_000] as const),
  ];
  for (const [version, refusals, ids] of [[4, refusals4, "[3.1.1 MQTT-3.2.2-5]"], [5, refusals5, "[MQTT-3.2.2-7]"]] as const) {
    test(
      `${ids} each code of refusal ends the connection; the client sends nothing, keeps its messages and comes back, later where it is asked for patience`,
      only(version, async (device) => {
        const { wire } = device;
        const [packetId] = await device.send(letter);
        device.line.cut();
        for (const [code, patienceMs] of refusals) {
          const line = await device.knocks();
          line.send(wire.connack({ code }));
          await line.end();
          const { retryInMs } = await device.heard("disconnect", ({ reasonCode }) => reasonCode === code);
          assert.ok(retryInMs !== undefined && retryInMs >= patienceMs, `code ${code}: the next attempt is in ${retryInMs} ms`);
          if (patienceMs > 0) await device.connectAsync();
        }
        const line = await device.online();
        await line.expect(wire.publish(letter, packetId, true));
        line.send(wire.puback(packetId!));
      }),
    );
  }

  test(
    "[MQTT-3.2.2-16] whatever else CONNACK says changes nothing: an assigned client id, reasons, names of authentication methods, properties of users",
    only(5, async (device) => {
      const properties = `12${text("another")} 1f${text("welcome")} 26${text("a")}${text("b")} 26${text("a")}${text("c")} 2800 2900 2a00 ` +
        `1a${text("info")} 1c${text("elsewhere:1883")} 11${int32(0)} 22${int16(65_535)}`;
      await device.reconnect({ properties: properties.replaceAll(" ", "") });
      const [packetId] = await device.send(letter);
      device.line.send(device.wire.puback(packetId!));
      await device.pending(0);
      await device.reconnect();
    }),
  );
});
