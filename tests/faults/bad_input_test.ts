/**
 * What is refused stores nothing; what is odd and allowed arrives byte for byte.
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { spawnSync } from "node:child_process";
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { after, test } from "node:test";
import { type Payload, PersistClient, type PersistClientOptions, type PublishOptions } from "../../mod.ts";
import { AedesBroker } from "../support/aedes_broker.ts";
import { fileURLToPath } from "node:url";
import { Child } from "../support/child.ts";
import { TEST_MS_MAX, within } from "../support/deadline.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { type Arrival, Subscriber } from "../support/subscriber.ts";
import type { PublisherCommand, PublisherSaid } from "./publisher_process.ts";

const folder = mkdtempSync(join(tmpdir(), "persistmq-bad-input-"));
after(() => rmSync(folder, { recursive: true, force: true }));
let cacheCount = 0;
const newCachePath = () => join(folder, `cache-${++cacheCount}`);

const TOPIC_BYTES_MAX = 65_535;
/** MQTT's own: what the remaining length of a packet can say. */
const PACKET_BYTES_MAX = 268_435_455;

function detached(): Uint8Array {
  const bytes = new Uint8Array(4);
  structuredClone(bytes, { transfer: [bytes.buffer] });
  return bytes;
}

/** Calls that a program in JavaScript can make, whatever the types say. */
const refusedCalls: readonly (readonly [what: string, topic: unknown, payload: unknown, options?: unknown])[] = [
  ["an empty topic", "", "x"],
  ["a topic with +", "a/+/b", "x"],
  ["a topic with #", "a/#", "x"],
  ["a topic with NUL", "a\0b", "x"],
  ["a topic with a lone surrogate", "a\ud800", "x"],
  ["a topic of 65,536 bytes", "a".repeat(TOPIC_BYTES_MAX + 1), "x"],
  ["a topic of 21,846 three-byte characters", "€".repeat(21_846), "x"],
  ["a topic that is a number", 5, "x"],
  ["no topic", undefined, "x"],
  ["a payload that is an object", "a", { volts: 230 }],
  ["a payload that is a promise", "a", Promise.resolve("x")],
  ["no payload", "a", undefined],
  ["a payload that is true", "a", true],
  ["a payload that is NaN", "a", NaN],
  ["a payload whose buffer is detached", "a", detached()],
  ["a payload with a lone surrogate", "a", "\udfff"],
  ["a payload beyond the limit", "a", new Uint8Array(PACKET_BYTES_MAX)],
  ["QoS 3", "a", "x", { qos: 3 }],
  ["QoS -1", "a", "x", { qos: -1 }],
  ['QoS "1"', "a", "x", { qos: "1" }],
  ["QoS NaN", "a", "x", { qos: NaN }],
  ["QoS null", "a", "x", { qos: null }],
  ["retain 1", "a", "x", { retain: 1 }],
  ["an unknown option", "a", "x", { qoS: 1 }],
  ["a number in place of the options", "a", "x", 1],
  ["a function in place of the options", "a", "x", () => {}],
  ["an unknown thing to wait for", "a", "x", { until: "sent" }],
  ["an unknown property", "a", "x", { properties: { topicAlias: 1 } }],
  ["a response topic with a wildcard", "a", "x", { properties: { responseTopic: "a/#" } }],
  ["an expiry of -1", "a", "x", { properties: { messageExpiryInterval: -1 } }],
];

function isClear(error: unknown): true {
  assert(error instanceof TypeError || error instanceof RangeError, `it is for wrong arguments: ${error}`);
  assert.match(error.message, /^Cannot .+: .+/);
  return true;
}

test("A message that is refused is not stored, and the error says why", { timeout: TEST_MS_MAX }, async () => {
  await using client = new PersistClient({ clientId: "bad", cachePath: newCachePath(), log: false });
  for (const [what, topic, payload, options] of refusedCalls) {
    await assert.rejects(client.publish(topic as string, payload as Payload, options as PublishOptions), isClear, what);
  }
  await assert.rejects(client.publish("a", "x", { signal: AbortSignal.abort() }), { name: "AbortError" });
  assert.equal(await client.publish("good", "x"), 1, "the first that is stored is the first of all");
  assert.equal(client.getStatus().ledger?.accepted, 1);
});

test("One wrong message among several stores none of them", { timeout: TEST_MS_MAX }, async () => {
  await using client = new PersistClient({ clientId: "bad", cachePath: newCachePath(), log: false });
  await assert.rejects(client.publishMany([{ topic: "good", payload: "x" }, { topic: "", payload: "x" }]), isClear);
  assert.equal(await client.publish("good", "x"), 1);
});

