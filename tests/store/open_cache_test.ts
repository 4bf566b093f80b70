import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import {
  chmodSync,
  copyFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  realpathSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  unlinkSync,
  writeFileSync,
} from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import { StoreError } from "../../lib/core/ports.ts";
import { CacheError } from "../../lib/errors.ts";
import type { Runtime } from "../../lib/runtime.ts";
import { openCache, type OpenCacheOptions } from "../../lib/store/open_cache.ts";
import type { Files, Machine, SqliteDatabase, SqliteRow } from "../../lib/store/ports.ts";
import { SCHEMA_VERSION } from "../../lib/store/schema.ts";
import { message, messages, moment, sent } from "../contracts/outbox.ts";
import { cacheOptions, modeOf, openTestRuntime, temporaryFolder } from "./fixtures.ts";

const runtime = await openTestRuntime();

/** Opens, and looks that it was refused with this code and no trace is left but what was there. */
function assertRefused(options: OpenCacheOptions, code: string, says: RegExp, on: Runtime = runtime): void {
  assert.throws(() => openCache(on, options), (error) => {
    assert.ok(error instanceof CacheError, `a CacheError, not ${error}`);
    assert.equal(error.code, code, error.message);
    assert.match(error.message, says);
    assert.match(error.message, /^Cannot open cache "/);
    return true;
  });
}

/** Whatever is in these files, in short. */
function hashOf(folder: string): string {
  const hash = createHash("sha256");
  for (const name of ["outbox.sqlite3", "outbox.sqlite3-wal"]) {
    const path = join(folder, name);
    hash.update(existsSync(path) ? readFileSync(path) : "none").update("|");
  }
  return hash.digest("hex");
}

/** What somebody else does to the closed database. */
function tamper(folder: string, ...statements: readonly string[]): void {
  const database = runtime.openDatabase(join(folder, "outbox.sqlite3"));
  for (const sql of statements) database.prepare(sql).all();
  database.close();
}

/** The runtime, with some of it replaced. */
function withMachine(machine: Partial<Machine>): Runtime {
  return { ...runtime, machine: { ...runtime.machine, ...machine } };
}

function withFiles(files: Partial<Files>): Runtime {
  return { ...runtime, files: { ...runtime.files, ...files } };
}

/** The runtime, whose SQLite gives other answers. */
function withAnswers(answer: (sql: string, row: SqliteRow | undefined) => SqliteRow | undefined): Runtime {
  return {
    ...runtime,
    openDatabase(path, options): SqliteDatabase {
      const database = runtime.openDatabase(path, options);
      return {
        prepare(sql) {
          const statement = database.prepare(sql);
          return {
            run: (...values) => statement.run(...values),
            all: (...values) => statement.all(...values),
            get: (...values) => answer(sql, statement.get(...values)),
          };
        },
        close: () => database.close(),
      };
    },
  };
}

describe("openCache() makes a new cache", () => {
  test("private, with its parents, and closes it to one file of data", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "a/b/cache");
    const cache = openCache(runtime, cacheOptions(path));
    assert.equal(cache.path, path);
    for (const made of ["a", "a/b", "a/b/cache"]) assert.equal(modeOf(join(folder.path, made)), 0o700, made);
    cache.outbox.commit({ at: moment(1), append: [message(1)] });
    assert.deepEqual(readdirSync(path).sort(), ["lock", "lock.owner", "outbox.sqlite3", "outbox.sqlite3-shm", "outbox.sqlite3-wal"]);
    for (const name of readdirSync(path)) assert.equal(modeOf(join(path, name)), 0o600, name);
    assert.deepEqual(cache.warnings, []);
    cache.close();
    assert.deepEqual(readdirSync(path).sort(), ["lock", "outbox.sqlite3"]);
  });

  test("also where the umask would let everybody in", () => {
    using folder = temporaryFolder();
    const umask = process.umask(0);
    try {
      const cache = openCache(runtime, cacheOptions(join(folder.path, "cache")));
      assert.equal(modeOf(cache.path), 0o700);
      for (const name of readdirSync(cache.path)) assert.equal(modeOf(join(cache.path, name)), 0o600, name);
      cache.close();
    } finally {
      process.umask(umask);
    }
  });

  test("with an identity of its own, which it keeps", () => {
    using folder = temporaryFolder();
    const [first, again, other] = ["a", "a", "b"].map((name) => {
      const cache = openCache(runtime, cacheOptions(join(folder.path, name), { clientId: "meter €" }));
      cache.close();
      return cache.identity;
    });
    assert.match(first!.cacheIdentity, /^[0-9a-f]{32}$/);
    assert.equal(first!.clientId, "meter €");
    assert.ok(Math.abs(first!.createdAtEpochMs - Date.now()) < 60_000);
    assert.deepEqual(again, first);
    assert.notEqual(other!.cacheIdentity, first!.cacheIdentity);
  });

  test("in an empty folder or an empty database that is there already", () => {
    using folder = temporaryFolder();
    openCache(runtime, cacheOptions(folder.path)).close();
    const empty = join(folder.path, "empty");
    mkdirSync(empty);
    writeFileSync(join(empty, "outbox.sqlite3"), "");
    openCache(runtime, cacheOptions(empty)).close();
    // A start that was cut short after the first setting.
    const begun = join(folder.path, "begun");
    mkdirSync(begun);
    tamper(begun, "PRAGMA auto_vacuum = INCREMENTAL", "PRAGMA journal_mode = WAL");
    openCache(runtime, cacheOptions(begun)).close();
  });

  test("through a link, which is resolved once", () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, "real"));
    symlinkSync("real", join(folder.path, "link"));
    const cache = openCache(runtime, cacheOptions(join(folder.path, "link")));
    assert.equal(cache.path, realpathSync(join(folder.path, "real")));
    unlinkSync(join(folder.path, "link"));
    cache.outbox.commit({ at: moment(1), append: [message(1)] });
    cache.close();
  });
});

