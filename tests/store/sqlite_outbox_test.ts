import assert from "node:assert/strict";
import { cpSync, statSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import { AssertionError } from "../../lib/core/assert.ts";
import { StoreError } from "../../lib/core/ports.ts";
import { FATE_RANGES_MAX } from "../../lib/store/fate_table.ts";
import { DamagedRowError } from "../../lib/store/message_row.ts";
import { openCache } from "../../lib/store/open_cache.ts";
import type { SqliteDatabase } from "../../lib/store/ports.ts";
import { SqliteOutbox } from "../../lib/store/sqlite_outbox.ts";
import { message, messages, moment, sent, testOutbox } from "../contracts/outbox.ts";
import { compareWithModel } from "../contracts/outbox_model.ts";
import { cacheOptions, openOutboxUnderTest, openTestRuntime, temporaryFolder } from "./fixtures.ts";

const runtime = await openTestRuntime();

testOutbox("SqliteOutbox", () => openOutboxUnderTest(runtime));

/** What somebody else does to the closed database. */
function tamper(folder: string, work: (database: SqliteDatabase) => void): void {
  const database = runtime.openDatabase(join(folder, "outbox.sqlite3"));
  work(database);
  database.close();
}

describe("SqliteOutbox", () => {
  test("does what a simple model does over a long time", () => {
    const subject = openOutboxUnderTest(runtime);
    try {
      compareWithModel(subject, 4711, 1_000);
    } finally {
      subject.dispose();
    }
  });

  const damage: readonly (readonly [string, string])[] = [
    ["payload", "payload = x'010203ff'"],
    ["length of the payload", "payload = x'010203'"],
    ["topic", "topic = 'a/b/d'"],
    ["boundary between topic and payload", "topic = 'a/b/c' || char(1), payload = x'020302'"],
    ["topic beyond all bounds", "topic = printf('%.*c', 100000, 'x')"],
    ["QoS", "qos = 1"],
    ["retain flag", "retain = 1"],
    ["properties", "properties = '{}'"],
    ["absence of properties", "properties = ''"],
    ["wall clock", "stored_at_epoch_ms = stored_at_epoch_ms + 1"],
    ["known time", "stored_at_known_ms = stored_at_known_ms + 1"],
    ["checksum", "checksum = checksum + 1"],
  ];
  for (const [what, change] of damage) {
    test(`notices a change of the ${what} in a row, and names the message`, () => {
      using folder = temporaryFolder();
      const options = cacheOptions(folder.path);
      const before = openCache(runtime, options);
      before.outbox.commit({ at: moment(1), append: messages(1, 3) });
      before.close();
      tamper(folder.path, (database) => assert.equal(database.prepare(`UPDATE message SET ${change} WHERE id = 2`).run(), 1));
      const cache = openCache(runtime, options);
      const isDamaged = (error: unknown) =>
        error instanceof DamagedRowError && error.kind === "failed" && error.id === 2 && /message 2\b/.test(error.message);
      assert.throws(() => cache.outbox.read([1, 2]), isDamaged);
      cache.outbox.reopen();
      assert.throws(() => cache.outbox.readQueued(0, 10, Infinity), isDamaged);
      cache.outbox.reopen();
      assert.deepEqual(cache.outbox.read([1, 3]).map(({ id }) => id), [1, 3]);
      cache.close();
    });
  }

  test("notices a damaged row among the quarantined", () => {
    using folder = temporaryFolder();
    const cache = openCache(runtime, cacheOptions(folder.path));
    cache.outbox.commit({ at: moment(1), append: messages(1, 2), quarantined: [{ id: 2, reason: "no", attempts: 1 }] });
    cache.close();
    tamper(folder.path, (database) => database.prepare("UPDATE quarantine SET payload = x'00'").run());
    const again = openCache(runtime, cacheOptions(folder.path));
    assert.throws(() => again.outbox.readQuarantined(0, 10), DamagedRowError);
    again.close();
  });

  const impossible: readonly (readonly [string, string])[] = [
    ["its ledger does not add up", "UPDATE state SET accepted = accepted + 1"],
    ["a counter is below nothing", "UPDATE state SET delivered = delivered - 1, expired = expired + 1"],
    ["its state is missing", "DELETE FROM state"],
    ["two messages have one packet id", "UPDATE flight SET packet_id = 1"],
    ["a message in flight is missing", "DELETE FROM message WHERE id = 2"],
    ["a stage is none", "UPDATE flight SET stage = 7 WHERE id = 2"],
  ];
  for (const [what, sql] of impossible) {
    test(`does not open a cache of which ${what}`, () => {
      using folder = temporaryFolder();
      const cache = openCache(runtime, cacheOptions(folder.path));
      cache.outbox.commit({ at: moment(1), append: messages(1, 3), sent: sent(1, 1, 1, 2) });
      cache.close();
      tamper(folder.path, (database) => database.prepare(sql).run());
      assert.throws(() => openCache(runtime, cacheOptions(folder.path)), { name: "CacheError", code: "damaged" });
    });
  }

  test("forgets the oldest fates beyond the bound, and never calls them delivered", () => {
    assert.equal(FATE_RANGES_MAX, 100_000);
    using folder = temporaryFolder();
    openCache(runtime, cacheOptions(folder.path)).close();
    const open = () =>
      new SqliteOutbox({ openDatabase: () => runtime.openDatabase(join(folder.path, "outbox.sqlite3")), fateRangesMax: 3 });
    let outbox = open();
    outbox.commit({ at: moment(1), append: messages(1, 20) });
    // Ranges 2, 4-5, 8, then 11: one too many.
    for (const ids of [[2], [4, 5], [8]]) outbox.commit({ at: moment(2), removed: ids.map((id) => ({ id, fate: "expired" as const })) });
    outbox.commit({ at: moment(2), removed: [1, 3, 6].map((id) => ({ id, fate: "delivered" as const })) });
    const fates = () => Array.from({ length: 12 }, (_, index) => outbox.fateOf(index + 1).slice(0, 3)).join(" ");
    assert.equal(fates(), "del exp del exp exp del pen exp pen pen pen pen");
    outbox.commit({ at: moment(3), removed: [{ id: 11, fate: "dropped" }] });
    assert.equal(fates(), "for for del exp exp del pen exp pen pen dro pen");
    // A run that grows takes no further room.
    outbox.commit({ at: moment(3), removed: [{ id: 10, fate: "dropped" }, { id: 12, fate: "dropped" }, { id: 9, fate: "delivered" }] });
    assert.equal(fates(), "for for del exp exp del pen exp del dro dro dro");
    outbox.commit({ at: moment(4), append: [message(25)] });
    outbox.close();
    outbox = open();
    assert.equal(fates(), "for for for for for del pen exp del dro dro dro");
    assert.deepEqual([20, 21, 24, 25].map((id) => outbox.fateOf(id)), ["pending", "refused", "refused", "pending"]);
    outbox.commit({ at: moment(5), removed: [{ id: 7, fate: "delivered" }] });
    assert.equal(outbox.fateOf(7), "delivered");
    outbox.close();
  });

  test("makes one range of fates that touch, in whatever order they come", () => {
    using folder = temporaryFolder();
    const cache = openCache(runtime, cacheOptions(folder.path));
    cache.outbox.commit({ at: moment(1), append: messages(1, 9) });
    for (const id of [2, 8, 4, 3, 7, 5, 6]) {
      cache.outbox.commit({ at: moment(2), removed: [{ id, fate: id === 8 ? "dropped" : "expired" }] });
    }
    cache.close();
    tamper(folder.path, (database) => {
      const ranges = database.prepare("SELECT first_id, last_id, fate FROM fate ORDER BY first_id").all();
      assert.deepEqual(ranges.map((row) => Object.values(row)), [[2, 7, "expired"], [8, 8, "dropped"]]);
      assert.equal(database.prepare("SELECT fate_range_count AS count FROM state").get()?.count, 2);
    });
  });

  test("refuses a known time that steps back, and stores whole milliseconds", () => {
    using folder = temporaryFolder();
    const cache = openCache(runtime, cacheOptions(folder.path));
    cache.outbox.commit({ at: { epochMs: 1000.9, knownMs: 5000.7 }, append: [message(1)] });
    assert.deepEqual(cache.outbox.lastMoment(), { epochMs: 1000, knownMs: 5000 });
    assert.equal(cache.outbox.read([1])[0]?.storedAtKnownMs, 5000);
    assert.throws(() => cache.outbox.commit({ at: { epochMs: 2000, knownMs: 4999 }, append: [message(2)] }), AssertionError);
    cache.outbox.commit({ at: { epochMs: 10, knownMs: 5000 }, append: [message(2)] });
    assert.deepEqual(cache.outbox.lastMoment(), { epochMs: 10, knownMs: 5000 });
    cache.close();
  });

  test("throws after close(), which may be called twice", () => {
    using folder = temporaryFolder();
    const cache = openCache(runtime, cacheOptions(folder.path));
    cache.close();
    cache.close();
    assert.throws(() => cache.outbox.ledger(), AssertionError);
    assert.throws(() => cache.outbox.commit({ at: moment(1), append: [message(1)] }), AssertionError);
    assert.throws(() => cache.outbox.reopen(), AssertionError);
  });

  test("brings what a killed process left in the log to the database before it believes it", () => {
    using folder = temporaryFolder();
    const [path, left] = [join(folder.path, "cache"), join(folder.path, "left")];
    const cache = openCache(runtime, cacheOptions(path));
    cache.outbox.commit({ at: moment(1), append: messages(1, 3) });
    cpSync(path, left, { recursive: true });
    cache.close();
    const database = join(left, "outbox.sqlite3");
    assert.notEqual(statSync(`${database}-wal`).size, 0);
    const outbox = new SqliteOutbox({ openDatabase: () => runtime.openDatabase(database) });
    assert.equal(statSync(`${database}-wal`).size, 0);
    assert.equal(outbox.ledger().pending, 3);
    outbox.close();
  });

  test("reads pages of great payloads no further than their bytes allow", () => {
    using folder = temporaryFolder();
    const cache = openCache(runtime, cacheOptions(folder.path));
    const payload = new Uint8Array(1_000_000).fill(1);
    cache.outbox.commit({ at: moment(1), append: messages(1, 8, { payload }) });
    assert.deepEqual(cache.outbox.readQueued(0, 100, 3_500_000).map(({ id }) => id), [1, 2, 3]);
    assert.deepEqual(cache.outbox.readQueued(3, 100, 10).map(({ id }) => id), [4]);
    cache.close();
  });

  test("says that the disk is full, stores nothing of the batch, and goes on once there is room", () => {
    using folder = temporaryFolder();
    openCache(runtime, cacheOptions(folder.path)).close();
    const outbox = new SqliteOutbox({
      openDatabase: () => {
        const database = runtime.openDatabase(join(folder.path, "outbox.sqlite3"));
        database.prepare("PRAGMA max_page_count = 60").all();
        return database;
      },
    });
    const payload = new Uint8Array(3_000);
    let id = 1;
    assert.throws(() => {
      for (;; id++) outbox.commit({ at: moment(id), append: [message(id, { payload })] });
    }, (error) => error instanceof StoreError && error.kind === "full");
    assert.ok(id > 10);
    assert.equal(outbox.nextMessageId(), id);
    assert.equal(outbox.ledger().pending, id - 1);
    assert.throws(() => outbox.commit({ at: moment(id), append: messages(id, 50, { payload }) }), { name: "StoreError", kind: "full" });
    assert.equal(outbox.ledger().accepted, id - 1);
    outbox.commit({ at: moment(id), sent: sent(1, 1, 1, 5) });
    outbox.commit({ at: moment(id), removed: messages(1, 5).map(({ id }) => ({ id, fate: "delivered" as const })) });
    outbox.commit({ at: moment(id), append: [message(id, { payload })] });
    assert.equal(outbox.ledger().delivered, 5);
    outbox.close();
  });
});
