/**
 * The client against a worker that does as the test says: what crosses, in which order, and what comes of what the worker reports or fails to.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { TickReport } from "../lib/core/report.ts";
import { FRUITLESS_DEATHS_MAX } from "../lib/courier.ts";
import { MESSAGE_OVERHEAD_BYTES } from "../lib/intake.ts";
import type { PersistClientEventMap } from "../mod.ts";
import {
  CacheError,
  CacheFullError,
  CacheLockedError,
  DeliveryError,
  PersistClient,
  type PersistClientOptions,
  type PublishOptions,
  StoppedError,
} from "../mod.ts";
import { within } from "./support/deadline.ts";
import { EMPTY_STATUS, FakeWorkers } from "./support/fake_worker.ts";

const BROKER = { protocol: "mqtt", host: "broker.local", port: 1883 } as const;
const SERVER = {
  sessionPresent: false,
  protocolVersion: 5,
  receiveMaximum: 20,
  maximumQoS: 2,
  retainAvailable: true,
  maximumPacketSize: 268_435_460,
  keepAliveSeconds: 60,
  sessionExpirySeconds: 2_592_000,
} as const;
const ONLINE: TickReport["status"] = { ...EMPTY_STATUS, connection: { state: "online", sinceEpochMs: 1, server: SERVER }, broker: BROKER };
const COUNTS = { delivered: 1, quarantined: 0, dropped: 0, expired: 0, purged: 0, damaged: 0 };

function makeClient(options: Partial<PersistClientOptions> = {}) {
  const workers = new FakeWorkers();
  const client = new PersistClient({ clientId: "c", log: false, worker: workers.start, ...options });
  return { client, workers };
}

/** A client whose cache is open. */
async function openClient(options: Partial<PersistClientOptions> = {}, nextMessageId = 1) {
  const { client, workers } = makeClient(options);
  const connecting = client.connectAsync(`mqtt://${BROKER.host}`);
  const worker = await workers.number(0);
  await worker.open(nextMessageId);
  await connecting;
  return { client, workers, worker };
}

/** The next event of this type. */
function next<Type extends keyof PersistClientEventMap>(client: PersistClient, type: Type): Promise<PersistClientEventMap[Type]["detail"]> {
  const heard = new Promise<PersistClientEventMap[Type]["detail"]>((resolve) => {
    client.addEventListener(type, (event) => resolve(event.detail), { once: true });
  });
  return within(heard, `the event ${type}`);
}

async function stop(client: PersistClient, worker: { told(type: "stop"): Promise<unknown>; say(report: { type: "stopped" }): void }) {
  const stopped = client.stop();
  await worker.told("stop");
  worker.say({ type: "stopped" });
  await within(stopped, "stop()");
}

/** All microtasks that are due have run. */
const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