describe("openCache() sets SQLite", () => {
  for (const durability of ["power-loss", "process-crash"] as const) {
    test(`so that every setting for "${durability}" reads back as meant`, () => {
      using folder = temporaryFolder();
      let live: SqliteDatabase | undefined;
      const watched: Runtime = {
        ...runtime,
        openDatabase(path, options) {
          const database = runtime.openDatabase(path, options);
          if (path.endsWith("outbox.sqlite3")) live = database;
          return database;
        },
      };
      const cache = openCache(watched, cacheOptions(folder.path, { durability }));
      const read = (name: string) => Object.values(live!.prepare(`PRAGMA ${name}`).get()!)[0];
      const names = [
        "journal_mode",
        "synchronous",
        "locking_mode",
        "page_size",
        "auto_vacuum",
        "mmap_size",
        "wal_autocheckpoint",
        "busy_timeout",
      ];
      assert.deepEqual(names.map(read), ["wal", durability === "power-loss" ? 2 : 1, "normal", 4096, 2, 0, 1000, 2000]);
      assert.deepEqual(["foreign_keys", "trusted_schema", "secure_delete", "temp_store", "cell_size_check", "fullfsync"].map(read), [
        0,
        0,
        0,
        2,
        1,
        1,
      ]);
      assert.deepEqual(["journal_size_limit", "cache_size", "application_id", "user_version"].map(read), [
        8_388_608,
        -4096,
        0x504d5131,
        SCHEMA_VERSION,
      ]);
      const tables = live!.prepare(
        "SELECT name, strict FROM pragma_table_list WHERE schema = 'main' AND name NOT LIKE 'sqlite_%' ORDER BY name",
      ).all();
      assert.deepEqual(tables.map((row) => row.name), ["fate", "flight", "identity", "message", "note", "quarantine", "state"]);
      assert.ok(tables.every((row) => row.strict === 1));
      cache.close();
    });
  }

  test("and goes on with nothing that does not read back", () => {
    const names = [
      "journal_mode",
      "synchronous",
      "locking_mode",
      "page_size",
      "auto_vacuum",
      "mmap_size",
      "wal_autocheckpoint",
      "busy_timeout",
    ];
    for (const name of names) {
      using folder = temporaryFolder();
      const deaf = withAnswers((sql, row) => sql === `PRAGMA ${name}` ? { [name]: 77 } : row);
      assertRefused(cacheOptions(folder.path), "sqlite", new RegExp(`the setting ${name} = .*, it answers 77`), deaf);
    }
  });

  test("and warns of a version whose write-ahead log has a fault", () => {
    for (const [version, warns] of [["3.40.1", true], ["3.51.2", true], ["3.51.3", false], ["3.52.0", false], ["4.0.0", false]] as const) {
      using folder = temporaryFolder();
      const cache = openCache(withAnswers((sql, row) => sql.includes("sqlite_version()") ? { version } : row), cacheOptions(folder.path));
      assert.equal(cache.warnings.some((warning) => warning.includes(`SQLite ${version} has a fault`)), warns, version);
      cache.close();
    }
  });
});

