/**
 * The client with its real worker and a real cache: without a broker, with one, and with a worker that dies again and again.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, describe, test } from "node:test";
import { CacheError, CacheLockedError, PersistClient, type PersistClientOptions } from "../../mod.ts";
import { within } from "../support/deadline.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { freePort } from "../support/sockets.ts";
import { Subscriber } from "../support/subscriber.ts";
import { encodeReading, READINGS_TOPIC, Tally } from "../support/workload.ts";
import type { Death, Fault } from "./faulty_worker.ts";

const root = mkdtempSync(join(tmpdir(), "persistmq-worker-"));
after(() => rmSync(root, { recursive: true }));
let folderCount = 0;
const newCachePath = () => join(root, `cache-${++folderCount}`);

const makeClient = (options: Partial<PersistClientOptions> & { readonly cachePath: string }) =>
  new PersistClient({ clientId: "worker-test", log: false, ...options });

describe("Without a broker", () => {
  test("What publish() resolved for is there after a restart, with its ids, its counters and its identity", async () => {
    const cachePath = newCachePath();
    await using first = makeClient({ cachePath });
    assert.equal(await first.publish("a", "1"), 1);
    assert.deepEqual(await first.publishMany([{ topic: "a", payload: "2" }, { topic: "a", payload: "3" }]), [2, 3]);
    await first.stop();
    await using second = makeClient({ cachePath });
    assert.equal(await second.publish("a", "4"), 4);
    const { cachedItems, ledger, cache, lastMid } = second.getStatus();
    assert.deepEqual([cachedItems, ledger?.accepted, ledger?.pending, lastMid], [4, 4, 4, 0]);
    assert.ok(cache.state === "open" && cache.path.endsWith(cachePath) && /^[0-9a-f]{32}$/.test(cache.identity));
    await assert.rejects(second.delivered(5), RangeError);
    const controller = new AbortController();
    const waiting = second.delivered(1, { signal: controller.signal });
    controller.abort(new Error("enough"));
    await assert.rejects(waiting, /enough/);
  });

  test("connectAsync() resolves although nobody answers, and the status says why there is no connection", async () => {
    await using client = makeClient({ cachePath: newCachePath() });
    const failed = new Promise<string>((resolve) =>
      client.addEventListener("disconnect", ({ detail }) => resolve(detail.code ?? detail.reason))
    );
    await client.connectAsync({ host: "127.0.0.1", port: await freePort() });
    assert.equal(await within(failed, "the failed attempt"), "ECONNREFUSED");
    assert.equal(client.getStatus().connection.state, "offline");
    assert.equal(client.getStatus().connected, false);
    await client.disconnect();
    assert.equal(client.getStatus().connection.state, "idle");
  });

  test("stop() stores what was published in the same turn", async () => {
    const cachePath = newCachePath();
    const client = makeClient({ cachePath });
    for (let number = 0; number < 3_000; number++) client.publish("a", String(number));
    await client.stop();
    await using again = makeClient({ cachePath });
    assert.equal(await again.publish("a", "last"), 3_001);
    assert.equal(again.getStatus().cachedItems, 3_001);
  });

  test("A flood that nobody waits for is bounded: what is refused is told, all else is stored, in order", async () => {
    const count = 100_000;
    await using client = makeClient({ cachePath: newCachePath(), queueBytesMax: 4 << 20 });
    await client.publish("first", "");
    let refusedCount = 0;
    client.addEventListener("refused", ({ detail }) => refusedCount += detail.error.name === "CacheFullError" ? 1 : 0);
    const outcomes: Promise<number>[] = [];
    for (let number = 0; number < count; number++) outcomes.push(client.publish("a", "x".repeat(100)));
    assert.ok(client.getStatus().queuedBytes <= 4 << 20);
    const ids = (await Promise.allSettled(outcomes)).filter(({ status }) => status === "fulfilled").map((outcome) =>
      (outcome as { value: number }).value
    );
    assert.equal(ids.length + refusedCount, count);
    assert.ok(refusedCount > 0);
    assert.deepEqual(ids, ids.map((_, index) => index + 2));
    assert.equal(await client.publish("last", ""), ids.length + 2);
    assert.deepEqual([client.getStatus().cachedItems, client.getStatus().queuedCount], [ids.length + 2, 0]);
  });

  test("What is refused as invalid leaves no trace in the cache", async () => {
    await using client = makeClient({ cachePath: newCachePath() });
    assert.equal(await client.publish("a", "1"), 1);
    await assert.rejects(client.publish("a/#", "2"), TypeError);
    await assert.rejects(client.publish("a", {} as never), TypeError);
    await assert.rejects(client.publish("a", "2", { qos: 3 as never }), RangeError);
    await assert.rejects(client.publishMany([{ topic: "a", payload: "2" }, { topic: "", payload: "3" }]), TypeError);
    assert.equal(await client.publish("a", "2"), 2);
    assert.equal(client.getStatus().ledger?.accepted, 2);
  });

  test("The worker's module refuses to run in a program's own thread", async () => {
    await assert.rejects(import("../../lib/worker.ts"), /Cannot run the worker here: this module is for a Web Worker/);
  });

  test("purge() takes messages out for good, and delivered() says so", async () => {
    await using client = makeClient({ cachePath: newCachePath() });
    await client.publishMany([1, 2, 3].map((number) => ({ topic: "a", payload: number })));
    assert.deepEqual(await client.purge([2, 9]), [2]);
    await assert.rejects(client.delivered(2), { name: "DeliveryError", code: "purged", id: 2 });
    assert.deepEqual(await client.quarantined(), []);
    assert.deepEqual(await client.requeue([1]), []);
    await client.publish("a", "4");
    assert.deepEqual([client.getStatus().ledger?.purged, client.getStatus().cachedItems], [1, 3]);
  });

  test("A second client is refused while the first holds the cache, which is undisturbed; afterwards it opens", async () => {
    const cachePath = newCachePath();
    const first = makeClient({ cachePath });
    await first.publish("a", "1");
    await using second = makeClient({ cachePath });
    const startMs = performance.now();
    await assert.rejects(second.publish("a", "2"), CacheLockedError);
    assert.ok(performance.now() - startMs < 1_000, "within a second");
    assert.equal(await first.publish("a", "3"), 2);
    await first.stop();
    assert.equal(await second.publish("a", "4"), 3);
  });

  test("A cache path that is a file is a clear error, and nothing is left behind; once it is gone the cache opens", async () => {
    const cachePath = newCachePath();
    writeFileSync(cachePath, "not a folder");
    const before = readdirSync(root);
    await using client = makeClient({ cachePath });
    await assert.rejects(client.publish("a", "1"), (error: CacheError) => {
      assert.ok(error instanceof CacheError);
      assert.match(error.message, /^Cannot open cache /);
      assert.equal(error.isStored, false);
      return true;
    });
    assert.deepEqual(readdirSync(root), before);
    rmSync(cachePath);
    assert.equal(await client.publish("a", "1"), 1);
  });
});

describe("With a broker", { skip: mosquittoMissing() }, () => {
  const DEATHS: readonly Death[] = ["throws before", "throws after", "throws later", "rejects"];
  // A worker that ends itself is noticed on Bun only: nothing on Deno tells of it.
  for (const death of "Bun" in globalThis ? [...DEATHS, "hangs up" as const] : DEATHS) {
    test(`A worker that ${death} again and again is replaced each time: nothing is lost, doubled or out of order`, async () => {
      const broker = await Mosquitto.start();
      const tally = new Tally();
      const subscriber = await Subscriber.start({ port: broker.port, onMessage: ({ payload }) => tally.take(payload) });
      const client = makeClient({ cachePath: newCachePath(), worker: () => startFaultyWorker({ type: "fault", afterCount: 25, death }) });
      try {
        await client.connectAsync({ host: "127.0.0.1", port: broker.port });
        await client.connected();
        const ids: Promise<number>[] = [];
        let published = 0;
        while (client.getStatus().workerRestartCount < 3) {
          ids.push(client.publish(READINGS_TOPIC, encodeReading(++published)));
          if (published % 3 === 0) await new Promise((resolve) => setTimeout(resolve, 1));
        }
        assert.deepEqual(await within(Promise.all(ids), "all to be stored"), ids.map((_, index) => index + 1));
        await within(client.flush(), "all to be delivered");
        await within(client.delivered(published), "the last one");
        await subscriber.fence();
        assert.deepEqual([tally.numbers.length, tally.duplicates, tally.outOfOrder, tally.altered], [published, 0, 0, 0]);
        const { ledger } = client.getStatus();
        assert.deepEqual([ledger?.accepted, ledger?.delivered, ledger?.pending], [published, published, 0]);
      } finally {
        await client.stop();
        await subscriber.stop();
        await broker.close();
      }
    });
  }
});

function startFaultyWorker(fault: Fault): Worker {
  const worker = new Worker(new URL("./faulty_worker.ts", import.meta.url), { type: "module", name: "persistmq" });
  worker.postMessage(fault);
  return worker;
}