describe("Opening", () => {
  test("Nothing is sent before the worker has loaded, and nothing but open before the cache is open", async () => {
    const { client, workers } = makeClient();
    client.publish("a", "1");
    const connecting = client.connectAsync(`mqtt://${BROKER.host}`);
    const worker = await workers.number(0);
    await settled();
    assert.deepEqual(worker.types, []);
    worker.say({ type: "loaded" });
    await settled();
    assert.deepEqual(worker.types, ["open"]);
    assert.deepEqual(client.getStatus().cache, { state: "opening" });
    worker.say({ type: "opened", nextMessageId: 41, cacheIdentity: "f", cachePath: "/x", status: EMPTY_STATUS, warnings: ["odd"] });
    await connecting;
    assert.deepEqual(worker.types, ["open", "publish", "connect"]);
    assert.deepEqual(client.getStatus().cache, { state: "open", path: "/x", identity: "f", warnings: ["odd"] });
    await stop(client, worker);
  });

  test("Publishes before the cache is open get the numbers that follow the cache's own, in order", async () => {
    const { client, workers } = makeClient();
    const ids = [
      client.publish("a", "1"),
      client.publishMany([{ topic: "b", payload: "2" }, { topic: "c", payload: "3" }]),
      client.publish("d", "4"),
    ];
    const worker = await workers.number(0);
    await worker.open(41);
    const { requests } = await worker.told("publish");
    assert.deepEqual(requests.map((request) => request.map(({ id, topic }) => [id, topic])), [[[41, "a"]], [[42, "b"], [43, "c"]], [[
      44,
      "d",
    ]]]);
    worker.tick({ stored: [[41, 44]] });
    assert.deepEqual(await Promise.all(ids), [41, [42, 43], 44]);
    await stop(client, worker);
  });

  test("A cache that cannot be opened rejects connectAsync() and what waits, and the next publish() tries again", async () => {
    const { client, workers } = makeClient();
    const errors: string[] = [];
    client.addEventListener("error", ({ detail }) => errors.push(detail.error.name));
    const connecting = client.connectAsync(`mqtt://${BROKER.host}`);
    const publishing = client.publish("a", "1");
    const worker = await workers.number(0);
    worker.say({ type: "loaded" });
    await worker.told("open");
    const error = { name: "CacheLockedError", message: "Cannot open cache: process 7 holds it", code: "locked" };
    worker.say({ type: "openFailed", error });
    await assert.rejects(connecting, CacheLockedError);
    await assert.rejects(publishing, (error: CacheLockedError) => error instanceof CacheLockedError && error.isStored === false);
    assert.deepEqual(client.getStatus().cache, { state: "failed", reason: error.message, willRetry: false });
    await settled();
    assert.deepEqual(errors, ["CacheLockedError"]);

    const again = client.publish("b", "2");
    await worker.told("open");
    worker.say({ type: "opened", nextMessageId: 1, cacheIdentity: "f", cachePath: "/x", status: EMPTY_STATUS, warnings: [] });
    const { requests } = await worker.told("publish");
    assert.deepEqual(requests.map(([message]) => message?.topic), ["b"]);
    await worker.told("connect"); // the wish stands
    worker.tick({ stored: [[1, 1]] });
    assert.equal(await again, 1);
    assert.equal(workers.all.length, 1);
    await stop(client, worker);
  });

  test("A worker that cannot be started is a clear error, and the next call tries again", async () => {
    const { client, workers } = makeClient();
    const connecting = client.connectAsync(`mqtt://${BROKER.host}`);
    const worker = await workers.number(0);
    assert.equal(worker.die("Module not found"), true, "the program goes on");
    await assert.rejects(connecting, (error: CacheError) => {
      assert.ok(error instanceof CacheError);
      assert.match(error.message, /^Cannot start the worker: Module not found \(.*option worker/);
      assert.equal(error.code, "worker");
      return true;
    });
    assert.equal(worker.isTerminated, true);
    const again = client.connectAsync(`mqtt://${BROKER.host}`);
    await (await workers.number(1)).open();
    await again;
    await stop(client, workers.all[1]!);
  });

  test("A worker option that throws is a clear error", async () => {
    const client = new PersistClient({
      clientId: "c",
      log: false,
      worker: () => {
        throw new Error("no worker here");
      },
    });
    await assert.rejects(client.connectAsync("mqtt://h"), /Cannot start the worker: no worker here/);
    await client.stop();
  });

  test("A file that is there but is not the worker never says that it has loaded: that is an error too", async () => {
    const { WorkerLink } = await import("../lib/worker_link.ts");
    const { resolveOptions } = await import("../lib/options.ts");
    const workers = new FakeWorkers();
    const failed = new Promise<Error>((resolve) => {
      const listener = { onOpened() {}, onOpenFailed: resolve, onLost() {}, onReport() {} };
      new WorkerLink(workers.start, resolveOptions({ clientId: "c" }).worker, listener, { loadMsMax: 10, loadGraceMs: 1 }).start();
    });
    const error = await within(failed, "the error");
    assert.match(error.message, /^Cannot start the worker: it did not answer within 10 ms \(/);
    assert.equal(workers.all[0]!.isTerminated, true);
    assert.deepEqual(workers.all[0]!.types, [], "it is told nothing");
  });

  test("A connectAsync() that nobody waits for ends no process when it fails, and its error comes as an event", async () => {
    const { client } = makeClient();
    const heard = next(client, "error");
    client.connectAsync("broker.local");
    assert.match((await heard).error.message, /not a URL/);
  });
});

describe("Publishing", () => {
  test("Publishes of one turn cross in one message, those of the next turn in another", async () => {
    const { client, worker } = await openClient();
    client.publish("a", "1");
    client.publish("a", "2");
    await settled();
    client.publish("a", "3");
    const first = await worker.told("publish");
    const second = await worker.told("publish");
    assert.deepEqual([first.requests.flat().map(({ id }) => id), second.requests.flat().map(({ id }) => id)], [[1, 2], [3]]);
    await stop(client, worker);
  });

  test("A command comes after the publishes before it", async () => {
    const { client, worker } = await openClient();
    client.publish("a", "1");
    client.flush().catch(() => {});
    await settled();
    assert.deepEqual(worker.types.slice(-2), ["publish", "flush"]);
    assert.equal((await worker.told("flush")).throughId, 1);
    await stop(client, worker);
  });

  test("A message is stored as it was when publish() was called", async () => {
    const { client, worker } = await openClient();
    const payload = new Uint8Array([1, 2, 3]);
    client.publish("a", payload.subarray(1));
    payload.fill(0);
    const { requests } = await worker.told("publish");
    assert.deepEqual(requests[0]?.[0], { id: 1, topic: "a", payload: new Uint8Array([2, 3]), qos: 2, retain: false });
    await stop(client, worker);
  });

  test("A refused message rejects its promise and comes as an event; its number is skipped", async () => {
    const { client, worker } = await openClient();
    const refused = client.publish("a", "1");
    const heard = next(client, "refused");
    await worker.told("publish");
    worker.tick({
      refused: [{ ids: [1, 1], error: { name: "CacheFullError", message: "Cannot store: full", code: "full", isStored: false } }],
    });
    await assert.rejects(refused, CacheFullError);
    const { error, isStored, messages } = await heard;
    assert.ok(error instanceof CacheFullError);
    assert.equal(isStored, false);
    assert.deepEqual(messages.map(({ topic }) => topic), ["a"]);
    client.publish("a", "2");
    assert.equal((await worker.told("publish")).requests[0]?.[0]?.id, 2);
    await stop(client, worker);
  });

  test("A storage error says that the outcome is unknown", async () => {
    const { client, worker } = await openClient();
    const refused = client.publish("a", "1");
    await worker.told("publish");
    worker.tick({
      refused: [{ ids: [1, 1], error: { name: "CacheError", message: "Cannot store: EIO", code: "storage", isStored: "unknown" } }],
    });
    await assert.rejects(refused, (error: CacheError) => error instanceof CacheError && error.isStored === "unknown");
    await stop(client, worker);
  });

  test("What waits in memory is bounded, but one that finds nothing waiting is always taken", async () => {
    const { client, worker } = await openClient({ queueBytesMax: 3 * MESSAGE_OVERHEAD_BYTES });
    const large = client.publish("a", new Uint8Array(10_000));
    assert.equal(client.getStatus().queuedBytes, 10_001 + MESSAGE_OVERHEAD_BYTES);
    await assert.rejects(client.publish("a", "1"), (error: CacheFullError) => {
      assert.ok(error instanceof CacheFullError);
      assert.deepEqual([error.code, error.isStored], ["queue-full", false]);
      return true;
    });
    await worker.told("publish");
    worker.tick({ stored: [[1, 1]] });
    await large;
    assert.equal(client.getStatus().queuedBytes, 0);
    const small = [client.publish("a", ""), client.publish("a", "")];
    await assert.rejects(client.publish("a", new Uint8Array(MESSAGE_OVERHEAD_BYTES)), CacheFullError);
    assert.equal(client.getStatus().queuedCount, 2);
    await worker.told("publish");
    worker.tick({ stored: [[2, 3]] });
    assert.deepEqual(await Promise.all(small), [2, 3]);
    await stop(client, worker);
  });

  test("publishMany() of nothing resolves, and stores nothing", async () => {
    const { client, workers } = makeClient();
    assert.deepEqual(await client.publishMany([]), []);
    assert.equal(workers.all.length, 0);
  });

  test("Un-awaited failures end no process", async () => {
    const { client, worker } = await openClient();
    let unhandledCount = 0;
    const onUnhandled = (event: Event) => {
      event.preventDefault();
      unhandledCount++;
    };
    const onUnhandledHere = () => unhandledCount++;
    globalThis.addEventListener("unhandledrejection", onUnhandled);
    process.on("unhandledRejection", onUnhandledHere);
    try {
      client.publish("a/#", "1");
      client.publish("a", "1");
      client.publishMany([{ topic: "", payload: "" }]);
      await worker.told("publish");
      worker.tick({ refused: [{ ids: [1, 1], error: { name: "CacheError", message: "no" } }] });
      await settled();
      await settled();
      assert.equal(unhandledCount, 0);
    } finally {
      globalThis.removeEventListener("unhandledrejection", onUnhandled);
      process.off("unhandledRejection", onUnhandledHere);
    }
    await stop(client, worker);
  });
});

describe("until and signal", () => {
  test('until: "delivered" resolves when the broker has the message, not when it is stored', async () => {
    const { client, worker } = await openClient();
    const publishing = client.publish("a", "1", { until: "delivered" });
    let isSettled = false;
    publishing.then(() => isSettled = true);
    await worker.told("publish");
    worker.tick({ stored: [[1, 1]] });
    await settled();
    assert.equal(isSettled, false);
    worker.tick({ delivered: [[1, 1]] });
    assert.equal(await publishing, 1);
    await stop(client, worker);
  });

  test('publishMany() with until: "delivered" waits for all of them', async () => {
    const { client, worker } = await openClient();
    const publishing = client.publishMany([{ topic: "a", payload: "1" }, { topic: "a", payload: "2" }], { until: "delivered" });
    await worker.told("publish");
    worker.tick({ stored: [[1, 2]], delivered: [[2, 2]] });
    worker.tick({ delivered: [[1, 1]] });
    assert.deepEqual(await publishing, [1, 2]);
    await stop(client, worker);
  });

  test('until: "delivered" rejects with the fate of a message that will not be', async () => {
    const { client, worker } = await openClient();
    const publishing = client.publish("a", "1", { until: "delivered" });
    await worker.told("publish");
    worker.tick({ stored: [[1, 1]], fates: [{ id: 1, fate: "quarantined", reason: "not authorized", reasonCode: 0x87 }] });
    await assert.rejects(publishing, (error: DeliveryError) => {
      assert.ok(error instanceof DeliveryError);
      assert.deepEqual([error.code, error.id, error.reasonCode], ["quarantined", 1, 0x87]);
      return true;
    });
    await stop(client, worker);
  });

  test("A signal that has aborted stores nothing", async () => {
    const { client, worker } = await openClient();
    await assert.rejects(client.publish("a", "1", { signal: AbortSignal.abort(new Error("too late")) }), /too late/);
    assert.equal(client.getStatus().queuedCount, 0);
    await stop(client, worker);
    assert.ok(!worker.types.includes("publish"));
  });

  test("A signal that aborts later ends the waiting only", async () => {
    const { client, worker } = await openClient();
    const controller = new AbortController();
    const publishing = client.publish("a", "1", { signal: controller.signal });
    const delivering = client.publish("a", "2", { until: "delivered", signal: controller.signal });
    const { requests } = await worker.told("publish");
    assert.equal(requests.length, 2);
    worker.tick({ stored: [[2, 2]] });
    controller.abort(new Error("enough"));
    await assert.rejects(publishing, /enough/);
    await assert.rejects(delivering, /enough/);
    assert.equal(client.getStatus().queuedCount, 1, "it is still on its way to the disk");
    worker.tick({ stored: [[1, 1]], delivered: [[1, 2]] });
    assert.equal(client.getStatus().queuedCount, 0);
    await stop(client, worker);
  });

  test("Signals end every other waiting too", async () => {
    const { client, worker } = await openClient();
    const controller = new AbortController();
    const { signal } = controller;
    client.publish("a", "1");
    const waits = [client.connected({ signal }), client.flush({ signal }), client.delivered(1, { signal })];
    controller.abort(new Error("enough"));
    for (const wait of waits) await assert.rejects(wait, /enough/);
    for (const call of [() => client.connected({ signal }), () => client.flush({ signal }), () => client.delivered(1, { signal })]) {
      await assert.rejects(call(), /enough/);
    }
    await stop(client, worker);
  });
});

describe("Fates", () => {
  test("delivered() asks the worker, also about an id from before", async () => {
    const { client, worker } = await openClient({}, 100);
    const delivered = client.delivered(7);
    assert.deepEqual((await worker.told("watch")).ids, [7]);
    worker.tick({ fates: [{ id: 7, fate: "delivered" }] });
    await delivered;
    for (const fate of ["quarantined", "dropped", "expired", "purged", "damaged", "forgotten", "refused"] as const) {
      const failing = client.delivered(8);
      await worker.told("watch");
      worker.tick({ fates: [{ id: 8, fate }] });
      await assert.rejects(failing, (error: DeliveryError) => error instanceof DeliveryError && error.code === fate && error.id === 8);
    }
    await stop(client, worker);
  });

  test("delivered() of an id that was never issued is a RangeError, of what is no id too", async () => {
    const { client, worker } = await openClient({}, 100);
    await assert.rejects(client.delivered(100), RangeError);
    await assert.rejects(client.delivered(0), RangeError);
    await assert.rejects(client.delivered(1.5), RangeError);
    await assert.rejects(client.delivered("1" as never), TypeError);
    const unissued = client.delivered(5);
    await worker.told("watch");
    worker.tick({ fates: [{ id: 5, fate: "unissued" }] });
    await assert.rejects(unissued, RangeError);
    await stop(client, worker);
  });

  test("flush() resolves with counts, and takes what was published before the cache was open into account", async () => {
    const { client, workers } = makeClient();
    client.publish("a", "1");
    await assert.rejects(client.flush(), /Cannot flush: connectAsync\(\) was never called/);
    client.connectAsync(`mqtt://${BROKER.host}`);
    const flushing = client.flush();
    const worker = await workers.number(0);
    await worker.open(10);
    const { flushId, throughId } = await worker.told("flush");
    assert.equal(throughId, 10);
    worker.tick({ stored: [[10, 10]], flushed: [{ flushId, counts: COUNTS }] });
    assert.deepEqual(await flushing, COUNTS);
    await stop(client, worker);
  });

  test("Questions are answered, with the worker's error where there is one", async () => {
    const { client, worker } = await openClient();
    const listing = client.quarantined({ afterId: 3, countMax: 5 });
    const { requestId, afterId, countMax } = await worker.told("quarantined");
    assert.deepEqual([afterId, countMax], [3, 5]);
    worker.say({ type: "answer", requestId, quarantined: [] });
    assert.deepEqual(await listing, []);
    const requeueing = client.requeue([4]);
    worker.say({ type: "answer", requestId: (await worker.told("requeue")).requestId, ids: [4] });
    assert.deepEqual(await requeueing, [4]);
    const purging = client.purge([5]);
    const error = { name: "CacheError", message: "Cannot purge: EIO", code: "storage" };
    worker.say({ type: "answer", requestId: (await worker.told("purge")).requestId, error });
    await assert.rejects(purging, CacheError);
    await assert.rejects(client.purge([0]), RangeError);
    await assert.rejects(client.requeue(5 as never), TypeError);
    await assert.rejects(client.quarantined({ countMax: 0 }), RangeError);
    await stop(client, worker);
  });
});

describe("Connection", () => {
  test("connected() resolves with what the broker said, getStatus() says it too, and events come", async () => {
    const { client, worker } = await openClient();
    const connected = client.connected();
    const heard = next(client, "connect");
    worker.tick({ status: ONLINE, events: [{ type: "connect", server: SERVER, broker: BROKER }] });
    assert.deepEqual(await connected, SERVER);
    assert.deepEqual(await client.connected(), SERVER);
    assert.deepEqual(await heard, { server: SERVER, broker: BROKER });
    assert.equal(client.getStatus().connected, true);
    await stop(client, worker);
    assert.equal(client.getStatus().connected, false);
  });

  test("connected() without a wish to connect does not wait for ever", async () => {
    const { client } = makeClient();
    await assert.rejects(client.connected(), /connectAsync\(\) was never called/);
  });

  test("connected() waits for the broker that was asked for last", async () => {
    const { client, worker } = await openClient();
    worker.tick({ status: ONLINE });
    await client.connectAsync("mqtt://other.local");
    const connected = client.connected();
    const other = { ...BROKER, host: "other.local" };
    worker.tick({
      status: { ...ONLINE, connection: { state: "online", sinceEpochMs: 2, server: { ...SERVER, receiveMaximum: 5 } }, broker: other },
    });
    assert.equal((await connected).receiveMaximum, 5);
    await stop(client, worker);
  });

  test("disconnect() resolves when there is no connection any more; then connectAsync() begins again", async () => {
    const { client, worker } = await openClient();
    worker.tick({ status: ONLINE });
    const disconnecting = client.disconnect();
    await worker.told("disconnect");
    worker.tick({ status: EMPTY_STATUS });
    await disconnecting;
    await client.connectAsync("mqtt://other.local");
    assert.equal((await worker.told("connect")).broker.host, "other.local");
    await stop(client, worker);
  });

  test("Credentials cross to the worker and are in no status, event or log", async () => {
    const lines: string[] = [];
    const { client, workers } = makeClient({ log: { level: "debug", sink: (record) => lines.push(JSON.stringify(record)) } });
    const connecting = client.connectAsync("mqtt://u:hunter2@broker.local");
    const worker = await workers.number(0);
    await worker.open();
    await connecting;
    assert.deepEqual((await worker.told("connect")).credentials, { username: "u", password: "hunter2" });
    worker.tick({ status: ONLINE, events: [{ type: "connect", server: SERVER, broker: BROKER }] });
    const cause = { reason: "not authorized", wasConnected: true, isTakenOver: false, isLoginRefused: true, retryInMs: 5 };
    worker.tick({ events: [{ type: "disconnect", ...cause }] });
    await settled();
    assert.ok(!JSON.stringify([client.getStatus(), lines]).includes("hunter2"));
    assert.ok(lines.length >= 2);
    await stop(client, worker);
  });

  test("The option credentials is asked whenever the worker wants them, and its failure is told to both sides", async () => {
    const given: (() => unknown)[] = [
      () => ({ username: "u", password: "1" }),
      () => Promise.resolve({ username: "u", password: "2" }),
      () => Promise.reject(new Error("the token server is down")),
      () => {
        throw new Error("no token");
      },
      () => ({ user: "u" }),
      () => undefined,
    ];
    const { client, worker } = await openClient({ credentials: () => given.shift()!() as never });
    const errors: string[] = [];
    client.addEventListener("error", ({ detail }) => errors.push(detail.error.message));
    const ask = async () => {
      worker.say({ type: "credentialsWanted" });
      return await worker.told("credentials");
    };
    assert.deepEqual((await ask()).credentials, { username: "u", password: "1" });
    assert.deepEqual((await ask()).credentials, { username: "u", password: "2" });
    assert.match((await ask()).error!.message, /the token server is down/);
    assert.match((await ask()).error!.message, /no token/);
    assert.match((await ask()).error!.message, /unknown key "user"/);
    const nothing = await ask();
    assert.deepEqual([nothing.credentials, nothing.error], [undefined, undefined]);
    await settled();
    assert.equal(errors.length, 3);
    await stop(client, worker);
  });

  test("A credentials() that hangs is given up", async () => {
    const { askCredentials } = await import("../lib/ask_credentials.ts");
    await assert.rejects(askCredentials(() => new Promise(() => {}), 5), /credentials\(\) has not settled within 5 ms/);
  });
});

describe("A worker that dies", () => {
  const DEATHS: readonly (readonly [how: string, die: (worker: import("./support/fake_worker.ts").FakeWorker) => void])[] = [
    ["an uncaught error", (worker) => worker.die("boom")],
    ["its end", (worker) => worker.emit("close")],
    ["a report that cannot be read", (worker) => worker.emit("messageerror")],
    ["its own report", (worker) => worker.say({ type: "failed", error: { name: "AssertionError", message: "Cannot go on" } })],
  ];
  for (const [how, die] of DEATHS) {
    test(`It is noticed by ${how}, and a new worker is given all that was not reported, in order, under its old numbers`, async () => {
      const { client, workers, worker } = await openClient();
      const promises = [1, 2, 3].map((number) => client.publish("a", String(number)));
      await worker.told("publish");
      worker.tick({ stored: [[1, 1]] });
      const heard = next(client, "error");
      die(worker);
      assert.equal(worker.isTerminated, true);
      assert.match((await heard).error.message, /^Cannot go on with the worker: /);
      const meanwhile = client.publish("a", "4");
      const successor = await workers.number(1);
      await successor.open(3); // 1 and 2 are on disk
      const { requests } = await successor.told("publish");
      assert.deepEqual(requests.flat().map(({ id, payload }) => [id, new TextDecoder().decode(payload)]), [[2, "2"], [3, "3"], [4, "4"]]);
      await successor.told("connect");
      successor.tick({ stored: [[2, 4]] });
      assert.deepEqual(await Promise.all([...promises, meanwhile]), [1, 2, 3, 4]);
      assert.equal(client.getStatus().workerRestartCount, 1);
      await stop(client, successor);
    });
  }

  test("What a dead worker still says is not heard", async () => {
    const { client, workers, worker } = await openClient();
    const publishing = client.publish("a", "1");
    await worker.told("publish");
    worker.die("boom");
    worker.tick({ stored: [[1, 1]] });
    assert.equal(client.getStatus().queuedCount, 1);
    const successor = await workers.number(1);
    await successor.open();
    await successor.told("publish");
    successor.tick({ stored: [[1, 1]] });
    await publishing;
    await stop(client, successor);
  });

  test("What was waited for is asked again", async () => {
    const { client, workers, worker } = await openClient({}, 50);
    const waits = [
      client.delivered(7),
      client.flush(),
      client.connected(),
      client.publish("a", "1", { until: "delivered" }),
    ];
    await worker.told("publish");
    worker.tick({ stored: [[50, 50]] });
    await settled();
    const unstored = client.publish("a", "2", { until: "delivered" });
    await worker.told("publish");
    const asking = client.quarantined();
    await worker.told("quarantined");
    worker.die("boom");
    await assert.rejects(asking, CacheError);
    const successor = await workers.number(1);
    await successor.open(51);
    assert.deepEqual((await successor.told("publish")).requests.flat().map(({ id }) => id), [51]);
    await successor.told("connect");
    assert.deepEqual((await successor.told("watch")).ids, [7, 50]);
    const { flushId, throughId } = await successor.told("flush");
    assert.equal(throughId, 49);
    successor.tick({
      status: ONLINE,
      stored: [[51, 51]],
      delivered: [[50, 50]],
      fates: [{ id: 7, fate: "delivered" }],
      flushed: [{ flushId, counts: COUNTS }],
    });
    await Promise.all(waits);
    // The first worker may have delivered it before it died.
    assert.deepEqual((await successor.told("watch")).ids, [51]);
    successor.tick({ fates: [{ id: 51, fate: "delivered" }] });
    assert.equal(await unstored, 51);
    await stop(client, successor);
  });

  test("The status and a disconnect event tell of it", async () => {
    const { client, workers, worker } = await openClient();
    worker.tick({ status: ONLINE });
    const heard = next(client, "disconnect");
    worker.die("boom");
    const { wasConnected, retryInMs } = await heard;
    assert.equal(wasConnected, true);
    assert.ok(retryInMs! > 0);
    assert.equal(client.getStatus().connected, false);
    assert.equal(client.getStatus().connection.state, "offline");
    const successor = await workers.number(1);
    await successor.open();
    await settled();
    await stop(client, successor);
  });

  test("A message that kills every worker it is given to is refused in the end, its outcome unknown", async () => {
    const { client, workers, worker } = await openClient();
    const deadly = client.publish("a", "1");
    await worker.told("publish");
    worker.die("boom");
    for (let death = 1; death < FRUITLESS_DEATHS_MAX; death++) {
      const successor = await workers.number(death);
      await successor.open();
      await successor.told("publish");
      successor.die("boom");
    }
    await assert.rejects(deadly, (error: CacheError) => error instanceof CacheError && error.isStored === "unknown");
    const last = await workers.number(FRUITLESS_DEATHS_MAX);
    await last.open();
    const harmless = client.publish("a", "2");
    assert.deepEqual((await last.told("publish")).requests.flat().map(({ id }) => id), [2]);
    last.tick({ stored: [[2, 2]] });
    assert.equal(await harmless, 2);
    await stop(client, last);
  });

  test("A cache that cannot be opened again refuses what waits, and is tried again", async () => {
    const { client, workers, worker } = await openClient();
    const given = client.publish("a", "1");
    await worker.told("publish");
    worker.die("boom");
    const notGiven = client.publish("a", "2");
    const successor = await workers.number(1);
    successor.say({ type: "loaded" });
    await successor.told("open");
    successor.say({ type: "openFailed", error: { name: "CacheError", message: "Cannot open cache: EIO", code: "io" } });
    await assert.rejects(given, (error: CacheError) => error.isStored === "unknown");
    await assert.rejects(notGiven, (error: CacheError) => error.isStored === false);
    const cache = client.getStatus().cache;
    assert.ok(cache.state === "failed" && cache.willRetry);
    const third = await workers.number(2);
    await third.open(2);
    await third.told("connect");
    await stop(client, third);
  });
});

describe("stop()", () => {
  test("What was taken is stored, the worker is told how long it may drain, and then nothing is taken any more", async () => {
    const { client, worker } = await openClient();
    const publishing = client.publish("a", "1");
    const delivering = client.publish("a", "2", { until: "delivered" });
    const flushing = client.flush();
    const stopping = client.stop({ drainMs: 5_000 });
    await assert.rejects(client.publish("a", "3"), StoppedError);
    await assert.rejects(client.connectAsync("mqtt://h"), StoppedError);
    await worker.told("publish");
    const { drainMs } = await worker.told("stop");
    assert.ok(drainMs > 4_000 && drainMs <= 5_000);
    worker.tick({ stored: [[1, 2]] });
    worker.say({ type: "stopped" });
    await stopping;
    assert.equal(await publishing, 1);
    await assert.rejects(delivering, StoppedError);
    await assert.rejects(flushing, StoppedError);
    assert.equal(worker.isTerminated, true);
    assert.deepEqual(client.getStatus().cache, { state: "stopped" });
    assert.equal(client.getStatus().connection.state, "stopped");
    for (
      const call of [
        () => client.publish("a", "1"),
        () => client.publishMany([{ topic: "a", payload: "" }]),
        () => client.connected(),
        () => client.flush(),
        () => client.delivered(1),
        () => client.disconnect(),
        () => client.quarantined(),
        () => client.requeue([1]),
        () => client.purge([1]),
      ]
    ) {
      await assert.rejects(call(), StoppedError);
    }
  });

  test("It is idempotent, also before the first use and as asyncDispose", async () => {
    const { client, workers } = makeClient();
    await client.stop();
    await client.stop();
    await client[Symbol.asyncDispose]();
    assert.equal(workers.all.length, 0);
    const { client: used, worker } = await openClient();
    const both = [used.stop(), used.stop()];
    await worker.told("stop");
    worker.say({ type: "stopped" });
    await Promise.all(both);
    assert.equal(worker.types.filter((type) => type === "stop").length, 1);
  });

  test("While the cache is being opened it waits, stores what was taken, and stops then", async () => {
    const { client, workers } = makeClient();
    const publishing = client.publish("a", "1");
    const stopping = client.stop();
    const worker = await workers.number(0);
    await worker.open();
    await settled();
    assert.deepEqual(worker.types, ["open", "publish", "stop"]);
    worker.tick({ stored: [[1, 1]] });
    worker.say({ type: "stopped" });
    await stopping;
    assert.equal(await publishing, 1);
  });

  test("A cache that cannot be opened does not hold it up", async () => {
    const { client, workers } = makeClient();
    const publishing = client.publish("a", "1");
    const stopping = client.stop();
    const worker = await workers.number(0);
    worker.say({ type: "loaded" });
    await worker.told("open");
    worker.say({ type: "openFailed", error: { name: "CacheError", message: "no" } });
    await stopping;
    await assert.rejects(publishing, CacheError);
    assert.equal(worker.isTerminated, true);
  });

  test("A worker that dies while stopping is replaced if something was not reported stored", async () => {
    const { client, workers, worker } = await openClient();
    const publishing = client.publish("a", "1");
    const stopping = client.stop();
    await worker.told("stop");
    worker.die("boom");
    const successor = await workers.number(1);
    await successor.open();
    await settled();
    assert.deepEqual(successor.types, ["open", "publish", "stop"], "without drainMs it does not connect again");
    successor.tick({ stored: [[1, 1]] });
    successor.say({ type: "stopped" });
    await stopping;
    assert.equal(await publishing, 1);
  });

  test("A client whose worker has died, and has nothing left to store, stops at once", async () => {
    const { client, workers, worker } = await openClient();
    worker.die("boom");
    await within(client.stop(), "stop()");
    assert.equal(workers.all.length, 1);
  });

  test("A worker that dies while stopping with nothing left to store is not replaced", async () => {
    const { client, workers, worker } = await openClient();
    const stopping = client.stop();
    await worker.told("stop");
    worker.die("boom");
    await within(stopping, "stop()");
    assert.equal(workers.all.length, 1);
  });
});

describe("Events", () => {
  test("They come after the state that they tell of", async () => {
    const { client, worker } = await openClient();
    const seen: unknown[] = [];
    client.addEventListener("delivered", ({ detail }) => seen.push([detail.ids, client.getStatus().lastMid]));
    worker.tick({ delivered: [[1, 3], [5, 5]], status: { ...EMPTY_STATUS, lastDeliveredId: 5 } });
    await settled();
    assert.deepEqual(seen, [[[[1, 3], [5, 5]], 5]]);
    await stop(client, worker);
  });

  test("Each report of the worker becomes the event of its name", async () => {
    const { client, worker } = await openClient();
    const seen: string[] = [];
    for (const type of ["connect", "disconnect", "quarantined", "sessionlost", "error"] as const) {
      client.addEventListener(type, ({ detail }) => seen.push(`${type} ${JSON.stringify(detail)}`));
    }
    const disconnect = { reason: "gone", code: "ECONNRESET", wasConnected: true, isTakenOver: false, isLoginRefused: false, retryInMs: 7 };
    worker.tick({
      events: [
        { type: "disconnect", ...disconnect },
        { type: "quarantined", ids: [1], reason: "no", reasonCode: 0x99 },
        { type: "sessionlost", requeuedCount: 2, duplicatesPossibleCount: 1 },
        { type: "error", error: { name: "CacheError", message: "disk", code: "storage" } },
      ],
    });
    await settled();
    assert.deepEqual(seen.map((line) => line.split(" ")[0]), ["disconnect", "quarantined", "sessionlost", "error"]);
    assert.equal(seen[0], `disconnect ${JSON.stringify(disconnect)}`);
    assert.equal(seen[1], 'quarantined {"ids":[1],"reason":"no","reasonCode":153}');
    assert.equal(seen[2], 'sessionlost {"requeuedCount":2,"duplicatesPossibleCount":1}');
    await stop(client, worker);
  });

  test("status comes at once when the connection changes, and seldom while only numbers do; the last numbers are told in the end", async () => {
    const { client, worker } = await openClient();
    await settled();
    const pendings: number[] = [];
    const done = new Promise<void>((resolve) => {
      client.addEventListener("status", ({ detail }) => {
        pendings.push(detail.cachedItems);
        if (detail.cachedItems === 50) resolve();
      });
    });
    worker.tick({ status: ONLINE });
    await settled();
    assert.equal(pendings.length, 1);
    for (let pending = 1; pending <= 50; pending++) worker.tick({ status: { ...ONLINE, ledger: { ...ONLINE.ledger, pending } } });
    await within(done, "the last number");
    assert.ok(pendings.length <= 4, `${pendings}`);
    await stop(client, worker);
  });

  test("A listener that publishes what is refused again is not called without end", async () => {
    const { client, worker } = await openClient();
    let count = 0;
    client.addEventListener("refused", () => {
      if (++count < 3) client.publish("a/#", "");
    });
    client.publish("a/#", "");
    while (count < 3) await settled();
    await stop(client, worker);
  });

  test("removeEventListener() and a signal end the listening", async () => {
    const { client, worker } = await openClient();
    const controller = new AbortController();
    let count = 0;
    const listener = () => count++;
    client.addEventListener("delivered", listener);
    client.removeEventListener("delivered", listener);
    client.addEventListener("delivered", listener, { signal: controller.signal });
    controller.abort();
    worker.tick({ delivered: [[1, 1]] });
    await settled();
    assert.equal(count, 0);
    await stop(client, worker);
  });
});

describe("The log", () => {
  test("One kind of record comes a few times, then is counted; nothing below its level comes", async () => {
    const { Log } = await import("../lib/log.ts");
    const records: { event: string }[] = [];
    const log = new Log("c", { level: "warn", sink: (record) => records.push(record) });
    for (let count = 0; count < 100; count++) log.write("warn", "refused", `no ${count}`);
    log.write("info", "connect", "hello");
    log.write("error", "exit", "bye");
    assert.deepEqual(records.map(({ event }) => event), ["refused", "refused", "refused", "refused", "refused", "exit"]);
  });

  test("A sink that throws disturbs nothing", async () => {
    const { client } = makeClient({
      log: {
        sink: () => {
          throw new Error("no disk");
        },
      },
    });
    await assert.rejects(client.publish("", ""), TypeError);
  });
});

// A type error here is a failed test: an event's name that does not exist, and its listener.
export function misspelt(client: PersistClient, options: PublishOptions): void {
  // @ts-expect-error no such event
  client.addEventListener("conect", () => {});
  // @ts-expect-error no such detail
  client.addEventListener("connect", ({ detail }) => detail.nothing);
  // @ts-expect-error readonly
  options.qos = 1;
}
