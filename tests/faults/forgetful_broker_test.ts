/**
 * A broker that forgets its sessions: it is killed, and comes back knowing nothing. Messages may arrive twice then, none may be missing.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { TEST_MS_MAX, within } from "../support/deadline.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { hold, Relay } from "../support/relay.ts";
import { Subscriber } from "../support/subscriber.ts";
import { WireWatch } from "../support/wire_watch.ts";
import { Tally } from "../support/workload.ts";
import { Lives } from "./lives.ts";

const MESSAGE_COUNT = 2_000;
const OFFLINE_COUNT = 200;
const PER_SECOND = 1_500;
const NTH = 60;

for (const protocolVersion of [4, 5] as const) {
  const name = protocolVersion === 5 ? "5" : "3.1.1";
  test(`On MQTT ${name}, nothing is lost to a broker that forgets its sessions three times, and sessionlost is seen`, {
    skip: mosquittoMissing(),
    timeout: TEST_MS_MAX,
  }, async () => {
    const broker = await Mosquitto.start({ isPersistent: false });
    const relay = await Relay.start(broker.port);
    const watch = new WireWatch(relay);
    const tally = new Tally();
    const subscriber = await Subscriber.start({ port: broker.port, onMessage: ({ payload }) => tally.take(payload) });
    const lives = new Lives({ clientId: "forgotten", protocolVersion });
    let openCount = 0;
    try {
      await lives.start(relay.port);
      // Stalled on the way up the broker has not seen what is open; on the way down it has handed it out already.
      for (const [packet, direction] of [["publish", "up"], ["pubrec", "down"], ["pubrel", "down"]] as const) {
        await relay.cut();
        await lives.publish(OFFLINE_COUNT);
        const stalled = watch.strike(packet, NTH, () => relay.treat({ [direction]: hold }));
        await relay.restore();
        openCount += await within(stalled, `a ${packet} to stall the link at`);

        // What the broker took over reaches the subscriber before the broker dies; the rest only the publisher has.
        await subscriber.fence();
        await broker.kill();
        await subscriber.gone();
        await relay.cut();
        if (packet === "pubrec") {
          await lives.kill();
          await lives.start(relay.port);
        }
        await broker.restart();
        await subscriber.subscribed();
        await relay.restore();
      }
      await lives.publish(MESSAGE_COUNT - lives.acknowledged.length, PER_SECOND);
      await lives.flush();
      await subscriber.fence();

      assert.equal(lives.acknowledged.length, MESSAGE_COUNT);
      assert(openCount > 0, "messages were in flight when the broker died");
      lives.checkArrived(tally);
      const { duplicates } = tally;
      assert(duplicates > 0, "what the broker had handed out and forgotten arrived again");
      assert(duplicates <= openCount, `at most what was in flight arrived twice: ${duplicates} of ${openCount}`);
      assert(
        duplicates <= lives.duplicatesPossibleCount,
        `each was said to be possible: ${duplicates} of ${lives.duplicatesPossibleCount}`,
      );
      assert.equal(lives.sessionLostCount, 3, "each loss was told");
      await lives.stop();
    } finally {
      await lives.remove();
      await subscriber.stop();
      await relay.close();
      await broker.close();
    }
  });
}