test("An option that is wrong is refused before anything is opened", () => {
  const cachePath = newCachePath();
  const wrong: Record<string, unknown>[] = [
    { clientId: undefined },
    { clientId: "" },
    { clientId: "a\0b" },
    { cachepath: cachePath },
    { durability: "sometimes" },
    { protocolVersion: 3 },
    { inFlightMax: 0 },
    { cachePath: "" },
    { cachePath: ":memory:" },
    { cachePath: "file:cache?mode=memory" },
  ];
  for (const options of wrong) {
    assert.throws(
      () => new PersistClient({ clientId: "bad", cachePath, ...options } as PersistClientOptions),
      isClear,
      JSON.stringify(options),
    );
  }
  assert.equal(existsSync(cachePath), false);
});

test("A cache path that is a file is refused, and the file stays as it is", { timeout: TEST_MS_MAX }, async () => {
  const cachePath = newCachePath();
  writeFileSync(cachePath, "mine");
  await using client = new PersistClient({ clientId: "bad", cachePath, log: false });
  await assert.rejects(client.publish("a", "x"), { name: "CacheError", message: /^Cannot open cache .+: .+/ });
  assert.equal(readFileSync(cachePath, "utf8"), "mine");
});

// ------------------------------------------------------------------------------------------------------------------- folders

/** An unprivileged user, who is allowed nothing. */
const NOBODY = 65_534;
const isRoot = process.getuid?.() === 0;
const canDropPrivileges = spawnSync("setpriv", ["--version"]).error === undefined;
const skipFolders = isRoot && !canDropPrivileges ? "setpriv is not installed, and root may do anything" : false;

/** The words that run a command as that user or, where that user may not even read this file, as a root that permissions bind. */
function unprivileged(): { readonly prefix: readonly string[]; readonly uid: number } {
  if (!isRoot) return { prefix: [], uid: process.getuid!() };
  const nobody = ["setpriv", `--reuid=${NOBODY}`, `--regid=${NOBODY}`, "--clear-groups"];
  const canRun = ["-x", "-r"].every((is) => {
    const path = is === "-x" ? process.execPath : fileURLToPath(import.meta.url);
    return spawnSync("setpriv", [...nobody.slice(1), "test", is, path]).status === 0;
  });
  return canRun ? { prefix: nobody, uid: NOBODY } : { prefix: ["setpriv", "--bounding-set=-dac_override,-dac_read_search"], uid: 0 };
}

/** Opens a cache there, in a process without privileges, and publishes one message. */
async function openUnprivileged(cachePath: string): Promise<readonly PublisherSaid[]> {
  const { prefix, uid } = unprivileged();
  const home = join(folder, "home");
  mkdirSync(home, { recursive: true });
  chownSync(home, uid, -1);
  const environment = { HOME: home, DENO_DIR: join(home, "deno") };
  const options: PersistClientOptions = { clientId: "folders", cachePath };
  const child = new Child<PublisherSaid>(new URL("./publisher_process.ts", import.meta.url), options, { prefix, environment });
  try {
    child.send({ type: "connect", port: 1 } satisfies PublisherCommand);
    child.send({ type: "publish", first: 1, count: 1 } satisfies PublisherCommand);
    await Promise.race([child.next("stored"), child.next("notStored")]);
    await child.stop();
    return child.said;
  } finally {
    child.kill();
  }
}

/** A folder with these permissions, of the user who is to be refused. */
function createFolder(mode: number): string {
  const path = newCachePath();
  mkdirSync(path);
  chownSync(path, unprivileged().uid, -1);
  chmodSync(path, mode);
  return path;
}

test(
  "A cache folder that is read-only is refused with a clear error, and stays empty",
  { skip: skipFolders, timeout: TEST_MS_MAX },
  async () => {
    chmodSync(folder, 0o755);
    const cachePath = createFolder(0o555);
    const said = await openUnprivileged(cachePath);
    for (const type of ["notOpened", "notStored"]) {
      const refused = said.find((one) => one.type === type) as { name: string; message: string } | undefined;
      assert.equal(refused?.name, "CacheError");
      assert.match(refused.message, new RegExp(`^Cannot .*"${cachePath}"`));
    }
    assert.deepEqual(readdirSync(cachePath), []);
  },
);

test("A cache folder that everyone may write to is refused with a clear error, and stays empty", {
  skip: skipFolders,
  timeout: TEST_MS_MAX,
}, async () => {
  chmodSync(folder, 0o755);
  const cachePath = createFolder(0o777);
  const said = await openUnprivileged(cachePath);
  const refused = said.find(({ type }) => type === "notOpened") as Extract<PublisherSaid, { type: "notOpened" }> | undefined;
  assert.equal(refused?.name, "CacheError");
  assert.match(refused.message, /777/);
  assert(said.some(({ type }) => type === "notStored"));
  assert.deepEqual(readdirSync(cachePath), []);
});

