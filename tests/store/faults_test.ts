/**
 * A fault at every call to SQLite in turn: a batch happened or it did not, whatever was acknowledged is there, and the way back leads through
 * reopen().
 */
import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { describe, test } from "node:test";
import { type Outbox, type OutboxBatch, StoreError } from "../../lib/core/ports.ts";
import { CacheError } from "../../lib/errors.ts";
import { openCache } from "../../lib/store/open_cache.ts";
import { RESULT } from "../../lib/store/ports.ts";
import { message, messages, moment, sent } from "../contracts/outbox.ts";
import { assertSame, ModelOutbox } from "../contracts/outbox_model.ts";
import { type Fault, FaultyRuntime } from "./faulty_runtime.ts";
import { cacheOptions, folderInMemory, openTestRuntime } from "./fixtures.ts";

const runtime = await openTestRuntime();

/** What the outbox is told to do, one after the other; every kind of statement is among it. */
const STEPS: readonly { readonly real: (outbox: Outbox) => unknown; readonly model: (model: ModelOutbox) => unknown }[] = [
  ...([
    { at: moment(1), append: messages(1, 6), sent: sent(1, 1, 1, 2), packetIdCursor: 2, session: { state: "established", broker: "b" } },
    {
      at: moment(2),
      append: [message(9), message(10, { qos: 0 })],
      removed: [{ id: 10, fate: "delivered" }],
      received: [{ id: 1, receivedNumber: 1 }],
    },
    { at: moment(3), removed: [{ id: 1, fate: "delivered" }, { id: 3, fate: "expired" }], requeued: [{ id: 2, attempts: 1 }] },
    { at: moment(4), sent: [...sent(2, 3, 3), ...sent(4, 4, 4)], quarantined: [{ id: 5, reason: "no", attempts: 1 }], packetIdCursor: 4 },
    { at: moment(5), freePacketIds: true, session: { state: "none" }, sent: sent(2, 5, 5), packetIdCursor: 5 },
  ] satisfies OutboxBatch[]).map((batch) => ({
    real: (outbox: Outbox) => outbox.commit(batch),
    model: (model: ModelOutbox) => model.commit(batch),
  })),
  { real: (outbox) => outbox.requeueQuarantined([5], moment(6)), model: (model) => model.requeue([5], moment(6)) },
  { real: (outbox) => outbox.purge([5, 6], moment(7)), model: (model) => model.purge([5, 6], moment(7)) },
];

function modelAfter(stepCount: number): ModelOutbox {
  const model = new ModelOutbox();
  for (const { model: step } of STEPS.slice(0, stepCount)) step(model);
  return model;
}

/** Every call is looked at until one run went through without coming to the fault. */
function sweep(fault: Omit<Fault, "atCall">, run: (fault: Fault) => boolean): number {
  for (let atCall = 1;; atCall++) if (!run({ ...fault, atCall })) return atCall - 1;
}

function isSame(outbox: Outbox, model: ModelOutbox): boolean {
  try {
    assertSame(outbox, model);
    return true;
  } catch {
    return false;
  }
}

/** Runs the steps with one fault among them; true if it came about. */
function runSteps(fault: Fault): boolean {
  using folder = folderInMemory();
  const faulty = new FaultyRuntime(runtime);
  const cache = openCache(faulty, cacheOptions(folder.path));
  const { outbox } = cache;
  faulty.set(fault);
  let doneCount = 0;
  let hasFailed = false;
  while (doneCount < STEPS.length) {
    try {
      STEPS[doneCount]!.real(outbox);
      doneCount++;
    } catch (error) {
      assert.ok(error instanceof StoreError, `a StoreError, not ${error}`);
      hasFailed = true;
      if (error.kind === "full") {
        faulty.set(undefined);
        assertSame(outbox, modelAfter(doneCount));
        continue;
      }
      for (const call of [() => outbox.ledger(), () => outbox.flights(), () => outbox.commit({ at: moment(99), packetIdCursor: 1 })]) {
        assert.throws(call, StoreError, "nothing is believed before reopen()");
      }
      if (fault.lasts === "on") assert.throws(() => outbox.reopen(), StoreError);
      faulty.set(undefined);
      outbox.reopen();
      const hasHappened = isSame(outbox, modelAfter(doneCount + 1));
      if (!hasHappened) assertSame(outbox, modelAfter(doneCount));
      // `full` promised that nothing happened; any other fault leaves it open.
      if (hasHappened) doneCount++;
    }
  }
  assert.equal(hasFailed, hasFailed || faulty.hasFailed, "no fault goes unnoticed");
  faulty.set(undefined);
  assertSame(outbox, modelAfter(STEPS.length));
  cache.close();
  const again = openCache(runtime, cacheOptions(folder.path));
  assertSame(again.outbox, modelAfter(STEPS.length));
  again.close();
  return hasFailed;
}

