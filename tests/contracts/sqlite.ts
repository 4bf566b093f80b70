/**
 * What every SQLite driver must do behind {@linkcode SqliteDatabase}.
 *
 * @module
 */
import assert from "node:assert/strict";
import { chmodSync, mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { describe, test } from "node:test";
import type { Runtime } from "../../lib/runtime.ts";
import { RESULT, type SqliteDatabase, SqliteFailure } from "../../lib/store/ports.ts";
import { modeOf, temporaryFolder } from "../store/fixtures.ts";

/** Runs the contract. */
export function testSqlite(name: string, open: Runtime["openDatabase"]): void {
  const check = (sentence: string, body: (path: string) => void) =>
    test(sentence, () => {
      using folder = temporaryFolder();
      body(join(folder.path, "test.db"));
    });

  const failsWith = (resultCode: number, call: () => unknown) =>
    assert.throws(call, (error) => {
      assert.ok(error instanceof SqliteFailure, `a SqliteFailure, not ${error}`);
      assert.equal(error.resultCode, resultCode, error.message);
      assert.notEqual(error.message, "");
      return true;
    });

  const table = (database: SqliteDatabase): void => {
    database.prepare("CREATE TABLE t (id INTEGER PRIMARY KEY, n INTEGER, s TEXT, b BLOB) STRICT").run();
  };

  describe(name, () => {
    check("Values come back as they went in", (path) => {
      const database = open(path);
      table(database);
      const insert = database.prepare("INSERT INTO t (id, n, s, b) VALUES (?, ?, ?, ?)");
      const rows = [
        { id: 1, n: 0, s: "", b: new Uint8Array(0) },
        { id: 2, n: -1, s: "€ 🌡 \u{feff}", b: Uint8Array.from({ length: 256 }, (_, index) => index) },
        { id: 3, n: 2 ** 31, s: "x".repeat(70_000), b: new Uint8Array([9, 8, 7, 6, 5]).subarray(1, 3) },
        { id: 4, n: 1_795_339_222_771, s: "a\nb", b: new Uint8Array(1_000_000).fill(7) },
        { id: 5, n: Number.MAX_SAFE_INTEGER, s: "5.0", b: new Uint8Array([0]) },
        { id: Number.MAX_SAFE_INTEGER, n: null, s: null, b: null },
      ];
      for (const { id, n, s, b } of rows) insert.run(id, n, s, b);
      assert.deepEqual(database.prepare("SELECT id, n, s, b FROM t ORDER BY id").all().map((row) => ({ ...row })), rows);
      const types = database.prepare("SELECT typeof(n) AS n, typeof(s) AS s, typeof(b) AS b FROM t ORDER BY id").all();
      assert.deepEqual({ ...types[0] }, { n: "integer", s: "text", b: "blob" });
      assert.deepEqual({ ...types[4] }, { n: "integer", s: "text", b: "blob" });
      assert.deepEqual({ ...types[5] }, { n: "null", s: "null", b: "null" });
      database.close();
    });

    check("Bytes that were read are the reader's own", (path) => {
      const database = open(path);
      table(database);
      database.prepare("INSERT INTO t (id, b) VALUES (1, ?)").run(new Uint8Array([1, 2, 3]));
      const read = database.prepare("SELECT b FROM t");
      (read.get()?.b as Uint8Array).fill(0);
      assert.deepEqual(read.get()?.b, new Uint8Array([1, 2, 3]));
      database.close();
    });

    check("get() gives the first row, or undefined, and leaves nothing open", (path) => {
      const database = open(path);
      table(database);
      database.prepare("PRAGMA journal_mode = WAL").all();
      assert.equal(database.prepare("SELECT id FROM t").get(), undefined);
      database.prepare("INSERT INTO t (id) VALUES (1), (2)").run();
      const read = database.prepare("SELECT id FROM t ORDER BY id DESC");
      assert.equal(read.get()?.id, 2);
      const other = open(path);
      other.prepare("INSERT INTO t (id) VALUES (3)").run();
      assert.equal(read.get()?.id, 3, "no earlier read keeps an old view");
      const { busy } = other.prepare("PRAGMA wal_checkpoint(TRUNCATE)").get()!;
      assert.equal(busy, 0);
      database.close();
      other.close();
    });

    check("run() tells how many rows it touched", (path) => {
      const database = open(path);
      table(database);
      assert.equal(database.prepare("INSERT INTO t (id, n) VALUES (1, 1), (2, 2), (3, 3)").run(), 3);
      assert.equal(database.prepare("UPDATE t SET n = ?2 WHERE id >= ?1").run(2, 9), 2);
      assert.equal(database.prepare("UPDATE t SET n = 0 WHERE id > 99").run(), 0);
      const upsert =
        "INSERT INTO t (id, n) SELECT id + 2, n FROM t WHERE id BETWEEN ?1 AND ?2 ON CONFLICT (id) DO UPDATE SET n = excluded.n";
      assert.equal(database.prepare(upsert).run(1, 2), 2);
      assert.equal(database.prepare("DELETE FROM t WHERE id BETWEEN ? AND ?").run(2, 99), 3);
      assert.equal(database.prepare("DELETE FROM t WHERE id BETWEEN ? AND ?").run(2, 99), 0);
      database.close();
    });

    check("A statement can be run again and again, also after it failed", (path) => {
      const database = open(path);
      table(database);
      const insert = database.prepare("INSERT INTO t (id) VALUES (?)");
      for (let id = 1; id <= 5; id++) insert.run(id);
      failsWith(19, () => insert.run(3));
      insert.run(6);
      assert.equal(database.prepare("SELECT count(*) AS count FROM t").get()?.count, 6);
      database.close();
    });

    check("A transaction is rolled back by ROLLBACK, and by the end of the connection", (path) => {
      const database = open(path);
      table(database);
      const insert = database.prepare("INSERT INTO t (id) VALUES (?)");
      database.prepare("BEGIN IMMEDIATE").run();
      insert.run(1);
      database.prepare("ROLLBACK").run();
      failsWith(RESULT.error, () => database.prepare("ROLLBACK").run());
      database.prepare("BEGIN IMMEDIATE").run();
      insert.run(2);
      database.close();
      const again = open(path);
      assert.equal(again.prepare("SELECT count(*) AS count FROM t").get()?.count, 0);
      again.close();
    });

    check("close() frees every lock at once, whatever was prepared", (path) => {
      const database = open(path);
      table(database);
      database.prepare("PRAGMA journal_mode = WAL").all();
      const statements = ["SELECT id FROM t", "INSERT INTO t (id) VALUES (?)", "COMMIT"].map((sql) => database.prepare(sql));
      database.prepare("BEGIN EXCLUSIVE").run();
      statements[0]!.get();
      database.close();
      database.close();
      const other = open(path);
      other.prepare("PRAGMA busy_timeout = 0").all();
      other.prepare("PRAGMA locking_mode = EXCLUSIVE").all();
      other.prepare("BEGIN EXCLUSIVE").run();
      other.close();
      assert.equal(statements.length, 3);
    });

    check("A lock that another connection holds is busy, in time", (path) => {
      const database = open(path);
      const other = open(path);
      database.prepare("BEGIN EXCLUSIVE").run();
      other.prepare("PRAGMA busy_timeout = 100").all();
      const begunMs = performance.now();
      failsWith(RESULT.busy, () => other.prepare("BEGIN EXCLUSIVE").run());
      assert.ok(performance.now() - begunMs >= 90);
      database.close();
      other.prepare("BEGIN EXCLUSIVE").run();
      other.close();
    });

    check("A database that may not grow is full, and works on", (path) => {
      const database = open(path);
      table(database);
      database.prepare("PRAGMA journal_mode = WAL").all();
      database.prepare("PRAGMA max_page_count = 20").all();
      const insert = database.prepare("INSERT INTO t (b) VALUES (?)");
      failsWith(RESULT.full, () => {
        for (;;) insert.run(new Uint8Array(5_000));
      });
      assert.ok(database.prepare("DELETE FROM t").run() > 0);
      insert.run(new Uint8Array(5_000));
      database.close();
    });

    check("What is no database, is not there, or may not be written says so", (path) => {
      writeFileSync(path, "this is not a database, however long one looks at it ".repeat(100));
      const database = open(path);
      failsWith(RESULT.notADatabase, () => database.prepare("PRAGMA user_version").get());
      database.close();
      failsWith(RESULT.cannotOpen, () => open(join(path, "..", "missing", "x.db")));
      failsWith(RESULT.cannotOpen, () => {
        open(join(path, "..", "none.db"), { readOnly: true }).prepare("PRAGMA user_version").get();
      });
      mkdirSync(`${path}.d`);
      failsWith(RESULT.cannotOpen, () => open(`${path}.d`).prepare("PRAGMA user_version").get());
    });

    check("Wrong SQL is an error", (path) => {
      const database = open(path);
      failsWith(RESULT.error, () => database.prepare("SELEKT 1").get());
      failsWith(RESULT.error, () => database.prepare("SELECT * FROM nowhere").get());
      table(database);
      failsWith(19, () => database.prepare("INSERT INTO t (id, n) VALUES (1, 1.5)").run());
      failsWith(19, () => database.prepare("INSERT INTO t (id, n) VALUES (1, 'x')").run());
      database.close();
    });

    check("A read-only connection reads what a live one has written, and writes nothing", (path) => {
      const database = open(path);
      table(database);
      database.prepare("PRAGMA journal_mode = WAL").all();
      database.prepare("INSERT INTO t (id) VALUES (1)").run();
      const reader = open(path, { readOnly: true });
      assert.equal(reader.prepare("SELECT count(*) AS count FROM t").get()?.count, 1);
      failsWith(RESULT.readOnly, () => reader.prepare("INSERT INTO t (id) VALUES (2)").run());
      database.prepare("INSERT INTO t (id) VALUES (2)").run();
      assert.equal(reader.prepare("SELECT count(*) AS count FROM t").get()?.count, 2);
      reader.close();
      database.close();
    });

    check("A path is a path, never a URI", (path) => {
      const odd = `${path}?mode=memory&x=%41`;
      const database = open(odd);
      table(database);
      database.close();
      assert.ok(readFileSync(odd).length > 0);
    });

    check("The log has the mode of its database", (path) => {
      writeFileSync(path, "");
      chmodSync(path, 0o600);
      const database = open(path);
      table(database);
      database.prepare("PRAGMA journal_mode = WAL").all();
      database.prepare("INSERT INTO t (id) VALUES (1)").run();
      for (const suffix of ["", "-wal", "-shm"]) assert.equal(modeOf(path + suffix), 0o600, suffix);
      database.close();
    });
  });
}