test(
  "A cache folder that is missing is made with its parents, private to its user",
  { skip: skipFolders, timeout: TEST_MS_MAX },
  async () => {
    chmodSync(folder, 0o755);
    const parent = createFolder(0o755);
    const cachePath = join(parent, "a", "b");
    const said = await openUnprivileged(cachePath);
    assert(said.some(({ type }) => type === "stored"), JSON.stringify(said));
    for (const path of [cachePath, join(parent, "a")]) assert.equal(statSync(path).mode & 0o777, 0o700);
    for (const name of readdirSync(cachePath)) assert.equal(statSync(join(cachePath, name)).mode & 0o777, 0o600, name);
  },
);

// ------------------------------------------------------------------------------------------------------------------ oddities

const everyByte = Uint8Array.from({ length: 256 }, (_, index) => index);
/** What may be published, and what it is as bytes. */
const oddities: readonly (readonly [topic: string, payload: Payload, bytes: string | Uint8Array])[] = [
  ["a".repeat(TOPIC_BYTES_MAX), "long topic", "long topic"],
  ["€".repeat(21_845), "long topic of wide characters", "long topic of wide characters"],
  ["🌡️/Größe/温度", "🌡️ 21 °C", "🌡️ 21 °C"],
  ["/leading//and trailing/", "empty levels", "empty levels"],
  [" ", "a space", "a space"],
  ["\ufeffmarked", "\ufeffmarked", "\ufeffmarked"],
  ["empty/string", "", ""],
  ["empty/null", null, ""],
  ["text/with/nul", "a\0b", "a\0b"],
  ["every/byte", everyByte, everyByte],
  ["every/byte/as/buffer", everyByte.slice().buffer, everyByte],
  ["part/of/a/buffer", everyByte.subarray(65, 70), "ABCDE"],
  ["view", new DataView(everyByte.buffer, 65, 5), "ABCDE"],
  ["number", -1.5e300, "-1.5e+300"],
  ["bigint", 2n ** 64n, "18446744073709551616"],
  ["large", new Uint8Array(1024 * 1024).fill(0xa5), new Uint8Array(1024 * 1024).fill(0xa5)],
];

/** aedes may stop reading for good in the middle of a packet that comes in several reads; seen on Deno. */
const AEDES_BYTES_MAX = 16_384;

for (const name of ["mosquitto", "aedes"] as const) {
  test(`What is odd and allowed arrives byte for byte (${name})`, {
    skip: name === "mosquitto" && mosquittoMissing(),
    timeout: TEST_MS_MAX,
  }, async () => {
    const broker = name === "mosquitto" ? await Mosquitto.start() : await AedesBroker.start();
    const arrivals: Arrival[] = [];
    const subscriber = await Subscriber.start({
      port: broker.port,
      isPersistent: name === "mosquitto",
      onMessage: (arrival) => arrivals.push(arrival),
    });
    try {
      await using client = new PersistClient({ clientId: "odd", cachePath: newCachePath(), log: false });
      await client.connectAsync({ host: "127.0.0.1", port: broker.port });
      const sent = oddities.filter(([topic, , bytes]) => name === "mosquitto" || topic.length + bytes.length < AEDES_BYTES_MAX);
      for (const [topic, payload] of sent) await client.publish(topic, payload);
      await within(client.flush(), () => `all messages to be delivered: ${JSON.stringify(client.getStatus())}`);
      await subscriber.fence();
      assert.equal(arrivals.length, sent.length);
      for (const [index, [topic, , bytes]] of sent.entries()) {
        const arrival = arrivals[index]!;
        assert(arrival.topic === topic, `topic ${index} is as it was`);
        assert(Buffer.from(bytes as string).equals(arrival.payload), `payload ${index} is as it was`);
      }

      await client.publish("kept", everyByte, { retain: true });
      await client.publish("cleared", "x", { retain: true });
      await client.publish("cleared", null, { retain: true });
      await within(client.flush(), () => `all messages to be delivered: ${JSON.stringify(client.getStatus())}`);
      const late: Arrival[] = [];
      const lateSubscriber = await Subscriber.start({ port: broker.port, isPersistent: false, onMessage: (arrival) => late.push(arrival) });
      await lateSubscriber.fence();
      await lateSubscriber.stop();
      assert.deepEqual(late.map(({ topic, retain }) => ({ topic, retain })), [{ topic: "kept", retain: true }]);
      assert(Buffer.from(everyByte).equals(late[0]!.payload));
    } finally {
      await subscriber.stop();
      if (broker instanceof Mosquitto) await broker.close();
      else await broker.stop();
    }
  });
}
