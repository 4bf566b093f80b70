/**
 * Whatever a client cannot be made with is refused at once, with an error that names it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { DEFAULTS, resolveOptions } from "../lib/options.ts";
import { PersistClient } from "../mod.ts";
import { resolveAddress } from "../lib/address.ts";

/** Options, what is wrong with them, and the class of the error. */
const WRONG_OPTIONS: readonly (readonly [options: Record<string, unknown>, message: RegExp, ErrorClass?: ErrorConstructor])[] = [
  [{ clientId: undefined }, /clientId is undefined, not a string/],
  [{ clientId: "" }, /clientId is empty/],
  [{ clientId: 7 }, /clientId is 7, not a string/],
  [{ clientId: "a\0b" }, /clientId has the character U\+0000/],
  [{ clientId: "\ud800" }, /clientId has half of a surrogate pair/],
  [{ clientId: "x".repeat(65_536) }, /clientId has 65536 bytes of UTF-8, more than 65535/, RangeError],
  [{ clientid: "a" }, /unknown key "clientid"/],
  [{ qoS: 1 }, /unknown key "qoS"/],
  [{ [Symbol("odd")]: 1 }, /unknown key Symbol\(odd\)/],
  [{ cacheType: "sqlite" }, /unknown key "cacheType"/],
  [{ cacheMode: "always" }, /unknown key "cacheMode"/],
  [{ limits: {} }, /unknown key "limits"/],
  [{ overflow: "refuse" }, /unknown key "overflow"/],
  [{ bulk: {} }, /unknown key "bulk"/],
  [{ annotate: true }, /unknown key "annotate"/],
  [{ order: "fifo" }, /unknown key "order"/],
  [{ replayRateMax: 1 }, /unknown key "replayRateMax"/],
  [{ cachePath: "" }, /cachePath is empty/],
  [{ cachePath: null }, /cachePath is null, not a string/],
  [{ cachePath: ":memory:" }, /cachePath is ":memory:", but the cache is a folder on a disk/],
  [{ cachePath: "file:x?mode=memory" }, /the cache is a folder on a disk/],
  [{ cachePath: "a\0b" }, /cachePath has the character U\+0000/],
  [{ allowSharedCache: 1 }, /allowSharedCache is 1, not true or false/],
  [{ durability: "none" }, /durability is "none", not "power-loss" or "process-crash"/],
  [{ lockWaitMs: -1 }, /lockWaitMs is -1, not a whole number from 0/, RangeError],
  [{ lockWaitMs: "1" }, /lockWaitMs is "1", not a number/],
  [{ queueBytesMax: 0 }, /queueBytesMax is 0/, RangeError],
  [{ queueBytesMax: Infinity }, /queueBytesMax is Infinity/, RangeError],
  [{ queueBytesMax: NaN }, /queueBytesMax is NaN/, RangeError],
  [{ exitFlushMs: 0.5 }, /exitFlushMs is 0.5/, RangeError],
  [{ inFlightMax: 0 }, /inFlightMax is 0/, RangeError],
  [{ inFlightMax: 65_280 }, /inFlightMax is 65280, not a whole number from 1 to 65279/, RangeError],
  [{ inFlightMax: "all" }, /inFlightMax is "all", not a number/],
  [{ ackTimeoutMs: 0 }, /ackTimeoutMs is 0/, RangeError],
  [{ ackTimeoutMs: 2 ** 31 }, /ackTimeoutMs is 2147483648/, RangeError],
  [{ reconnect: 5 }, /reconnect are 5, not an object/],
  [{ reconnect: { delayMs: 1 } }, /unknown key "delayMs" in reconnect/],
  [{ reconnect: { delayMsMin: 2_000, delayMsMax: 1_000 } }, /reconnect.delayMsMax is 1000/, RangeError],
  [{ reconnect: { stableMs: -1 } }, /reconnect.stableMs is -1/, RangeError],
  [{ credentials: "secret" }, /credentials is not a function$/],
  [{ protocolVersion: 3 }, /protocolVersion is 3, not 4 \(MQTT 3.1.1\) or 5/, RangeError],
  [{ sessionExpirySeconds: 0 }, /sessionExpirySeconds is 0/, RangeError],
  [{ sessionExpirySeconds: 2 ** 32 }, /sessionExpirySeconds is 4294967296/, RangeError],
  [{ sessionGroup: "" }, /sessionGroup is empty/],
  [{ allowQos0: "yes" }, /allowQos0 is "yes"/],
  [{ retainFallback: null }, /retainFallback is null/],
  [{ log: true }, /log are true, not an object/],
  [{ log: { level: "loud" } }, /log.level is "loud"/],
  [{ log: { sink: {} } }, /log.sink is an object, not a function/],
  [{ mqtt: { clientId: "b" } }, /mqtt.clientId cannot be set, the client's option clientId sets it/],
  [{ mqtt: { clean: true } }, /mqtt.clean cannot be set/],
  [{ mqtt: { reconnectPeriod: 5 } }, /mqtt.reconnectPeriod cannot be set, the client's option reconnect/],
  [{ mqtt: { username: "u" } }, /mqtt.username cannot be set, connectAsync\(\) or/],
  [{ mqtt: { outgoingStore: {} } }, /mqtt.outgoingStore cannot be set/],
  [{ mqtt: { keepAlive: 5 } }, /unknown key "keepAlive" in mqtt/],
  [{ mqtt: { keepalive: -1 } }, /mqtt.keepalive is -1/, RangeError],
  [{ mqtt: { keepalive: 65_536 } }, /mqtt.keepalive is 65536/, RangeError],
  [{ mqtt: { keepalive: 0.5 } }, /mqtt.keepalive is 0.5/, RangeError],
  [{ mqtt: { connectTimeout: 0 } }, /mqtt.connectTimeout is 0/, RangeError],
  [{ mqtt: { passphrase: 4711 } }, /mqtt.passphrase is not a string$/],
  [{ mqtt: { ca: 7 } }, /mqtt.ca is neither text nor bytes/],
  [{ mqtt: { rejectUnauthorized: 0 } }, /mqtt.rejectUnauthorized is 0/],
  [{ mqtt: { wsOptions: { agent: () => {} } } }, /mqtt.wsOptions is not plain data/],
  [{ mqtt: { will: { topic: "a/#", payload: "" } } }, /mqtt.will is not a message: .*wildcard/],
  [{ mqtt: { will: { topic: "a", payload: "", delay: 1 } } }, /unknown key "delay" in mqtt.will/],
  [{ worker: 7 }, /worker is 7, not a URL or a function/],
];

describe("resolveOptions()", () => {
  for (const [options, message, ErrorClass = TypeError] of WRONG_OPTIONS) {
    test(`A client is not made with what would be misunderstood: ${message.source}`, () => {
      const given = "clientId" in options ? options : { clientId: "c", ...options };
      assert.throws(() => new PersistClient(given as never), (error: Error) => {
        assert.equal(error.constructor, ErrorClass, String(error));
        assert.match(error.message, /^Cannot create the client: /);
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test("Options that are no object are refused", () => {
    for (const options of [undefined, null, "c", 7, []]) {
      assert.throws(() => new PersistClient(options as never), TypeError);
    }
  });

  test("What is not given has its default, and what is given undefined has it too", () => {
    const { worker, ...main } = resolveOptions({ clientId: "c", cachePath: undefined });
    assert.equal(worker.cachePath, DEFAULTS.cachePath);
    assert.equal(worker.durability, "power-loss");
    assert.deepEqual(worker.publisher.reconnect, { delayMsMin: 1_000, delayMsMax: 60_000, firstSpreadMs: 0, stableMs: 10_000 });
    assert.equal(worker.publisher.sessionExpirySeconds, 30 * 24 * 3_600);
    assert.equal(main.queueBytesMax, 64 << 20);
    assert.equal(main.exitFlushMs, 2_000);
    assert.deepEqual(main.log, { level: "warn", sink: undefined });
  });

  test("Part of the reconnect options leaves the others at their defaults", () => {
    const { delayMsMin, delayMsMax } = resolveOptions({ clientId: "c", reconnect: { delayMsMax: 5_000 } }).worker.publisher.reconnect;
    assert.deepEqual([delayMsMin, delayMsMax], [1_000, 5_000]);
  });

  test("An option is read once: a getter that changes its mind is heard once", () => {
    let count = 0;
    const options = {
      clientId: "c",
      get queueBytesMax() {
        return ++count === 1 ? 5 : -1;
      },
    };
    assert.equal(resolveOptions(options).queueBytesMax, 5);
    assert.equal(count, 1);
  });

  test("MQTT.js options that pass through are a copy, which can cross to the worker", () => {
    const ca = new Uint8Array([1, 2]);
    const { mqtt } =
      resolveOptions({ clientId: "c", mqtt: { ca, keepalive: 0, will: { topic: "gone", payload: "c", retain: true } } }).worker;
    ca[0] = 9;
    assert.deepEqual(structuredClone(mqtt), {
      ca: new Uint8Array([1, 2]),
      keepalive: 0,
      will: { topic: "gone", payload: new TextEncoder().encode("c"), qos: 0, retain: true },
    });
  });

  test("Making a client starts nothing", () => {
    const client = new PersistClient({ clientId: "c", worker: () => assert.fail("a worker was started") });
    assert.equal(client.clientId, "c");
    assert.deepEqual(client.getStatus().cache, { state: "closed" });
    assert.equal(client.getStatus().connected, false);
    assert.equal(client.getStatus().lastMid, 0);
    assert.equal(client.getStatus().cachedItems, 0);
  });
});

describe("resolveAddress()", () => {
  const right: readonly (readonly [address: unknown, broker: unknown, credentials?: unknown])[] = [
    ["mqtt://broker.local", { protocol: "mqtt", host: "broker.local", port: 1883 }],
    ["mqtts://broker.local", { protocol: "mqtts", host: "broker.local", port: 8883 }],
    ["mqtt://broker.local:80/", { protocol: "mqtt", host: "broker.local", port: 80 }],
    ["ws://10.0.0.1", { protocol: "ws", host: "10.0.0.1", port: 80 }],
    ["wss://broker.local/mqtt?x=1", { protocol: "wss", host: "broker.local", port: 443, path: "/mqtt?x=1" }],
    ["mqtt://[::1]:1884", { protocol: "mqtt", host: "::1", port: 1884 }],
    [new URL("mqtt://broker.local"), { protocol: "mqtt", host: "broker.local", port: 1883 }],
    ["mqtt://u%40x:p%3Aw@h", { protocol: "mqtt", host: "h", port: 1883 }, { username: "u@x", password: "p:w" }],
    ["mqtt://u@h", { protocol: "mqtt", host: "h", port: 1883 }, { username: "u" }],
    [{ host: "localhost" }, { protocol: "mqtt", host: "localhost", port: 1883 }],
    [{ host: "::1", port: 1884 }, { protocol: "mqtt", host: "::1", port: 1884 }],
    [{ host: "h", protocol: "wss", path: "/x" }, { protocol: "wss", host: "h", port: 443, path: "/x" }],
  ];
  for (const [address, broker, credentials] of right) {
    test(`An address is understood: ${address instanceof URL ? `a URL object` : JSON.stringify(address)}`, () => {
      assert.deepEqual(resolveAddress(address, undefined, false), { broker, credentials });
    });
  }

  const wrong: readonly (readonly [address: unknown, message: RegExp, options?: unknown, ErrorClass?: ErrorConstructor])[] = [
    [undefined, /an address is a URL such as/],
    ["", /not a URL/],
    ["broker.local", /Cannot connect to "broker.local": not a URL; an address is a URL such as/],
    ["broker.local:1883", /the protocol is none of mqtt, mqtts, ws, wss/],
    ["http://broker.local", /the protocol is none of/],
    ["mqtt://", /not a URL|no host/],
    ["mqtt://h/path", /a path is for the protocols ws and wss/],
    ["mqtt://h#x", /after #/],
    ["mqtt://h:0", /port is 0/, undefined, RangeError],
    ["mqtt://h:65536", /not a URL/],
    [{ host: "h", port: "x" }, /port is "x", not a number/],
    [{ host: "h", port: 65_536 }, /port is 65536/, undefined, RangeError],
    [{ host: "h", port: 1.5 }, /port is 1.5/, undefined, RangeError],
    [{ host: "" }, /host is not a name/],
    [{ port: 1883 }, /host is undefined/],
    [{ host: "mqtt://h" }, /host is not a name/],
    [{ host: "h", hots: 1 }, /unknown key "hots"/],
    [{ host: "h", protocol: "tcp" }, /protocol is "tcp"/],
    [{ host: "h", path: "/x" }, /path is for the protocols ws and wss/],
    [["mqtt://a", "mqtt://b"], /a list of brokers is not supported/],
    ["mqtt://u:p@h", /credentials in the URL and in the options/, { username: "u" }],
    [{ host: "h" }, /unknown key "user"/, { user: "u" }],
    [{ host: "h" }, /username is 5/, { username: 5 }],
    [{ host: "h" }, /password is not a string/, { username: "u", password: 5 }],
    [{ host: "h" }, /the options are 1883/, 1883],
  ];
  for (const [address, message, options, ErrorClass = TypeError] of wrong) {
    test(`An address that is none is refused: ${message.source}`, () => {
      assert.throws(() => resolveAddress(address, options, false), (error: Error) => {
        assert.equal(error.constructor, ErrorClass, String(error));
        assert.match(error.message, message);
        return true;
      });
    });
  }

  test("Credentials are not taken beside the option credentials", () => {
    assert.throws(() => resolveAddress("mqtt://u:p@h", undefined, true), /the client has the option credentials/);
  });

  const withPassword = [
    "http://u:hunter2@h",
    "mqtt://u:hunter2@h:0",
    "mqtt://u:hunter2@h:99999",
    "u:hunter2@h",
    "mqtt://u:hunter2@h/x",
    "mqtt://u:%hunter2@h",
  ];
  for (const address of withPassword) {
    test(`No error shows the password: ${address.replace("hunter2", "…")}`, () => {
      assert.throws(() => resolveAddress(address, undefined, false), (error: Error) => {
        assert.ok(!`${error.message}${error.stack}${error.cause}`.includes("hunter2"), String(error));
        return true;
      });
    });
  }

  test("A password in the options is in no error", () => {
    assert.throws(
      () => resolveAddress({ host: "h" }, { username: "\ud800", password: "hunter2" }, false),
      (error: Error) => !`${error.message}${error.stack}`.includes("hunter2"),
    );
  });
});