describe("openCache() refuses", () => {
  for (const path of ["", ":memory:", "file:cache", "file::memory:?cache=shared", "a\0b"]) {
    test(`the path ${JSON.stringify(path)}`, () => assertRefused(cacheOptions(path), "not-a-folder", /not the path of a folder/));
  }

  test("a file in the folder's place, and one on the way to it", () => {
    using folder = temporaryFolder();
    const file = join(folder.path, "file");
    writeFileSync(file, "mine");
    assertRefused(cacheOptions(file), "not-a-folder", /a file in its place/);
    assertRefused(cacheOptions(join(file, "cache")), "not-a-folder", /ENOTDIR/i);
    assertRefused(cacheOptions(join(file, "deep/cache")), "not-a-folder", /ENOTDIR/i);
    assert.equal(readFileSync(file, "utf8"), "mine");
  });

  test("a link that leads nowhere", () => {
    using folder = temporaryFolder();
    symlinkSync("nowhere", join(folder.path, "link"));
    assertRefused(cacheOptions(join(folder.path, "link")), "not-a-folder", /ENOENT/i);
  });

  test("a folder that everybody may write to, unless allowSharedCache", () => {
    using folder = temporaryFolder();
    chmodSync(folder.path, 0o777);
    assertRefused(cacheOptions(folder.path), "world-writable", /every user of this machine may write there \(mode 777\)/);
    assert.deepEqual(readdirSync(folder.path), []);
    const cache = openCache(runtime, cacheOptions(folder.path, { allowSharedCache: true }));
    assert.match(cache.warnings.join(), /may be written by its group \(mode 777\)/);
    cache.close();
  });

  test("a database, a log or a lock that is a link", () => {
    for (const name of ["outbox.sqlite3", "lock"]) {
      using folder = temporaryFolder();
      const target = join(folder.path, "target");
      symlinkSync("target", join(folder.path, name));
      assertRefused(cacheOptions(folder.path), "not-a-cache", new RegExp(`${name} is not a file but a link`));
      assert.equal(existsSync(target), false);
      writeFileSync(target, "mine");
      assertRefused(cacheOptions(folder.path), "not-a-cache", /not a file but a link/);
      assert.equal(readFileSync(target, "utf8"), "mine");
    }
  });

  test("a folder in the database's place", () => {
    using folder = temporaryFolder();
    mkdirSync(join(folder.path, "outbox.sqlite3"));
    assertRefused(cacheOptions(folder.path), "not-a-cache", /is not a file but a folder/);
  });

  test("what is no database, and leaves it as it is", () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "outbox.sqlite3"), "anything but a database ".repeat(1_000));
    const before = hashOf(folder.path);
    assertRefused(cacheOptions(folder.path), "not-a-cache", /file is not a database/);
    assert.equal(hashOf(folder.path), before);
  });

  test("another program's database, and leaves it as it is", () => {
    for (const statements of [["CREATE TABLE theirs (a)"], ["PRAGMA application_id = 42"], ["PRAGMA user_version = 7"]]) {
      using folder = temporaryFolder();
      tamper(folder.path, ...statements);
      const before = hashOf(folder.path);
      assertRefused(cacheOptions(folder.path), "not-a-cache", /a database of another program/);
      assert.equal(hashOf(folder.path), before);
    }
  });

  for (const how of ["closed", "killed"] as const) {
    test(`a cache that a newer version made and that was ${how}, and leaves it as it is`, () => {
      using folder = temporaryFolder();
      const path = join(folder.path, "cache");
      const cache = openCache(runtime, cacheOptions(path));
      cache.outbox.commit({ at: moment(1), append: [message(1)] });
      cache.close();
      const database = runtime.openDatabase(join(path, "outbox.sqlite3"));
      database.prepare(`PRAGMA user_version = ${2000}`).all();
      // What a kill leaves: the change is in the log alone.
      const left = join(folder.path, "left");
      mkdirSync(left);
      if (how === "closed") database.close();
      for (const name of readdirSync(path)) copyFileSync(join(path, name), join(left, name));
      database.close();
      assert.equal(existsSync(join(left, "outbox.sqlite3-wal")), how === "killed");
      const before = hashOf(left);
      assertRefused(cacheOptions(left), "newer-schema", /a newer version of PersistMQ made it \(schema 2000, known up to 1999\)/);
      assert.equal(hashOf(left), before);
    });
  }

  test("another client's cache, and leaves it as it is", () => {
    using folder = temporaryFolder();
    openCache(runtime, cacheOptions(folder.path, { clientId: "meter-7" })).close();
    const before = hashOf(folder.path);
    assertRefused(
      cacheOptions(folder.path, { clientId: "meter-8" }),
      "other-client",
      /belongs to client "meter-7", not to "meter-8".*rebind/,
    );
    assert.equal(hashOf(folder.path), before);
    openCache(runtime, cacheOptions(folder.path, { clientId: "meter-7" })).close();
  });

  test("a log whose database is gone", () => {
    using folder = temporaryFolder();
    writeFileSync(join(folder.path, "outbox.sqlite3-wal"), "all that is left");
    assertRefused(cacheOptions(folder.path), "damaged", /is gone, while its write-ahead log is there/);
    assert.equal(readFileSync(join(folder.path, "outbox.sqlite3-wal"), "utf8"), "all that is left");
  });
});

