/**
 * The power is cut, thousands of times, at every kind of moment: what a real client wrote and synced is recorded, the disk is rebuilt as it may be
 * then, and the product opens it again.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { straceMissing } from "../support/strace.ts";
import type { Verdict } from "./power_cut/campaign.ts";
import { runControl, runRound } from "./power_cut/rounds.ts";
import { countOf, describeBad, describeRound } from "./power_cut/summary.ts";

const skip = straceMissing() || mosquittoMissing();
/** Half of them on each version of MQTT. */
const STATES = 2_000;
const SECOND_STATES = 1_000;
const CONTROL_STATES = 300;

function checkGood({ bad }: Verdict, what: string): void {
  assert.equal(bad.length, 0, bad.length === 0 ? "" : `${what}: ${describeBad(bad)}`);
}

for (const protocolVersion of [5, 4] as const) {
  const name = protocolVersion === 5 ? "5" : "3.1.1";
  test(
    `On MQTT ${name}, after a power cut at any moment, and a second one while recovering, all that was acknowledged is there, with its marks`,
    {
      skip,
      timeout: 120_000,
    },
    async () => {
      const round = await runRound({
        seed: protocolVersion,
        stateCount: STATES / 2,
        secondStateCount: SECOND_STATES / 2,
        protocolVersion,
      });
      console.log(`${describeRound(round)}; MQTT ${name}`);

      const { first, second, hastyPublish, hastyRelease } = round;
      checkGood(first, "after one cut");
      checkGood(second, "after a second cut");
      assert.equal(first.stateCount + second.stateCount, (STATES + SECOND_STATES) / 2);
      assert(first.boundaryCount > 100, `cuts fell right after what left: ${first.boundaryCount}`);
      assert(round.checkpointCount > 0, "the log was copied to the database in the middle of it all");
      assert(first.sentCount > 0 && first.receivedCount > 0, "exchanges were open in both stages");
      assert(second.sentCount > 0 && second.receivedCount > 0, "exchanges were open in both stages after a second cut");
      assert(round.repeatCount > 0, "lives that began after a cut went on with what was in flight");
      assert(countOf(hastyPublish, "unmarked") > 0, "a PUBLISH before its mark would have been seen");
      assert(countOf(hastyRelease, "unmarked") > 0, "a PUBREL before its mark would have been seen");
    },
  );
}

test("Without a sync at each commit a power cut is seen to lose what was acknowledged, and leaves no cache that cannot be opened", {
  skip,
  timeout: 120_000,
}, async () => {
  const control = await runControl(1, CONTROL_STATES);
  console.log(`Power cut, control without syncs: ${countOf(control, "lost")} of ${control.stateCount} states lost what was acknowledged`);
  assert(countOf(control, "lost") > control.stateCount / 4, `states that lost what was acknowledged: ${countOf(control, "lost")}`);
  assert.equal(countOf(control, "altered"), 0, "no message was altered");
  const unopenable = control.bad.filter(({ breaches }) => breaches.some(({ rule }) => rule === "unopenable"));
  assert.equal(unopenable.length, 0, unopenable.length === 0 ? "" : describeBad(unopenable));
});
