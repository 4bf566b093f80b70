/**
 * `deno task bench [--quick] [--json]`: durable publishing beside clients that store nothing, on both runtimes, rivals interleaved in one run, medians
 * of several rounds. Only the ratios mean anything: machine, disk and broker are whatever is here.
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { parseArgs } from "node:util";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import type { Kind, Task } from "./contender.ts";

/** No limits, so that the window alone decides how many are in flight. */
const BROKER_CONFIG = "max_inflight_messages 0\nmax_queued_messages 0\nset_tcp_nodelay true";

const { values } = parseArgs({ options: { quick: { type: "boolean", default: false }, json: { type: "boolean", default: false } } });
const ROUNDS = values.quick ? 3 : 5;
const COUNT = values.quick ? 10_000 : 30_000;
const RUNTIMES = ["deno", "bun"] as const;
const KINDS: readonly Kind[] = ["bare", "mqttjs", "persistmq"];
const SUBSCRIBER_TIMEOUT_MS = 60_000;

type Runtime = (typeof RUNTIMES)[number];

interface Row {
  readonly runtime: Runtime;
  readonly kind: Kind;
  readonly qos: 1 | 2;
  readonly window: number;
  readonly perSecond: readonly number[];
}

const missing = mosquittoMissing();
if (missing) {
  console.error(`Cannot measure: ${missing}; install it, for example by apt-get install mosquitto mosquitto-clients`);
  process.exit(2);
}
const folder = mkdtempSync(join(tmpdir(), "persistmq-bench-"));
const broker = await Mosquitto.start({ config: BROKER_CONFIG, isPersistent: false });
const rows: Row[] = [];
try {
  for (const [qos, window] of [[1, 1_000], [2, 1_000], [2, 100], [2, 20]] as const) {
    for (const runtime of RUNTIMES) {
      const results = new Map<Kind, number[]>(KINDS.map((kind) => [kind, []]));
      for (let round = 0; round < ROUNDS; round++) {
        for (const kind of KINDS) results.get(kind)!.push(await measure(runtime, kind, qos, window));
      }
      for (const kind of KINDS) rows.push({ runtime, kind, qos, window, perSecond: results.get(kind)!.sort((a, b) => a - b) });
      if (!values.json) print(rows.slice(-KINDS.length));
    }
  }
} finally {
  await broker.stop();
  rmSync(folder, { recursive: true, force: true });
}
if (values.json) console.log(JSON.stringify({ count: COUNT, rounds: ROUNDS, brokerConfig: BROKER_CONFIG, rows }, null, 2));

/** Messages per second. A QoS 2 run counts only if an independent subscriber received every one. */
async function measure(runtime: Runtime, kind: Kind, qos: 1 | 2, window: number): Promise<number> {
  const topic = `bench/${crypto.randomUUID()}`;
  const cachePath = mkdtempSync(join(folder, "cache-"));
  const subscriber = qos === 2 ? await subscribe(topic) : undefined;
  const task: Task = { kind, qos, window, count: COUNT, port: broker.port, topic, cachePath };
  const contender = fileURLToPath(new URL("./contender.ts", import.meta.url));
  const config = fileURLToPath(new URL("../deno.json", import.meta.url));
  const flags = runtime === "deno" ? ["run", "--quiet", "--allow-all", "--config", config] : [];
  const { elapsedMs } = JSON.parse(await run(runtime, [...flags, contender, JSON.stringify(task)]));
  const received = await subscriber?.received;
  if (received !== undefined && received !== COUNT) throw new Error(`Cannot count this run: ${received} of ${COUNT} arrived`);
  rmSync(cachePath, { recursive: true, force: true });
  return Math.round(COUNT / elapsedMs * 1000);
}

/** `mosquitto_sub`, straight at the broker: it has nothing in common with any rival. */
async function subscribe(topic: string): Promise<{ readonly received: Promise<number> }> {
  // Unbuffered, so that it is heard when it has subscribed.
  const args = [
    "-o0",
    "mosquitto_sub",
    "-h",
    "127.0.0.1",
    "-p",
    String(broker.port),
    "-q",
    "2",
    "-t",
    topic,
    "-C",
    String(COUNT),
    "-F",
    ".",
    "-N",
    "-d",
  ];
  const child = spawn("stdbuf", args, { stdio: ["ignore", "pipe", "inherit"] });
  const subscribed = Promise.withResolvers<void>();
  let count = 0;
  const received = new Promise<number>((resolve, reject) => {
    const timer = setTimeout(() => child.kill(), SUBSCRIBER_TIMEOUT_MS);
    child.once("error", reject);
    child.once("exit", () => {
      clearTimeout(timer);
      resolve(count);
    });
  });
  child.stdout.setEncoding("utf8").on("data", (text: string) => {
    if (text.includes("SUBACK")) subscribed.resolve();
    count += text.split("received PUBLISH").length - 1;
  });
  await Promise.race([subscribed.promise, received]);
  return { received };
}

function run(command: string, args: readonly string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ["ignore", "pipe", "inherit"] });
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (text: string) => output += text);
    child.once("error", reject);
    child.once("exit", (code) => code === 0 ? resolve(output) : reject(new Error(`Cannot measure: ${command} ended with ${code}`)));
  });
}

function print(rivals: readonly Row[]): void {
  const median = (row: Row) => row.perSecond[Math.floor(row.perSecond.length / 2)]!;
  const bare = rivals.find(({ kind }) => kind === "bare")!;
  for (const row of rivals) {
    const [least, most] = [row.perSecond[0]!, row.perSecond.at(-1)!];
    const name = `QoS ${row.qos}, window ${row.window}, ${row.runtime}, ${row.kind}`;
    console.log(
      `${name.padEnd(42)} ${String(median(row)).padStart(7)}/s  (${least} to ${most})  ${(median(row) / median(bare)).toFixed(2)} of bare`,
    );
  }
}
