import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import type { Transport } from "../../lib/core/ports.ts";
import { ProgressWatch } from "../../lib/core/progress_watch.ts";

const TIMEOUT_MS = 30_000;

/** What the watch looks at. */
const transport = {
  takenBytes: 0,
  packets: 0,
  waitingBytes: 0,
  patienceNow: 1,
  bufferedBytes: () => transport.waitingBytes,
  progress: () => transport.takenBytes + transport.packets,
  patience: () => transport.patienceNow,

  write(bytes: number): void {
    this.waitingBytes += bytes;
  },
  take(bytes: number): void {
    this.waitingBytes -= bytes;
    this.takenBytes += bytes;
  },
};

describe("The progress watch", () => {
  let watch: ProgressWatch;
  beforeEach(() => {
    Object.assign(transport, { takenBytes: 0, packets: 0, waitingBytes: 0, patienceNow: 1 });
    watch = new ProgressWatch(transport as unknown as Transport, TIMEOUT_MS);
    watch.restart(0);
  });

  test("waits for nothing while nothing is owed", () => {
    assert.equal(watch.dueAtMs(0), Infinity);
    assert.equal(watch.isOver(1e9, 0), false);
  });

  test("gives a peer up that owes something and is silent for the time-out, counted from the last answer", () => {
    assert.equal(watch.dueAtMs(1), TIMEOUT_MS);
    assert.equal(watch.isOver(TIMEOUT_MS - 1, 1), false);
    watch.restart(20_000);
    assert.equal(watch.isOver(TIMEOUT_MS, 1), false);
    assert.equal(watch.dueAtMs(1), 20_000 + TIMEOUT_MS);
    assert.equal(watch.isOver(20_000 + TIMEOUT_MS, 1), true);
  });

  test("gives a peer up that takes nothing, also when nothing else is owed", () => {
    transport.write(1_000);
    assert.equal(watch.dueAtMs(0), TIMEOUT_MS);
    assert.equal(watch.isOver(TIMEOUT_MS, 0), true);
  });

  test("does not take the answer to a ping for progress", () => {
    transport.packets++;
    assert.equal(watch.isOver(TIMEOUT_MS, 1), true);
  });

  test("takes it for progress when some of what waits is taken", () => {
    transport.write(1_000);
    assert.equal(watch.isOver(10_000, 1), false);
    transport.take(400);
    assert.equal(watch.isOver(20_000, 1), false);
    assert.equal(watch.dueAtMs(1), 20_000 + TIMEOUT_MS);
    assert.equal(watch.isOver(20_000 + TIMEOUT_MS, 1), true);
  });

  test("takes it for progress when the last of what waited has been taken", () => {
    transport.write(1_000);
    assert.equal(watch.isOver(10_000, 1), false);
    transport.take(1_000);
    assert.equal(watch.isOver(20_000, 1), false);
    assert.equal(watch.dueAtMs(1), 20_000 + TIMEOUT_MS);
  });

  test("does not overlook it when all was written and taken between two looks", () => {
    assert.equal(watch.isOver(0, 0), false);
    watch.restart(0);
    transport.write(1_000); // after the look, and only then is it asked when to look again
    assert.equal(watch.dueAtMs(1), TIMEOUT_MS);
    transport.take(1_000);
    assert.equal(watch.isOver(25_000, 1), false);
    assert.equal(watch.dueAtMs(1), 25_000 + TIMEOUT_MS);
    assert.equal(watch.isOver(25_000 + TIMEOUT_MS, 1), true);
  });

  test("is as patient as the transport says, for as long as it says so", () => {
    transport.patienceNow = 2.5;
    assert.equal(watch.dueAtMs(1), 2.5 * TIMEOUT_MS);
    assert.equal(watch.isOver(2 * TIMEOUT_MS, 1), false);
    transport.patienceNow = 1;
    assert.equal(watch.isOver(2 * TIMEOUT_MS, 1), true);
  });
});
