/**
 * Keep Alive, in seconds that pass. As each scenario mostly waits, all run at once, each with a device of its own; the tests report how they
 * ended.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ProtocolVersion } from "../../lib/core/message.ts";
import { type Letter, PINGREQ, PINGRESP, says } from "./bytes.ts";
import { Device, type DeviceOptions } from "./device.ts";
import type { Line } from "./line.ts";

/** A broker closes the connection when it has heard nothing for one and a half times the keep-alive [MQTT-3.1.2-22] [3.1.1 MQTT-3.1.2-24]. */
const PATIENCE = 1.5;

interface KeepAlive {
  readonly title: string;
  readonly versions: readonly ProtocolVersion[];
  /** The client's own, seconds. */
  readonly seconds: number;
  readonly options?: DeviceOptions;
  run(device: Device): Promise<void>;
}

/** The packets come, one after the other, none later than a broker of this keep-alive waits. */
async function expectInTime(line: Line, seconds: number, ...packets: readonly string[]): Promise<void> {
  for (const packet of packets) {
    const sinceMs = performance.now();
    await line.expect(packet);
    const waitedMs = performance.now() - sinceMs;
    assert.ok(waitedMs < seconds * PATIENCE * 1000, `the packet came ${Math.round(waitedMs)} ms after the one before`);
  }
}

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
const letter: Letter = { qos: 1, payload: "a" };

const list: readonly KeepAlive[] = [
  {
    title:
      "[MQTT-3.1.2-20] [3.1.1 MQTT-3.1.2-23] an idle connection is pinged in time, again and again, and lives as long as pings are answered",
    versions: [4, 5],
    seconds: 1,
    async run({ line }) {
      for (let time = 0; time < 2; time++) {
        await expectInTime(line, 1, PINGREQ);
        line.send(PINGRESP);
      }
    },
  },
  {
    title:
      "[MQTT-3.1.2-20] [3.1.1 MQTT-3.1.2-23] what is only heard is no reason to say nothing: an acknowledgement comes late, the ping does not",
    versions: [4, 5],
    seconds: 1,
    async run(device) {
      const { line, wire } = device;
      const [packetId] = await device.send(letter);
      const late = sleep(800).then(() => line.send(wire.puback(packetId!)));
      await expectInTime(line, 1, PINGREQ);
      await late;
      line.send(PINGRESP);
    },
  },
  {
    title: "[MQTT-3.1.2-20] [3.1.1 MQTT-3.1.2-23] nor is it while the broker talks all the time",
    versions: [4, 5],
    seconds: 1,
    async run({ line, wire }) {
      const talk = setInterval(() => line.send(wire.publish({ qos: 0, payload: "x", topic: "somebody/elses" })), 50);
      try {
        await expectInTime(line, 1, PINGREQ);
      } finally {
        clearInterval(talk);
      }
      line.send(PINGRESP);
    },
  },
  {
    title:
      "[MQTT-3.3.4-8] [MQTT-4.9.0-3] [MQTT-4.4.0-1] [3.1.1 MQTT-3.1.2-23] [3.1.1 MQTT-4.4.0-1] with acknowledgements withheld and the window full " +
      "it is pinged all the same, and nothing is resent",
    versions: [4, 5],
    seconds: 1,
    options: { inFlightMax: 2 },
    async run(device) {
      const letters: Letter[] = [letter, { qos: 2, payload: "b" }, { qos: 1, payload: "c" }];
      const { line, wire } = device;
      device.publish(...letters);
      const [a, b] = await device.expectNew(letters[0]!, letters[1]!);
      for (let time = 0; time < 2; time++) {
        await expectInTime(line, 1, PINGREQ);
        line.send(PINGRESP);
      }
      line.answersPings = true;
      line.send(wire.puback(a!), wire.pubrec(b!));
      const frames = [(await line.next()).bytes.toString("hex"), (await line.next()).bytes.toString("hex")];
      const [c] = device.ids(1);
      assert.deepEqual(frames.sort(), [wire.publish(letters[2]!, c), wire.pubrel(b!)].sort());
      line.send(wire.pubcomp(b!), wire.puback(c!));
    },
  },
  {
    title:
      "[MQTT-3.1.2-20] [MQTT-4.4.0-1] [3.1.1 MQTT-3.1.2-23] [3.1.1 MQTT-4.4.0-1] a ping that is not answered ends the connection, and the next one resumes",
    versions: [4, 5],
    seconds: 1,
    async run(device) {
      const { line, wire } = device;
      const [packetId] = await device.send(letter);
      await expectInTime(line, 1, PINGREQ);
      await line.end();
      const next = await device.online();
      await next.expect(wire.publish(letter, packetId, true));
      next.send(wire.puback(packetId!));
    },
  },
  {
    title: "[MQTT-3.1.2-21] [MQTT-3.2.2-21] Server Keep Alive is obeyed instead of the client's own, also where that is none",
    versions: [5],
    seconds: 60,
    async run(device) {
      const line = await device.reconnect({ properties: says.serverKeepAlive(1) });
      await expectInTime(line, 1, PINGREQ);
      line.send(PINGRESP);
    },
  },
  {
    title: "[MQTT-3.1.2-21] [MQTT-3.2.2-21] Server Keep Alive 0: no pings; and it holds for its connection alone",
    versions: [5],
    seconds: 1,
    async run(device) {
      await (await device.reconnect({ properties: says.serverKeepAlive(0) })).silence(1_200);
      await expectInTime(await device.reconnect(), 1, PINGREQ);
      device.line.send(PINGRESP);
    },
  },
  {
    title: "Keep Alive 0, the client's own: no pings, unless the broker wants them",
    versions: [4, 5],
    seconds: 0,
    async run(device) {
      await device.line.silence(1_200);
      if (device.version === 4) return;
      const line = await device.reconnect({ properties: says.serverKeepAlive(1) });
      await expectInTime(line, 1, PINGREQ);
      line.send(PINGRESP);
    },
  },
];

async function play({ seconds, options, run }: KeepAlive, version: ProtocolVersion): Promise<void> {
  await using device = await Device.create(version, { ...options, mqtt: { keepalive: seconds } });
  device.connect = { keepAliveSeconds: seconds };
  await device.begin();
  await run(device);
  // A ping may be due at any time now.
  if (seconds === 0 || seconds === 60) await device.settle();
}

/** Begun by the first test. */
let outcomes: Map<KeepAlive, Promise<PromiseSettledResult<void>[]>> | undefined;

describe("Keep Alive", () => {
  for (const each of list) {
    test(each.title, async () => {
      outcomes ??= new Map(list.map((other) => [other, Promise.allSettled(other.versions.map((version) => play(other, version)))]));
      for (const outcome of await outcomes.get(each)!) if (outcome.status === "rejected") throw outcome.reason;
    });
  }
});
