/**
 * A transport whose code comes later keeps the promises of the port while it is not there yet.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import type { ConnectRequest, Disconnection, Transport, TransportListener } from "../lib/core/ports.ts";
import { createLazyTransport } from "../lib/lazy_transport.ts";

const REQUEST: ConnectRequest = {
  broker: { protocol: "mqtt", host: "h", port: 1883 },
  protocolVersion: 5,
  cleanStart: true,
  sessionExpirySeconds: 1,
};

/** A lazy transport, what it called on the real one, what it said, and the moment when the code is there. */
function make() {
  const calls: string[] = [];
  const said: Disconnection[] = [];
  const { promise, resolve, reject } = Promise.withResolvers<(listener: TransportListener) => Transport>();
  const nothing = () => {};
  const listener: TransportListener = {
    onConnected: nothing,
    onDisconnected: (cause) => said.push(cause),
    onAcknowledged: nothing,
    onReceived: nothing,
    onCompleted: nothing,
    onDrained: nothing,
  };
  let loadCount = 0;
  const transport = createLazyTransport(() => {
    loadCount++;
    return promise;
  }, listener);
  const real: Transport = {
    connect: () => calls.push("connect"),
    publish: () => calls.push("publish"),
    release: () => calls.push("release"),
    disconnect: () => calls.push("disconnect"),
    abort: () => calls.push("abort"),
    bufferedBytes: () => 7,
    progress: () => 8,
  };
  const load = () => resolve(() => real);
  return { transport, calls, said, load, reject, loadCount: () => loadCount };
}

const settled = () => new Promise((resolve) => setTimeout(resolve, 0));

describe("createLazyTransport()", () => {
  test("loads nothing before the first connect(), and ignores what is for a connection", () => {
    const { transport, calls, loadCount } = make();
    transport.publish([]);
    transport.release([]);
    transport.disconnect();
    transport.abort();
    assert.deepEqual([transport.bufferedBytes(), transport.progress(), loadCount()], [0, 0, 0]);
    assert.deepEqual(calls, []);
  });

  test("connects when the code is there, and passes everything on from then on", async () => {
    const { transport, calls, said, load } = make();
    transport.connect(REQUEST);
    assert.deepEqual(calls, []);
    load();
    await settled();
    transport.publish([]);
    transport.release([]);
    transport.disconnect();
    transport.connect(REQUEST);
    transport.abort();
    assert.deepEqual(calls, ["connect", "publish", "release", "disconnect", "connect", "abort"]);
    assert.deepEqual([transport.bufferedBytes(), transport.progress(), said.length], [7, 8, 0]);
  });

  for (const end of ["disconnect", "abort"] as const) {
    test(`answers ${end}() while the code is not there, not from within the call; the code then connects nothing`, async () => {
      const { transport, calls, said, load } = make();
      transport.connect(REQUEST);
      transport[end]();
      transport[end]();
      assert.deepEqual(said, []);
      await settled();
      assert.deepEqual(said.map(({ during, by }) => [during, by]), [["connecting", "client"]]);
      load();
      await settled();
      assert.deepEqual(calls, []);
    });
  }

  test("code that cannot be loaded is an attempt that failed, and the next one tries again", async () => {
    const { transport, said, reject, loadCount } = make();
    transport.connect(REQUEST);
    reject(new Error("no such package"));
    await settled();
    transport.connect(REQUEST);
    await settled();
    assert.deepEqual(said.map(({ reason }) => reason), Array(2).fill("MQTT.js cannot be loaded: no such package"));
    assert.equal(loadCount(), 2);
  });
});
