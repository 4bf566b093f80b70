/**
 * The disk gives trouble: the n-th call of a kind fails, once or from then on. `publish()` says so and acknowledges nothing that is not there, the
 * process lives on, and when the trouble is over all goes on by itself.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { setTimeout as delay } from "node:timers/promises";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { Spoiler, spoiling, spoiltCount, straceMissing } from "../support/strace.ts";
import { Subscriber } from "../support/subscriber.ts";
import { Tally } from "../support/workload.ts";
import { checkTrouble, type DiskFault, Patient } from "./io_error_patient.ts";

const skip = straceMissing({ attaches: true }) || mosquittoMissing();
const timeout = 120_000;
const RUNTIME = "Bun" in globalThis ? "Bun" : "Deno";
const BATCH = 12;

function fault(calls: string, error: string, when: string | number): DiskFault {
  return { calls: calls.split(" "), effect: `error=${error}`, when: String(when) };
}

const STAT = "stat lstat statx newfstatat";

const ONCE: readonly DiskFault[] = [
  fault("pwrite64", "EIO", 1),
  fault("pwrite64", "EIO", 4),
  fault("pwrite64", "EIO", 11),
  fault("pwrite64", "ENOSPC", 1),
  fault("pwrite64", "ENOSPC", 6),
  fault("fsync", "EIO", 1),
  fault("fsync", "EIO", 2),
  fault("fsync", "EIO", 3),
  fault("fsync", "ENOSPC", 2),
  fault(STAT, "EIO", 1),
  fault(STAT, "EIO", 5),
];

const FOR_GOOD: readonly DiskFault[] = [
  fault("pwrite64", "EIO", "1+"),
  fault("pwrite64", "ENOSPC", "3+"),
  fault("fsync", "EIO", "1+"),
  fault("pread64 pwrite64 fsync ftruncate", "EIO", "2+"),
];

const WHILE_OPENING: readonly DiskFault[] = [
  fault("open openat", "EIO", 3),
  fault("open openat", "ENOSPC", 5),
  fault("pwrite64", "EIO", 2),
  fault("pwrite64", "ENOSPC", 4),
  fault("fsync", "EIO", 2),
  fault("fsync", "EIO", "1+"),
];

const LASTS_MS = 1_500;
/** A call that fails is tried again by a client that waits longer each time; one that does not wait tries it a thousand times in this time. */
const TRIES_MAX = 60;
const CPU_SHARE_MAX = 0.6;

/** Broker, subscriber and patient. */
async function play(run: (patient: Patient, port: number) => Promise<string>): Promise<void> {
  const broker = await Mosquitto.start();
  const tally = new Tally();
  const subscriber = await Subscriber.start({ port: broker.port, onMessage: ({ payload }) => tally.take(payload) });
  const patient = new Patient();
  try {
    const what = await run(patient, broker.port);
    await subscriber.fence();
    const { stored, unknown, refused, troubles } = patient;
    console.log(
      `I/O errors, ${RUNTIME}, ${what}: ${stored.size} acknowledged, ${unknown.size} unknown, ${refused.size} refused, ${tally.numbers.length} arrived, ` +
        `${tally.duplicates} duplicates, ${tally.outOfOrder} out of order; said: ${
          [...new Set(troubles.map(({ code }) => code))].join(", ")
        }`,
    );
    patient.check(tally);
  } finally {
    patient.remove();
    await subscriber.stop();
    await broker.close();
  }
}

test(
  "A call that fails once is said, acknowledges nothing that is not there, and is got over without help",
  { skip, timeout },
  async () => {
    await play(async (patient, port) => {
      patient.start(port);
      assert.equal(await patient.opened(0), undefined);
      await patient.publish(BATCH);
      for (const diskFault of ONCE) {
        const spoilt = patient.spoil(diskFault);
        const spoiler = await Spoiler.attach(patient.child.pid, spoilt);
        await patient.publish(BATCH);
        await spoiler.detach();
        assert.equal(spoiltCount(spoilt.logPath), 1, `the call failed: ${JSON.stringify(diskFault)}`);
        await patient.recovered();
      }
      assert(patient.errorCount > 0, "it was told as an error event too");
      await patient.finish();
      return `${ONCE.length} calls that failed once`;
    });
  },
);

test(
  "A call that fails for good is said, keeps nobody busy, and is got over without help when it works again",
  { skip, timeout },
  async () => {
    await play(async (patient, port) => {
      patient.start(port);
      assert.equal(await patient.opened(0), undefined);
      await patient.publish(BATCH);
      const tries: number[] = [];
      for (const diskFault of FOR_GOOD) {
        const spoilt = patient.spoil(diskFault);
        const spoiler = await Spoiler.attach(patient.child.pid, spoilt);
        const rejectedCount = patient.troubles.length;
        await patient.publish(BATCH);
        assert(patient.troubles.length > rejectedCount, `publish() has rejected: ${JSON.stringify(diskFault)}`);
        const cpuMs = patient.cpuMs();
        const before = spoiltCount(spoilt.logPath);
        await delay(LASTS_MS);
        tries.push(spoiltCount(spoilt.logPath) - before);
        const share = (patient.cpuMs() - cpuMs) / LASTS_MS;
        assert(tries.at(-1)! <= TRIES_MAX, `it tried again ${tries.at(-1)} times in ${LASTS_MS} ms: ${JSON.stringify(diskFault)}`);
        assert(share <= CPU_SHARE_MAX, `it used ${share.toFixed(2)} of a processor while it waited: ${JSON.stringify(diskFault)}`);
        await patient.publish(1);
        await spoiler.detach();
        await patient.recovered();
      }
      await patient.finish();
      return `${FOR_GOOD.length} calls that failed for good (${tries.join(", ")} tries while nothing was published)`;
    });
  },
);

test("A call that fails while the cache is opened is said, and the next attempt opens it", { skip, timeout }, async () => {
  await play(async (patient, port) => {
    let refusedCount = 0;
    for (const diskFault of WHILE_OPENING) {
      const isForGood = diskFault.when.endsWith("+");
      const spoilt = patient.spoil(diskFault, "", "lock", "lock.owner", "lock.owner.new");
      patient.start(port, spoiling(spoilt));
      let trouble = await patient.opened(0);
      for (let attempt = 1; trouble !== undefined && attempt <= 3; attempt++) {
        refusedCount++;
        checkTrouble(trouble);
        patient.connect(port);
        trouble = await patient.opened(attempt);
      }
      assert.equal(trouble !== undefined, isForGood, `the cache was opened once its calls worked: ${JSON.stringify([diskFault, trouble])}`);
      assert(spoiltCount(spoilt.logPath) >= 1, `the call failed: ${JSON.stringify(diskFault)}`);
      await patient.publish(isForGood ? 1 : BATCH);
      // What it leaves is to be settled by the next one, while that opens the cache.
      await patient.killTraced();
    }
    patient.start(port);
    assert.equal(await patient.opened(0), undefined, "the cache is opened where all calls work");
    await patient.publish(BATCH);
    await patient.finish();
    return `${WHILE_OPENING.length} calls that failed while the cache was opened (${refusedCount} refusals)`;
  });
});
