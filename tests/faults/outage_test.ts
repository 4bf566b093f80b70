/**
 * The broker is stopped and started again, the publishing process is killed, all while messages are in flight; the broker keeps its sessions.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TEST_MS_MAX, within } from "../support/deadline.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { Relay } from "../support/relay.ts";
import { Subscriber } from "../support/subscriber.ts";
import { WireWatch } from "../support/wire_watch.ts";
import { Tally } from "../support/workload.ts";
import { Lives } from "./lives.ts";

const MESSAGE_COUNT = 2_000;
/** Stored while there is no link, so that there is a queue to be sent when it is back. */
const OFFLINE_COUNT = 150;
const PER_SECOND = 1_500;
/** The blow falls at this packet of those that pass then. */
const NTH = 40;

for (const protocolVersion of [4, 5] as const) {
  const name = protocolVersion === 5 ? "5" : "3.1.1";
  test(
    `On MQTT ${name}, each message arrives once and in order through three stops of the broker and three kills of the process`,
    {
      skip: mosquittoMissing(),
      timeout: TEST_MS_MAX,
    },
    async () => {
      // Default limits: at most 20 in flight, at most 1,000 queued for a subscriber.
      const broker = await Mosquitto.start();
      const relay = await Relay.start(broker.port);
      const watch = new WireWatch(relay);
      const tally = new Tally();
      const subscriber = await Subscriber.start({ port: broker.port, onMessage: ({ payload }) => tally.take(payload) });
      const lives = new Lives({ clientId: "outage", protocolVersion });
      const openAtStop: number[] = [];
      try {
        for (const packet of ["pubrel", "pubrec", "publish"] as const) {
          await relay.cut();
          await lives.start(relay.port);
          await lives.publish(OFFLINE_COUNT);

          let stopped: Promise<void> | undefined;
          const struck = watch.strike(packet, NTH, () => stopped = broker.stop());
          await relay.restore();
          await within(struck, `a ${packet} to stop the broker at`);
          await stopped;
          await subscriber.gone();
          openAtStop.push(watch.openCount);
          await relay.cut();
          await lives.publish(OFFLINE_COUNT);

          await broker.restart();
          await subscriber.subscribed();
          const killed = lives.killInFlight(watch, packet, NTH);
          await relay.restore();
          lives.publishSome(OFFLINE_COUNT, PER_SECOND);
          await killed;
        }
        await lives.start(relay.port);
        await lives.publish(MESSAGE_COUNT - lives.acknowledged.length, PER_SECOND);
        await lives.flush();
        await subscriber.fence();

        assert.equal(lives.acknowledged.length, MESSAGE_COUNT);
        assert(openAtStop.every((count) => count > 0), `messages were in flight when the broker stopped: ${openAtStop}`);
        assert(lives.inFlight.every((count) => count > 0), `messages were in flight when the process was killed: ${lives.inFlight}`);
        lives.checkArrived(tally);
        assert.equal(tally.duplicates, 0, "none arrived twice");
        assert.equal(lives.sessionLostCount, 0, "the session was never lost");
        assert(watch.duplicateFlagCount > 0, "unfinished exchanges were taken up again");
        assert.equal(watch.protocolVersion, protocolVersion);
        await lives.stop();
      } finally {
        await lives.remove();
        await subscriber.stop();
        await relay.close();
        await broker.close();
      }
    },
  );
}