describe("openCache() opens", () => {
  test("a cache that a newer minor has grown, and leaves its version", () => {
    using folder = temporaryFolder();
    const cache = openCache(runtime, cacheOptions(folder.path));
    cache.outbox.commit({
      at: moment(1),
      append: messages(1, 3),
      sent: sent(1, 1, 1),
      quarantined: [{ id: 3, reason: "no", attempts: 1 }],
    });
    cache.close();
    const grown = ["message", "flight", "quarantine", "state", "fate", "identity"].map((table) =>
      `ALTER TABLE ${table} ADD COLUMN later TEXT DEFAULT 'x'`
    );
    tamper(folder.path, ...grown, "CREATE TABLE later (a)", "PRAGMA user_version = 1999");
    const again = openCache(runtime, cacheOptions(folder.path));
    again.outbox.commit({ at: moment(2), append: [message(4)], removed: [{ id: 1, fate: "delivered" }, { id: 2, fate: "expired" }] });
    assert.deepEqual(again.outbox.requeueQuarantined([3], moment(3)), [3]);
    assert.deepEqual(again.outbox.readQueued(0, 10, Infinity).map(({ id }) => id), [3, 4]);
    again.close();
    const database = runtime.openDatabase(join(folder.path, "outbox.sqlite3"));
    assert.equal(database.prepare("PRAGMA user_version").get()?.user_version, 1999);
    database.close();
  });

  test("a cache that others are reading, who see each batch", () => {
    using folder = temporaryFolder();
    const cache = openCache(runtime, cacheOptions(folder.path));
    cache.outbox.commit({ at: moment(1), append: [message(1)] });
    const reader = runtime.openDatabase(join(folder.path, "outbox.sqlite3"), { readOnly: true });
    const count = () => reader.prepare("SELECT pending FROM state").get()?.pending;
    assert.equal(count(), 1);
    cache.outbox.commit({ at: moment(2), append: messages(2, 9) });
    assert.equal(count(), 10);
    cache.outbox.reopen();
    cache.outbox.commit({ at: moment(3), removed: [{ id: 1, fate: "delivered" }] });
    assert.equal(count(), 9);
    reader.close();
    cache.close();
  });

  test("a folder of a group or of somebody else with a warning", () => {
    using folder = temporaryFolder();
    chmodSync(folder.path, 0o770);
    const { uid } = statSync(folder.path);
    const cache = openCache(withMachine({ uid: () => uid + 1 }), cacheOptions(folder.path));
    assert.match(cache.warnings[0]!, /may be written by its group \(mode 770\)/);
    assert.match(cache.warnings[1]!, new RegExp(`belongs to user ${uid}, this is user ${uid + 1}`));
    cache.close();
  });

  test("with a warning for each check that the runtime does not allow", () => {
    using folder = temporaryFolder();
    const blind: Runtime = {
      ...withMachine({ uid: () => undefined, hostname: () => undefined, bootId: () => undefined }),
      files: withFiles({ freeBytes: () => undefined }).files,
    };
    const cache = openCache(blind, cacheOptions(folder.path));
    assert.equal(cache.warnings.length, 2);
    assert.match(cache.warnings[0]!, /was not checked.*--allow-sys=uid/);
    assert.match(cache.warnings[1]!, /was not checked.*--allow-sys=statfs/);
    cache.close();
  });

  test("with a warning where little space is left", () => {
    using folder = temporaryFolder();
    const cache = openCache(withFiles({ freeBytes: () => 1_000_000 }), cacheOptions(folder.path));
    assert.match(cache.warnings.join(), /Only 1000000 bytes are free/);
    cache.close();
  });

  test("a new folder whose parent may not be synced, with a warning", () => {
    using folder = temporaryFolder();
    const refusing = withFiles({
      syncFolder(path) {
        if (path === folder.path) throw Object.assign(new Error("not allowed"), { code: "EACCES" });
        runtime.files.syncFolder(path);
      },
    });
    const cache = openCache(refusing, cacheOptions(join(folder.path, "cache")));
    assert.match(cache.warnings.join(), /could not be synced/);
    cache.close();
  });

  test("each new folder synced in its parent, and the database in its folder", () => {
    using folder = temporaryFolder();
    const synced: string[] = [];
    const watched = withFiles({
      syncFolder(path) {
        synced.push(path);
        runtime.files.syncFolder(path);
      },
    });
    openCache(watched, cacheOptions(join(folder.path, "a/b"))).close();
    assert.deepEqual(synced.slice(0, 2), [folder.path, join(folder.path, "a")]);
    assert.ok(synced.includes(join(folder.path, "a/b")));
  });
});