/** Opens a cache, new or with one message in it, with one fault on the way; true if it came about. */
function runOpening(fault: Fault, isNew: boolean): boolean {
  using folder = folderInMemory();
  const faulty = new FaultyRuntime(runtime);
  const model = new ModelOutbox();
  if (!isNew) {
    const batch = { at: moment(1), append: [message(1)] };
    const cache = openCache(faulty, cacheOptions(folder.path));
    cache.outbox.commit(batch);
    cache.close();
    model.commit(batch);
  }
  faulty.set(fault);
  try {
    openCache(faulty, cacheOptions(folder.path)).close();
    assert.equal(faulty.hasFailed, false, "no fault goes unnoticed");
  } catch (error) {
    assert.ok(error instanceof CacheError, `a CacheError, not ${error}`);
    assert.equal(readdirSync(folder.path).includes("lock.owner"), false, "the lock is free");
  }
  const { hasFailed } = faulty;
  faulty.set(undefined);
  const cache = openCache(faulty, cacheOptions(folder.path));
  assertSame(cache.outbox, model);
  cache.close();
  return hasFailed;
}

const FAULTS = {
  "An I/O error": { resultCode: RESULT.ioError, when: "before", lasts: "once" },
  "An I/O error that stays": { resultCode: RESULT.ioError, when: "before", lasts: "on" },
  "An I/O error after the work was done": { resultCode: RESULT.ioError, when: "after", lasts: "once" },
  "An I/O error after the work was done, that stays,": { resultCode: RESULT.ioError, when: "after", lasts: "on" },
  "A full disk, with nothing working any more,": { resultCode: RESULT.full, when: "before", lasts: "on" },
  "A full disk": { resultCode: RESULT.full, when: "before", lasts: "once" },
} satisfies Record<string, Omit<Fault, "atCall">>;

describe("A fault in SQLite", () => {
  for (const [what, fault] of Object.entries(FAULTS)) {
    test(`${what} at any call leaves each batch done or not done, and reopen() finds it`, () => {
      assert.ok(sweep(fault, runSteps) > 40);
    });
  }

  for (const what of ["An I/O error", "An I/O error after the work was done"] as const) {
    for (const isNew of [true, false]) {
      test(`${what} at any call while ${isNew ? "a new" : "an old"} cache is opened is a CacheError, and the next one opens it`, () => {
        assert.ok(sweep(FAULTS[what], (fault) => runOpening(fault, isNew)) > 60);
      });
    }
  }

  test("A full disk at any call while a cache is opened either does not matter or is a CacheError", () => {
    const runFull = (fault: Fault): boolean => {
      using folder = folderInMemory();
      openCache(runtime, cacheOptions(folder.path)).close();
      const faulty = new FaultyRuntime(runtime);
      faulty.set(fault);
      try {
        openCache(faulty, cacheOptions(folder.path)).close();
      } catch (error) {
        assert.ok(error instanceof CacheError && error.code === "full", `a full disk, not ${error}`);
      }
      return faulty.hasFailed;
    };
    assert.ok(sweep(FAULTS["A full disk"], runFull) > 60);
  });
});
