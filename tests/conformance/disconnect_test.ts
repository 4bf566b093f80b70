/**
 * DISCONNECT, said by the client and said by the broker.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DISCONNECT, type Letter } from "./bytes.ts";
import { Device } from "./device.ts";
import { eachVersion, scenarios } from "./scenario.ts";

const { both, only } = scenarios();

describe("The client's", () => {
  test(
    "[MQTT-3.14.4-1] [MQTT-3.14.4-2] [MQTT-3.1.2-23] [3.1.1 MQTT-3.14.4-1] [3.1.1 MQTT-3.14.4-2] " +
      "disconnect(): two bytes, nothing after them whatever the broker still says, and the client closes; then the session goes on",
    both(async (device) => {
      const { wire } = device;
      const letters: Letter[] = [{ qos: 2, payload: "a" }, { qos: 1, payload: "b" }, { qos: 2, payload: "c" }];
      const [a, b, c] = await device.send(...letters);
      const disconnected = device.client.disconnect();
      await device.publish({ qos: 0, payload: "later" });
      const { line } = device;
      await line.expect(DISCONNECT);
      // PUBREC, PUBACK, a message for a subscription that nobody made, a packet that no client answers.
      line.send(wire.pubrec(a!), wire.puback(b!), wire.version === 5 ? "3207 0001 78 0001 00 79" : "3206 0001 78 0001 79", "d000");
      await line.silence();
      await line.end();
      await disconnected;
      await device.connectAsync();
      // What was said in time has been heard.
      const next = await device.online();
      await next.expect(wire.pubrel(a!), wire.publish(letters[2]!, c, true));
      await device.expectNew({ qos: 0, payload: "later" });
      next.send(wire.pubcomp(a!), wire.pubrec(c!));
      await next.expect(wire.pubrel(c!));
      next.send(wire.pubcomp(c!));
    }),
  );

  test(
    "[MQTT-3.14.4-1] [MQTT-3.14.4-2] [3.1.1 MQTT-3.14.4-1] [3.1.1 MQTT-3.14.4-2] stop(): the same, and the next process goes on where it was",
    eachVersion(async (version) => {
      await using device = await Device.established(version);
      const { wire } = device;
      const letter: Letter = { qos: 2, payload: "a" };
      const [packetId] = await device.send(letter);
      const stopped = device.client.stop();
      await device.line.expect(DISCONNECT);
      await device.line.silence(20);
      await device.line.end();
      await stopped;
      await device.start();
      const line = await device.online();
      await line.expect(wire.publish(letter, packetId, true));
      line.send(wire.pubrec(packetId!));
      await line.expect(wire.pubrel(packetId!));
      line.send(wire.pubcomp(packetId!));
      await device.settle();
    }),
  );

  test(
    "[MQTT-3.14.4-1] [3.1.1 MQTT-3.14.4-2] stop({ drainMs }): DISCONNECT comes after the last acknowledgement",
    eachVersion(async (version) => {
      await using device = await Device.established(version);
      const { wire } = device;
      const [packetId] = await device.send({ qos: 2, payload: "a" });
      const stopped = device.client.stop({ drainMs: 20_000 });
      await device.line.silence(20);
      device.line.send(wire.pubrec(packetId!));
      await device.line.expect(wire.pubrel(packetId!));
      device.line.send(wire.pubcomp(packetId!));
      await device.line.expect(DISCONNECT);
      await device.line.end();
      await stopped;
    }),
  );
});

describe("The broker's", () => {
  const LETTERS: Letter[] = [{ qos: 2, payload: "a" }, { qos: 1, payload: "b" }];
  /** Least time to the next attempt, milliseconds. */
  const codes: readonly (readonly [code: number, what: string, patienceMs: number])[] = [
    [0x00, "normal disconnection", 0],
    [0x80, "unspecified error", 0],
    [0x81, "malformed packet", 0],
    [0x82, "protocol error", 0],
    [0x83, "implementation specific error", 0],
    [0x8b, "server shutting down", 0],
    [0x8d, "keep alive timeout", 0],
    [0x90, "topic name invalid", 0],
    [0x93, "receive maximum exceeded", 0],
    [0x95, "packet too large", 0],
    [0x96, "message rate too high", 0],
    [0x98, "administrative action", 0],
    [0x99, "payload format invalid", 0],
    [0x9a, "retain not supported", 0],
    [0x9b, "QoS not supported", 0],
    [0x9c, "use another server", 0],
    [0xa0, "maximum connect time", 0],
    [0x89, "server busy", 5_000],
    [0x97, "quota exceeded", 5_000],
    [0x9f, "connection rate exceeded", 5_000],
    [0x87, "not authorized", 60_000],
    [0x8e, "session taken over", 15_000],
  ];
  test(
    `[MQTT-4.13.1-1] [MQTT-3.14.4-1] [MQTT-4.4.0-1] whatever its code (${codes.map(([code]) => `0x${code.toString(16)}`).join(" ")}), ` +
      "the client sends nothing more, closes, comes back, later where it is asked for patience, and resends",
    only(5, async (device) => {
      const { wire } = device;
      const packetIds = await device.send(...LETTERS);
      for (const [code, what, patienceMs] of codes) {
        device.line.send(`e002${code.toString(16).padStart(2, "0")}00`);
        await device.line.end();
        const detail = await device.heard("disconnect", ({ reasonCode }) => reasonCode === code);
        assert.ok(detail.retryInMs! >= patienceMs, `${what}: the next attempt is in ${detail.retryInMs} ms`);
        assert.equal(detail.isTakenOver, code === 0x8e);
        if (patienceMs > 0) await device.connectAsync();
        const line = await device.online();
        await line.expect(...LETTERS.map((letter, index) => wire.publish(letter, packetIds[index], true)));
      }
      device.line.send(wire.pubrec(packetIds[0]!), wire.puback(packetIds[1]!));
      await device.line.expect(wire.pubrel(packetIds[0]!));
      device.line.send(wire.pubcomp(packetIds[0]!));
    }),
  );

  test(
    "[MQTT-3.1.4-3] taken over again and again (0x8E): the client does not fight, but waits ever longer",
    async () => {
      await using device = await Device.established(5);
      for (const leastMs of [15_000, 30_000, 60_000, 120_000]) {
        device.line.send("e0018e");
        await device.line.end();
        const { retryInMs } = await device.heard("disconnect", ({ isTakenOver }) => isTakenOver);
        assert.ok(retryInMs! >= leastMs, `the next attempt is in ${retryInMs} ms`);
        await device.connectAsync();
        await device.online();
      }
    },
  );

  test(
    "[MQTT-3.14.0-1] instead of CONNACK: the client closes and comes back",
    only(5, async (device) => {
      const line = await device.offline();
      line.send("e0018b");
      await line.end();
      await device.online();
    }),
  );
});
