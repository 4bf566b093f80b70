/**
 * A new cache under a name that the broker knows: its session still holds packet ids, and a broker takes the next message under such an id for
 * a repeat of the old one. None may be swallowed.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PersistClient } from "../../mod.ts";
import { AedesBroker } from "../support/aedes_broker.ts";
import { TEST_MS_MAX, within } from "../support/deadline.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { RawClient } from "../support/raw_client.ts";
import { Subscriber } from "../support/subscriber.ts";
import { encodeReading, READINGS_TOPIC, Tally } from "../support/workload.ts";

const CLIENT_ID = "known";
const MESSAGE_COUNT = 100;
/** The packet ids that a new cache gives out first. */
const HELD_IDS = Array.from({ length: 15 }, (_, index) => index + 1);

/** Leaves exchanges open that were begun and never released. */
async function holdPacketIds(port: number, protocolVersion: 4 | 5): Promise<void> {
  const { client } = await RawClient.start(port, CLIENT_ID, protocolVersion);
  for (const messageId of HELD_IDS) {
    client.send({ cmd: "publish", topic: "old", payload: "old", qos: 2, messageId, dup: false, retain: false });
    await client.next((packet) => packet.cmd === "pubrec" && packet.messageId === messageId);
  }
  await client.breakOff();
}

/** Shows that the danger is real: what goes under a held id, as if it were new, is swallowed. */
async function checkSwallows(port: number, protocolVersion: 4 | 5): Promise<void> {
  const { client } = await RawClient.start(port, CLIENT_ID, protocolVersion);
  const messageId = HELD_IDS[0]!;
  client.send({
    cmd: "publish",
    topic: READINGS_TOPIC,
    payload: encodeReading(MESSAGE_COUNT + 1),
    qos: 2,
    messageId,
    dup: false,
    retain: false,
  });
  await client.next((packet) => packet.cmd === "pubrec" && packet.messageId === messageId);
  await client.breakOff();
}

interface Case {
  readonly name: string;
  readonly protocolVersion: 4 | 5;
  readonly start: () => Promise<{ readonly port: number; close(): Promise<void> }>;
  readonly skip: false | string;
  readonly isSubscriberPersistent: boolean;
}

async function startAedes(keepsSessions: boolean) {
  const broker = await AedesBroker.start({ keepsSessions });
  return { port: broker.port, close: () => broker.stop() };
}

const cases: readonly Case[] = [
  ...([4, 5] as const).map((protocolVersion): Case => ({
    name: `mosquitto, MQTT ${protocolVersion === 5 ? "5" : "3.1.1"}`,
    protocolVersion,
    start: () => Mosquitto.start(),
    skip: mosquittoMissing(),
    isSubscriberPersistent: true,
  })),
  ...[true, false].map((keepsSessions): Case => ({
    name: `aedes that says ${keepsSessions ? "that" : "nothing of it when"} it kept the session`,
    protocolVersion: 4,
    start: () => startAedes(keepsSessions),
    skip: false,
    isSubscriberPersistent: false,
  })),
];

for (const { name, protocolVersion, start, skip, isSubscriberPersistent } of cases) {
  test(
    `A new cache under a known name loses nothing to the packet ids of the old session (${name})`,
    { skip, timeout: TEST_MS_MAX },
    async () => {
      const broker = await start();
      const tally = new Tally();
      const subscriber = await Subscriber.start({
        port: broker.port,
        isPersistent: isSubscriberPersistent,
        onMessage: ({ topic, payload }) => topic === READINGS_TOPIC ? tally.take(payload) : undefined,
      });
      const folder = mkdtempSync(join(tmpdir(), "persistmq-old-session-"));
      try {
        await holdPacketIds(broker.port, protocolVersion);
        await checkSwallows(broker.port, protocolVersion);

        await using client = new PersistClient({ clientId: CLIENT_ID, cachePath: join(folder, "cache"), protocolVersion, log: false });
        await client.connectAsync({ host: "127.0.0.1", port: broker.port });
        for (let number = 1; number <= MESSAGE_COUNT; number++) client.publish(READINGS_TOPIC, encodeReading(number));
        await within(client.flush(), "all messages to be delivered");
        await subscriber.fence();

        assert.deepEqual(tally.numbers, Array.from({ length: MESSAGE_COUNT }, (_, index) => index + 1));
        assert.equal(tally.duplicates, 0);
      } finally {
        await subscriber.stop();
        await broker.close();
        rmSync(folder, { recursive: true, force: true });
      }
    },
  );
}
