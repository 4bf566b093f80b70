/**
 * A device that comes up long before its broker does.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TEST_MS_MAX, within } from "../support/deadline.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { Relay } from "../support/relay.ts";
import { Subscriber } from "../support/subscriber.ts";
import { Tally } from "../support/workload.ts";
import { Lives } from "./lives.ts";

const MESSAGE_COUNT = 10_000;

test("10,000 messages published before any broker exists arrive once and in order, even after a restart", {
  skip: mosquittoMissing(),
  timeout: TEST_MS_MAX,
}, async () => {
  // Stands for the broker's address; nothing listens there.
  const relay = await Relay.start(0);
  await relay.cut();
  const tally = new Tally();
  const lives = new Lives({ clientId: "early-riser" });
  let broker: Mosquitto | undefined;
  let subscriber: Subscriber | undefined;
  try {
    await lives.start(relay.port);
    await lives.publish(MESSAGE_COUNT);
    await lives.kill();
    const { accepted, waiting } = await lives.start(relay.port);
    assert.deepEqual({ accepted, waiting }, { accepted: MESSAGE_COUNT, waiting: MESSAGE_COUNT });

    // By default it would discard what the subscriber cannot take fast enough.
    broker = await Mosquitto.start({ config: "max_queued_messages 0" });
    subscriber = await Subscriber.start({ port: broker.port, onMessage: ({ payload }) => tally.take(payload) });
    relay.targetPort = broker.port;
    await relay.restore();
    await lives.flush();
    await within(tally.arrived(MESSAGE_COUNT), () => `${MESSAGE_COUNT} messages at the subscriber, there are ${tally.numbers.length}`);
    await subscriber.fence();

    lives.checkArrived(tally);
    assert.equal(tally.duplicates, 0, "none arrived twice");
    await lives.stop();
  } finally {
    await lives.remove();
    await subscriber?.stop();
    await relay.close();
    await broker?.close();
  }
});
