import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { KnownTime } from "../../lib/core/known_time.ts";
import { VirtualClock } from "../simulation/virtual_clock.ts";

const HOUR_MS = 3_600_000;

describe("KnownTime", () => {
  it("counts the time the process runs by the monotonic clock, whatever the wall clock does", () => {
    const clock = new VirtualClock();
    const time = new KnownTime(clock, { epochMs: 0, knownMs: 1_000 });
    clock.moveTo(HOUR_MS);
    clock.setEpochMs(4_102_444_800_000);
    assert.equal(time.now().knownMs, 1_000 + HOUR_MS);
  });

  it("counts the time powered off if the wall clock was set before and after", () => {
    const clock = new VirtualClock();
    const last = { epochMs: clock.epochMs() - 5 * HOUR_MS, knownMs: 7 };
    assert.equal(new KnownTime(clock, last).now().knownMs, 7 + 5 * HOUR_MS);
  });

  it("lets time stand still when the clock was not set before", () => {
    assert.equal(new KnownTime(new VirtualClock(), { epochMs: 5_000, knownMs: 7 }).now().knownMs, 7);
  });

  it("lets time stand still when the clock is not set yet, or has gone back", () => {
    const clock = new VirtualClock();
    const last = { epochMs: clock.epochMs(), knownMs: 7 };
    clock.setEpochMs(3_000);
    assert.equal(new KnownTime(clock, last).now().knownMs, 7);
    clock.setEpochMs(last.epochMs - 1);
    assert.equal(new KnownTime(clock, last).now().knownMs, 7);
  });
});
