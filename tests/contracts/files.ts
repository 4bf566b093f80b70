/**
 * What every implementation of {@linkcode Files} must do.
 *
 * @module
 */
import assert from "node:assert/strict";
import { chmodSync, existsSync, lstatSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { describe, test } from "node:test";
import type { Files } from "../../lib/store/ports.ts";
import { modeOf, temporaryFolder } from "../store/fixtures.ts";

/** Runs the contract. */
export function testFiles(name: string, files: Files): void {
  const check = (sentence: string, body: (folder: string) => void) =>
    test(sentence, () => {
      using folder = temporaryFolder();
      body(folder.path);
    });

  const failsWith = (code: string, call: () => unknown) =>
    assert.throws(call, (error) => {
      assert.ok(error instanceof Error);
      assert.equal((error as { code?: unknown }).code, code, error.message);
      return true;
    });

  describe(name, () => {
    check("absolute() starts at the working directory and touches nothing", (folder) => {
      assert.equal(files.absolute("x/../y/./z"), join(process.cwd(), "y/z"));
      assert.equal(files.absolute(join(folder, "none/../there/")), join(folder, "there"));
      assert.equal(existsSync(join(folder, "there")), false);
    });

    check("join() and parent() take a path together and apart", (folder) => {
      assert.equal(files.join(folder, "a", "b.c"), `${folder}/a/b.c`);
      assert.equal(files.parent(files.join(folder, "a")), folder);
      assert.equal(files.parent("/"), "/");
    });

    check("resolve() follows links, and fails where nothing is", (folder) => {
      mkdirSync(join(folder, "real"));
      symlinkSync("real", join(folder, "link"));
      symlinkSync("none", join(folder, "dangling"));
      assert.equal(files.resolve(join(folder, "link")), files.resolve(join(folder, "real")));
      failsWith("ENOENT", () => files.resolve(join(folder, "dangling")));
      failsWith("ENOENT", () => files.resolve(join(folder, "none")));
    });

    check("info() tells what a path is, and follows no link", (folder) => {
      writeFileSync(join(folder, "file"), "12345");
      chmodSync(join(folder, "file"), 0o640);
      symlinkSync("file", join(folder, "link"));
      const { dev: device, ino: inode, uid } = lstatSync(join(folder, "file"));
      assert.deepEqual(files.info(join(folder, "file")), { kind: "file", device, inode, mode: 0o640, uid, bytes: 5 });
      assert.equal(files.info(folder)?.kind, "folder");
      assert.equal(files.info(join(folder, "link"))?.kind, "link");
      assert.equal(files.info("/dev/null")?.kind, "other");
      assert.equal(files.info(join(folder, "none")), undefined);
      assert.equal(files.info(join(folder, "none/none")), undefined);
    });

    check("createFolder() makes one private folder, once", (folder) => {
      const path = join(folder, "new");
      assert.equal(files.createFolder(path), true);
      assert.equal(modeOf(path), 0o700);
      assert.equal(files.createFolder(path), false);
      writeFileSync(join(folder, "file"), "");
      assert.equal(files.createFolder(join(folder, "file")), false);
      failsWith("ENOENT", () => files.createFolder(join(folder, "a/b")));
      failsWith("ENOTDIR", () => files.createFolder(join(folder, "file/b")));
    });

    check("createFile() makes one private, empty file, once, and follows no link", (folder) => {
      const path = join(folder, "new");
      assert.equal(files.createFile(path), true);
      assert.equal(modeOf(path), 0o600);
      assert.equal(readFileSync(path).length, 0);
      writeFileSync(path, "kept");
      assert.equal(files.createFile(path), false);
      assert.equal(readFileSync(path, "utf8"), "kept");
      symlinkSync("target", join(folder, "dangling"));
      assert.equal(files.createFile(join(folder, "dangling")), false);
      assert.equal(existsSync(join(folder, "target")), false);
      failsWith("ENOENT", () => files.createFile(join(folder, "a/b")));
    });

    check("restrict() takes a file from all others", (folder) => {
      const path = join(folder, "open");
      writeFileSync(path, "");
      chmodSync(path, 0o666);
      files.restrict(path);
      assert.equal(modeOf(path), 0o600);
      failsWith("ENOENT", () => files.restrict(join(folder, "none")));
    });

    check("writeText() replaces a private file whole, and leaves nothing beside it", (folder) => {
      const path = join(folder, "text");
      files.writeText(path, "a longer text");
      files.writeText(path, "€");
      assert.equal(files.readText(path), "€");
      assert.equal(modeOf(path), 0o600);
      assert.deepEqual(files.list(folder), ["text"]);
      writeFileSync(join(folder, "text.new"), "left by a crash");
      files.writeText(path, "again");
      assert.equal(files.readText(path), "again");
      assert.deepEqual(files.list(folder), ["text"]);
      failsWith("ENOENT", () => files.writeText(join(folder, "a/b"), ""));
    });

    check("readText() gives undefined for what is not there, and fails otherwise", (folder) => {
      assert.equal(files.readText(join(folder, "none")), undefined);
      failsWith("EISDIR", () => files.readText(folder));
    });

    check("remove() removes what is there, and is content with what is not", (folder) => {
      writeFileSync(join(folder, "file"), "");
      files.remove(join(folder, "file"));
      files.remove(join(folder, "file"));
      assert.deepEqual(files.list(folder), []);
    });

    check("rename() replaces what is there", (folder) => {
      writeFileSync(join(folder, "a"), "a");
      writeFileSync(join(folder, "b"), "b");
      files.rename(join(folder, "a"), join(folder, "b"));
      assert.deepEqual(files.list(folder), ["b"]);
      assert.equal(files.readText(join(folder, "b")), "a");
      failsWith("ENOENT", () => files.rename(join(folder, "none"), join(folder, "c")));
    });

    check("syncFolder() works on a folder, and fails without one", (folder) => {
      files.syncFolder(folder);
      failsWith("ENOENT", () => files.syncFolder(join(folder, "none")));
    });

    check("freeBytes() is what is free", (folder) => {
      const freeBytes = files.freeBytes(folder);
      assert.ok(freeBytes !== undefined && Number.isSafeInteger(freeBytes) && freeBytes > 0, `${freeBytes}`);
    });
  });
}
