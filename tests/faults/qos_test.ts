/**
 * Each QoS on each protocol version, whole: what is published is what arrives.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import { PersistClient, type PublishProperties } from "../../mod.ts";
import { AedesBroker } from "../support/aedes_broker.ts";
import { TEST_MS_MAX, within } from "../support/deadline.ts";
import { Inbox } from "../support/inbox.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { type Arrival, Subscriber } from "../support/subscriber.ts";

const COUNT = 50;
/** One of so many is to be retained. */
const RETAINED_EVERY = 10;

const properties: PublishProperties = {
  payloadFormatIndicator: true,
  messageExpiryInterval: 3_600,
  contentType: "application/json; charset=utf-8",
  responseTopic: "answers/🌡️",
  correlationData: Uint8Array.of(0, 1, 254, 255),
  userProperties: { unit: "V", source: ["a", "b", "a"], "": "empty name" },
};

interface Case {
  readonly name: string;
  readonly start: () => Promise<{ readonly port: number; close(): Promise<void> }>;
  /** What the client is told to speak; without, it finds out. */
  readonly asked?: 4 | 5;
  readonly spoken: 4 | 5;
  readonly skip: false | string;
}

const cases: readonly Case[] = [
  { name: "mosquitto, MQTT 3.1.1", start: () => Mosquitto.start(), asked: 4, spoken: 4, skip: mosquittoMissing() },
  { name: "mosquitto, MQTT 5", start: () => Mosquitto.start(), asked: 5, spoken: 5, skip: mosquittoMissing() },
  { name: "mosquitto, as it comes", start: () => Mosquitto.start(), spoken: 5, skip: mosquittoMissing() },
  {
    name: "aedes, as it comes",
    start: async () => {
      const broker = await AedesBroker.start();
      return { port: broker.port, close: () => broker.stop() };
    },
    spoken: 4,
    skip: false,
  },
];

for (const { name, start, asked, spoken, skip } of cases) {
  test(`QoS 0, 1 and 2 arrive as they were published (${name})`, { skip, timeout: TEST_MS_MAX }, async () => {
    const broker = await start();
    const folder = mkdtempSync(join(tmpdir(), "persistmq-qos-"));
    const inbox = new Inbox();
    const isAedes = name.startsWith("aedes");
    // aedes takes a message that it retains for a repeat, and drops it, when a later one overtakes it meanwhile.
    const isRetained = (index: number) => !isAedes && index % RETAINED_EVERY === 0;
    const subscriber = await Subscriber.start({
      port: broker.port,
      protocolVersion: isAedes ? 4 : 5,
      isPersistent: !isAedes,
      onMessage: (arrival) => inbox.take(arrival),
    });
    try {
      await using client = new PersistClient({
        clientId: "qos",
        cachePath: join(folder, "cache"),
        log: false,
        ...(asked === undefined ? {} : { protocolVersion: asked }),
      });
      await client.connectAsync({ host: "127.0.0.1", port: broker.port });
      const server = await within(client.connected(), "a connection");
      assert.equal(server.protocolVersion, spoken);

      const indexes = Array.from({ length: COUNT }, (_, index) => index);
      for (const qos of [0, 1, 2] as const) {
        for (const index of indexes) {
          client.publish(`qos/${qos}/${index}`, Uint8Array.of(qos, index), { qos, retain: isRetained(index), properties });
        }
        await within(client.flush(), () => `all messages to be delivered: ${JSON.stringify(client.getStatus())}`);
        const arrivals = await within(inbox.next(COUNT), `${COUNT} messages at the subscriber`);
        assert.deepEqual(arrivals.map(({ topic }) => topic), indexes.map((index) => `qos/${qos}/${index}`));
        for (const [index, arrival] of arrivals.entries()) {
          assert.deepEqual([...arrival.payload], [qos, index]);
          assert.equal(arrival.qos, qos);
          if (spoken === 5) checkProperties(arrival.properties);
          else assert.deepEqual({ ...arrival.properties }, {}, "3.1.1 has no properties");
        }
        await subscriber.fence();
        assert.equal(inbox.takeAll().length, 0, "nothing arrived twice");
      }
      assert.equal(client.getStatus().ledger?.delivered, 3 * COUNT);

      const retained: string[] = [];
      const late = await Subscriber.start({
        port: broker.port,
        isPersistent: false,
        onMessage: ({ topic, retain }) => retain ? retained.push(topic) : undefined,
      });
      await late.fence();
      await late.stop();
      const expected = [0, 1, 2].flatMap((qos) => indexes.filter(isRetained).map((index) => `qos/${qos}/${index}`));
      assert.deepEqual(retained.sort(), expected.sort());
      assert.equal(client.getStatus().propertiesDroppedCount, spoken === 5 ? 0 : 3 * COUNT);
      assert.equal(client.getStatus().cachedItems, 0);
    } finally {
      await subscriber.stop();
      await broker.close();
      rmSync(folder, { recursive: true, force: true });
    }
  });
}

function checkProperties(arrived: Arrival["properties"]): void {
  const { messageExpiryInterval = 0, correlationData = Buffer.alloc(0), userProperties = {}, ...rest } = arrived;
  const { payloadFormatIndicator, contentType, responseTopic } = properties;
  assert.deepEqual({ ...rest }, { payloadFormatIndicator, contentType, responseTopic });
  assert(messageExpiryInterval > 3_500 && messageExpiryInterval <= 3_600, `expiry ${messageExpiryInterval}`);
  assert.deepEqual([...correlationData], [...properties.correlationData!]);
  assert.deepEqual({ ...userProperties }, properties.userProperties);
}