describe("A session whose commits were not synced", () => {
  const established = { at: moment(1), append: [message(1)], sent: sent(1, 1, 1), session: { state: "established" as const, broker: "b" } };
  const run = (folder: string, durability: OpenCacheOptions["durability"], bootId: string | undefined) => {
    const cache = openCache(withMachine({ bootId: () => bootId }), cacheOptions(folder, { durability }));
    if (cache.outbox.nextMessageId() === 1) cache.outbox.commit(established);
    const { state } = cache.outbox.session();
    const isWarned = cache.warnings.some((warning) => warning.includes("may arrive twice"));
    cache.close();
    return { state, isWarned };
  };

  test("is kept through the same boot", () => {
    using folder = temporaryFolder();
    for (let start = 0; start < 3; start++) {
      assert.deepEqual(run(folder.path, "process-crash", "boot-1"), { state: "established", isWarned: false });
    }
  });

  for (const after of ["process-crash", "power-loss"] as const) {
    test(`is nobody's after another boot, opened for "${after}"`, () => {
      using folder = temporaryFolder();
      run(folder.path, "process-crash", "boot-1");
      assert.deepEqual(run(folder.path, after, "boot-2"), { state: "none", isWarned: true });
      assert.deepEqual(run(folder.path, after, "boot-2"), { state: "none", isWarned: false });
    });
  }

  test("is marked as such before the first of them, in the database itself", () => {
    using folder = temporaryFolder();
    const cache = openCache(runtime, cacheOptions(folder.path, { durability: "process-crash" }));
    assert.equal(statSync(join(folder.path, "outbox.sqlite3-wal")).size, 0);
    cache.outbox.commit({ at: moment(1), append: [message(1)] });
    assert.notEqual(statSync(join(folder.path, "outbox.sqlite3-wal")).size, 0);
    cache.close();
  });

  test("is nobody's where no boot can be told from another", () => {
    using folder = temporaryFolder();
    run(folder.path, "process-crash", undefined);
    assert.deepEqual(run(folder.path, "process-crash", undefined), { state: "none", isWarned: true });
  });

  test("is as good as any once it was synced", () => {
    using folder = temporaryFolder();
    run(folder.path, "process-crash", "boot-1");
    assert.equal(run(folder.path, "power-loss", "boot-1").state, "established");
    assert.equal(run(folder.path, "power-loss", "boot-2").state, "established");
  });

  test("does not come about with durability power-loss", () => {
    using folder = temporaryFolder();
    run(folder.path, "power-loss", "boot-1");
    assert.deepEqual(run(folder.path, "power-loss", "boot-2"), { state: "established", isWarned: false });
    assert.deepEqual(run(folder.path, "power-loss", undefined), { state: "established", isWarned: false });
  });
});

