/**
 * Errors cross a thread as plain objects and come out as what they were.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { CacheError, CacheFullError, CacheLockedError, DeliveryError, fromWire, StoppedError, toWire } from "../lib/errors.ts";

const ERRORS: readonly Error[] = [
  new CacheError("Cannot open cache: it is damaged", { code: "damaged", isStored: "unknown" }),
  new CacheFullError("Cannot store: the disk is full", { code: "full" }),
  new CacheLockedError("Cannot open cache: process 7 holds it", { code: "locked" }),
  new StoppedError("Cannot publish: the client was stopped"),
  new TypeError("Cannot do this"),
  new RangeError("Cannot do so much"),
];

describe("toWire() and fromWire()", () => {
  for (const error of ERRORS) {
    test(`A ${error.name} keeps its class, its message and what it says, over postMessage`, () => {
      const back = fromWire(structuredClone(toWire(error)));
      assert.equal(back.constructor, error.constructor);
      assert.equal(back.name, error.name);
      assert.equal(back.message, error.message);
      assert.equal((back as CacheError).code, (error as CacheError).code);
      assert.equal((back as CacheError).isStored, (error as CacheError).isStored);
      assert.equal(back.cause, error.stack, "the worker's trace is not lost");
    });
  }

  test("An error of any other class keeps its name and its message", () => {
    const error = Object.assign(new Error("no"), { name: "SqliteFailure" });
    const back = fromWire(structuredClone(toWire(error)));
    assert.deepEqual([back.name, back.message], ["SqliteFailure", "no"]);
  });

  test("What is thrown without being an error becomes one", () => {
    assert.equal(fromWire(structuredClone(toWire("no"))).message, "no");
    assert.equal(fromWire(structuredClone(toWire(undefined))).message, "undefined");
  });
});

test("DeliveryError names message, fate and reason code", () => {
  const error = new DeliveryError("Cannot deliver message 7: it is quarantined", { code: "quarantined", id: 7, reasonCode: 0x87 });
  assert.deepEqual([error.name, error.code, error.id, error.reasonCode], ["DeliveryError", "quarantined", 7, 0x87]);
  assert.equal(new DeliveryError("x", { code: "expired", id: 1 }).reasonCode, undefined);
});

test("CacheError says that nothing was stored, unless it was told otherwise", () => {
  assert.equal(new CacheError("x").isStored, false);
  assert.equal(new CacheFullError("x", { isStored: "unknown" }).isStored, "unknown");
});
