import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import type { Disconnection } from "../../lib/core/ports.ts";
import { Reconnect } from "../../lib/core/reconnect.ts";
import { PUBLISHER_DEFAULTS } from "../simulation/world.ts";

const options = PUBLISHER_DEFAULTS.reconnect;
const loss: Disconnection = { during: "online", by: "network", reason: "connection reset" };
const refusal = (connackCode: number): Disconnection => ({ during: "handshake", by: "broker", reason: "refused", connackCode });

/** The longest delays that chance can draw. */
function ceilings(cause: Disconnection, count: number, onlineMs = 0): number[] {
  const reconnect = new Reconnect(options, { next: () => 1 });
  return Array.from({ length: count }, () => reconnect.delayMsAfter(cause, onlineMs));
}

describe("Reconnect", () => {
  it("doubles the ceiling of plain losses from delayMsMin to delayMsMax and draws from nothing up", () => {
    assert.deepEqual(ceilings({ ...loss, during: "connecting" }, 8), [1_000, 2_000, 4_000, 8_000, 16_000, 32_000, 60_000, 60_000]);
    assert.equal(new Reconnect(options, { next: () => 0 }).delayMsAfter(loss, 0), 0);
  });

  it("starts small again only after a connection that held for stableMs", () => {
    assert.deepEqual(ceilings(loss, 3, 9_999), [1_000, 2_000, 4_000]);
    assert.deepEqual(ceilings(loss, 3, 10_000), [1_000, 1_000, 1_000]);
  });

  it("waits minutes after a refused login, whatever chance says", () => {
    for (const code of [4, 5, 0x86, 0x87, 0x8a, 0x8c]) {
      assert.equal(new Reconnect(options, { next: () => 0 }).delayMsAfter(refusal(code), 0), 60_000, `code ${code}`);
      assert.deepEqual(ceilings(refusal(code), 5), [120_000, 240_000, 480_000, 900_000, 900_000], `code ${code}`);
    }
  });

  it("gives a busy broker at least five seconds", () => {
    for (const code of [3, 0x88, 0x89, 0x97, 0x9f]) {
      assert.equal(new Reconnect(options, { next: () => 0 }).delayMsAfter(refusal(code), 0), 5_000, `code ${code}`);
      assert.deepEqual(ceilings(refusal(code), 3), [10_000, 20_000, 40_000], `code ${code}`);
    }
  });

  it("waits longer each time the session is taken over, however long the connection held", () => {
    assert.deepEqual(ceilings({ ...loss, by: "broker", disconnectCode: 0x8e }, 4, 3_600_000), [30_000, 60_000, 120_000, 240_000]);
  });

  it("spreads the first attempt of a fleet", () => {
    const spread = { ...options, firstSpreadMs: 300_000 };
    assert.equal(new Reconnect(spread, { next: () => 0.5 }).firstDelayMs(), 150_000);
    assert.equal(new Reconnect(spread, { next: () => 0.5 }).delayMsAfter(loss, 60_000), 150_000);
    const again = new Reconnect(spread, { next: () => 1 });
    again.delayMsAfter(loss, 0);
    assert.equal(again.delayMsAfter(loss, 0), 2_000, "only the first");
  });
});
