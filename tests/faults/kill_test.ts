/**
 * The publishing process is killed with messages in every stage that they can be in, at random moments and at chosen writes to its disk. What a
 * subscriber got is compared with what was acknowledged: nothing of that is missing, and nothing arrives that was not published.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { straceMissing } from "../support/strace.ts";
import { type Blow, checkSets, describe, finish, liveAndDie, play, restartBroker } from "./kill_scene.ts";
import { STAGES } from "./kill_victim.ts";

const skip = straceMissing() || mosquittoMissing();
const timeout = 120_000;
const name = (protocolVersion: 4 | 5) => protocolVersion === 5 ? "MQTT 5" : "MQTT 3.1.1";

const KEPT: Readonly<Record<4 | 5, readonly Blow[]>> = {
  5: ["stored", "random", "sent", "write", "received", "random", "released", "write"],
  4: ["released", "write", "received", "sent", "random", "stored"],
};

for (const protocolVersion of [5, 4] as const) {
  test(
    `On ${name(protocolVersion)}, killed in every stage, with a broker that is stopped and keeps its sessions, each arrives once, in order`,
    {
      skip,
      timeout,
    },
    async () => {
      await play({ protocolVersion }, async (scene) => {
        const { victim, deliveries } = scene;
        for (const [index, blow] of KEPT[protocolVersion].entries()) {
          await liveAndDie(scene, blow);
          if (index % 2 === 1) await restartBroker(scene, "stop");
        }
        await finish(scene);
        console.log(describe(scene, `${name(protocolVersion)}, sessions kept`));
        checkSets(scene);
        assert.equal(deliveries.duplicates, 0, "none arrived twice");
        assert.equal(victim.sessionLostCount, 0, "the session was never lost");
        for (const stage of STAGES) assert(victim.killsByStage[stage] > 0, `kills found messages in stage ${stage}`);
      });
    },
  );
}

const LOST: Readonly<Record<4 | 5, readonly Blow[]>> = { 5: ["sent", "received", "released"], 4: ["released", "received"] };

for (const protocolVersion of [5, 4] as const) {
  test(`On ${name(protocolVersion)}, killed together with a broker that loses its sessions, nothing is lost and sessionlost is seen`, {
    skip,
    timeout,
  }, async () => {
    await play({ protocolVersion, broker: { isPersistent: false } }, async (scene) => {
      const { subscriber, victim, deliveries } = scene;
      for (const blow of LOST[protocolVersion]) {
        await liveAndDie(scene, blow);
        // What the broker has taken over is the subscriber's before it dies; the rest only the victim has.
        await subscriber.fence();
        await restartBroker(scene, "kill");
      }
      await finish(scene);
      console.log(describe(scene, `${name(protocolVersion)}, sessions lost`));
      checkSets(scene);
      assert.equal(victim.sessionLostCount, LOST[protocolVersion].length, "each loss was told");
      assert(deliveries.duplicates > 0, "what the broker had handed out and forgotten arrived again");
      assert(
        deliveries.duplicates <= victim.duplicatesPossibleCount,
        `each was said to be possible: ${deliveries.duplicates} of ${victim.duplicatesPossibleCount}`,
      );
    });
  });
}

const BROKER_BLOWS = ["received", "sent", "received", "released", "received"] as const;
/** So many are in flight at once. */
const WINDOW = 20;

test("With a broker that is killed and comes back with an older session, only what it had acknowledged by PUBREC may be missing", {
  skip,
  timeout,
}, async () => {
  const config = "autosave_on_changes true\nautosave_interval 1";
  await play({ protocolVersion: 5, broker: { config }, isSubscriberPersistent: false }, async (scene) => {
    const { relay, exchanges, subscriber, victim, deliveries } = scene;
    const doubtful = new Set<number>();
    const released = new Set<number>();
    const killBroker = async () => {
      exchanges.numbersIn("received", "released").forEach((number) => doubtful.add(number));
      exchanges.numbersIn("released").forEach((number) => released.add(number));
      const restarted = restartBroker(scene, "kill");
      await relay.cut();
      await restarted;
      await relay.restore();
    };
    await liveAndDie(scene, "received");
    await subscriber.fence();
    await killBroker();
    victim.start(relay.port);
    for (const stage of BROKER_BLOWS) {
      // What the broker had taken over to the end is the subscriber's before it dies.
      await victim.flush();
      await subscriber.fence();
      const reached = new Promise<void>((resolve) => exchanges.strikeAt(stage, 1, resolve));
      victim.publish(WINDOW);
      await reached;
      await killBroker();
    }
    await victim.finish();
    await finish(scene);
    const missingCount = checkSets(scene, doubtful);
    const sessions = exchanges.watch.sessionsPresent;
    console.log(
      `${
        describe(scene, `MQTT 5, broker killed ${1 + BROKER_BLOWS.length} times`)
      }; ${doubtful.size} were acknowledged by PUBREC alone, ${missingCount} of them are gone; ` +
        `session present ${sessions.filter((isPresent) => isPresent).length} of ${sessions.length} times`,
    );
    const unexpected = [...deliveries.repeated].filter((number) => !released.has(number));
    if (victim.sessionLostCount === 0) assert.deepEqual(unexpected, [], "only what was released when the broker died arrived twice");
    assert(doubtful.size > 0, "the broker died with messages that it had acknowledged by PUBREC alone");
  });
});
