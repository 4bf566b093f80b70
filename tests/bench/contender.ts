/**
 * One rival, one run, in a process of its own: publishes so many messages of 200 bytes and says how long it took until the broker had them all.
 * What a process needs to start and to connect is not counted.
 *
 * Arguments, as one JSON object: see {@linkcode Task}. Prints one JSON object: `{ "elapsedMs": … }`.
 */
import { Buffer } from "node:buffer";
import process from "node:process";
import mqtt from "mqtt";
import mqttPacket from "mqtt-packet";
import { PersistClient } from "../../mod.ts";

/**
 * - `bare`: the same packets, pipelined on the same connection by as little code as can be, with no store and no session of its own.
 * - `mqttjs`: `publish()` of MQTT.js, as many at a time as the window says, with no store.
 * - `persistmq`: `publish()` in turns of 100, each message synced to disk before it is sent.
 */
export type Kind = "bare" | "mqttjs" | "persistmq";

export interface Task {
  readonly kind: Kind;
  readonly qos: 1 | 2;
  readonly count: number;
  readonly window: number;
  readonly port: number;
  readonly topic: string;
  readonly cachePath: string;
}

const PAYLOAD_BYTES = 200;
const MESSAGES_PER_TURN = 100;

async function bare({ qos, count, window, port, topic }: Task): Promise<number> {
  const client = mqtt.connect({ host: "127.0.0.1", port, protocolVersion: 5, reconnectPeriod: 0, timerVariant: "native" });
  await new Promise((resolve, reject) => client.once("connect", resolve).once("error", reject));
  const payload = Buffer.alloc(PAYLOAD_BYTES, 120);
  const { stream } = client;
  const startedAtMs = performance.now();
  let sentCount = 0;
  let doneCount = 0;
  const done = Promise.withResolvers<void>();
  const fill = (): void => {
    const packets: Buffer[] = [];
    for (; sentCount < count && sentCount - doneCount < window; sentCount++) {
      const messageId = sentCount % 65_279 + 1;
      packets.push(
        mqttPacket.generate({ cmd: "publish", topic, payload, qos, retain: false, dup: false, messageId }, { protocolVersion: 5 }),
      );
    }
    if (packets.length > 0) stream.write(Buffer.concat(packets));
  };
  let releases: Buffer[] = [];
  let isTurnAsked = false;
  client.on("packetreceive", (packet) => {
    if (packet.cmd === "pubrec") {
      releases.push(mqttPacket.generate({ cmd: "pubrel", messageId: packet.messageId!, reasonCode: 0 }, { protocolVersion: 5 }));
    } else if (packet.cmd === "puback" || packet.cmd === "pubcomp") doneCount++;
    if (isTurnAsked) return;
    isTurnAsked = true;
    setImmediate(() => {
      isTurnAsked = false;
      if (releases.length > 0) stream.write(Buffer.concat(releases));
      releases = [];
      if (doneCount === count) done.resolve();
      else fill();
    });
  });
  fill();
  await done.promise;
  const elapsedMs = performance.now() - startedAtMs;
  client.end(true);
  return elapsedMs;
}

async function mqttjs({ qos, count, window, port, topic }: Task): Promise<number> {
  const client = mqtt.connect({ host: "127.0.0.1", port, protocolVersion: 5, reconnectPeriod: 0, timerVariant: "native" });
  await new Promise((resolve, reject) => client.once("connect", resolve).once("error", reject));
  const payload = Buffer.alloc(PAYLOAD_BYTES, 120);
  const startedAtMs = performance.now();
  const done = Promise.withResolvers<void>();
  let sentCount = 0;
  let doneCount = 0;
  const fill = (): void => {
    for (; sentCount < count && sentCount - doneCount < window; sentCount++) {
      client.publish(topic, payload, { qos }, (error) => {
        if (error) return done.reject(error);
        if (++doneCount === count) done.resolve();
        else fill();
      });
    }
  };
  fill();
  await done.promise;
  const elapsedMs = performance.now() - startedAtMs;
  client.end(true);
  return elapsedMs;
}

async function persistmq({ qos, count, window, port, topic, cachePath }: Task): Promise<number> {
  const client = new PersistClient({ clientId: `bench-${process.pid}`, cachePath, inFlightMax: window, queueBytesMax: 1 << 30 });
  await client.connectAsync({ host: "127.0.0.1", port });
  await client.connected();
  const payload = new Uint8Array(PAYLOAD_BYTES).fill(120);
  const startedAtMs = performance.now();
  for (let sentCount = 0; sentCount < count; sentCount++) {
    client.publish(topic, payload, { qos });
    if (sentCount % MESSAGES_PER_TURN === 0) await new Promise((resolve) => setImmediate(resolve));
  }
  await client.flush();
  const elapsedMs = performance.now() - startedAtMs;
  const delivered = client.getStatus().ledger?.delivered;
  if (delivered !== count) throw new Error(`Cannot count this run: ${delivered} of ${count} delivered`);
  await client.stop();
  return elapsedMs;
}

const task: Task = JSON.parse(process.argv[2]!);
const elapsedMs = await { bare, mqttjs, persistmq }[task.kind](task);
console.log(JSON.stringify({ elapsedMs }));
process.exit(0);