describe("A session", () => {
  const inFlight = { at: moment(1), append: messages(1, 2), sent: sent(1, 1, 1), session: { state: "established" as const, broker: "b" } };
  const stateOf = (path: string) => {
    const cache = openCache(runtime, cacheOptions(path));
    const isWarned = cache.warnings.some((warning) => /It is a copy.*may arrive twice/.test(warning));
    const found = {
      state: cache.outbox.session().state,
      isWarned,
      pending: cache.outbox.ledger().pending,
      flights: cache.outbox.flights().length,
    };
    cache.close();
    return found;
  };

  test("is not taken along by a copy of its cache, and is left to the original", () => {
    using folder = temporaryFolder();
    const [original, copy] = [join(folder.path, "original"), join(folder.path, "copy")];
    const cache = openCache(runtime, cacheOptions(original));
    cache.outbox.commit(inFlight);
    cache.close();
    cpSync(original, copy, { recursive: true });
    assert.deepEqual(stateOf(copy), { state: "none", isWarned: true, pending: 2, flights: 1 });
    assert.deepEqual(stateOf(copy), { state: "none", isWarned: false, pending: 2, flights: 1 });
    assert.deepEqual(stateOf(original), { state: "established", isWarned: false, pending: 2, flights: 1 });
  });

  test("goes along when its folder is moved", () => {
    using folder = temporaryFolder();
    const [before, after] = [join(folder.path, "before"), join(folder.path, "after")];
    const cache = openCache(runtime, cacheOptions(before));
    cache.outbox.commit(inFlight);
    cache.close();
    renameSync(before, after);
    assert.deepEqual(stateOf(after), { state: "established", isWarned: false, pending: 2, flights: 1 });
  });
});

describe("A cache that is taken away while in use", () => {
  const takings: readonly (readonly [string, (folder: string) => void])[] = [
    ["its folder is removed", (folder) => rmSync(folder, { recursive: true })],
    ["its folder is moved away", (folder) => renameSync(folder, `${folder}.away`)],
    ["its database is removed", (folder) => unlinkSync(join(folder, "outbox.sqlite3"))],
    ["its log is removed", (folder) => unlinkSync(join(folder, "outbox.sqlite3-wal"))],
    ["its lock is removed", (folder) => unlinkSync(join(folder, "lock"))],
    ["its database is replaced", (folder) => {
      copyFileSync(join(folder, "outbox.sqlite3"), join(folder, "copy"));
      renameSync(join(folder, "copy"), join(folder, "outbox.sqlite3"));
    }],
    ["another folder takes its place", (folder) => {
      renameSync(folder, `${folder}.away`);
      openCache(runtime, cacheOptions(folder)).close();
    }],
  ];
  for (const [what, take] of takings) {
    test(`is noticed before the next batch is acknowledged when ${what}`, () => {
      using folder = temporaryFolder();
      const path = join(folder.path, "cache");
      const cache = openCache(runtime, cacheOptions(path));
      cache.outbox.commit({ at: moment(1), append: [message(1)] });
      take(path);
      const before = existsSync(path) ? readdirSync(path) : "nothing";
      const says = /Cannot go on with the cache: .* was (removed|replaced) while in use/;
      assert.throws(
        () => cache.outbox.commit({ at: moment(2), append: [message(2)] }),
        (error) => error instanceof StoreError && says.test(error.message),
      );
      assert.throws(() => cache.outbox.ledger(), StoreError);
      const isLogAlone = what === "its log is removed";
      if (isLogAlone) {
        // What the log held is still in the open file, and goes to the database.
        cache.outbox.reopen();
        assert.deepEqual(cache.outbox.readQueued(0, 10, Infinity).map(({ id }) => id), [1, 2]);
        cache.outbox.commit({ at: moment(3), append: [message(3)] });
      } else {
        assert.throws(() => cache.outbox.reopen(), says);
        assert.deepEqual(existsSync(path) ? readdirSync(path) : "nothing", before, "reopen() makes no new cache");
      }
      cache.close();
    });
  }

  test("goes on when it is back", () => {
    using folder = temporaryFolder();
    const path = join(folder.path, "cache");
    const cache = openCache(runtime, cacheOptions(path));
    cache.outbox.commit({ at: moment(1), append: [message(1)] });
    renameSync(path, `${path}.away`);
    assert.throws(() => cache.outbox.commit({ at: moment(2), append: [message(2)] }), StoreError);
    assert.throws(() => cache.outbox.reopen(), StoreError);
    renameSync(`${path}.away`, path);
    cache.outbox.reopen();
    assert.deepEqual(cache.outbox.readQueued(0, 10, Infinity).map(({ id }) => id), [1, 2]);
    cache.outbox.commit({ at: moment(3), append: [message(3)] });
    cache.close();
  });
});
