/**
 * The broker freezes, its connections stay: messages come in all the while, and the client has to notice by itself.
 */
import assert from "node:assert/strict";
import process from "node:process";
import { test } from "node:test";
import type { PersistClientOptions, ProtocolVersion } from "../../mod.ts";
import { TEST_MS_MAX } from "../support/deadline.ts";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { WireWatch } from "../support/wire_watch.ts";
import { encodeReading } from "../support/workload.ts";
import { type Line, Network } from "./network_line.ts";

const MESSAGE_COUNT = 2_000;
/** For a machine with much to do. */
const SLACK_MS = 1_500;

interface Alarm {
  readonly client: Partial<PersistClientOptions>;
  readonly withinMs: number;
  readonly notBeforeMs: number;
  readonly reason: RegExp;
}

const alarms: readonly Alarm[] = [
  {
    client: { mqtt: { keepalive: 2 } },
    withinMs: 3_000,
    notBeforeMs: 2_000,
    reason: /^nothing heard from the broker, nor an answer to a ping/,
  },
  { client: { ackTimeoutMs: 1_200 }, withinMs: 1_200, notBeforeMs: 1_000, reason: /^no progress for 1200 ms/ },
  // So that several connects lie before the broker when it thaws, each of which it will answer.
  { client: { ackTimeoutMs: 800, mqtt: { connectTimeout: 300 } }, withinMs: 800, notBeforeMs: 700, reason: /^no progress for 800 ms/ },
];

interface Victim {
  readonly line: Line;
  readonly alarm: Alarm;
  readonly watch: WireWatch;
}

/** From the freeze on. */
async function noticed({ line, alarm, watch }: Victim, frozenAtMs: number): Promise<void> {
  const { reason } = await line.event("disconnect", ({ wasConnected }) => wasConnected);
  const afterMs = performance.now() - frozenAtMs;
  assert.match(reason, alarm.reason);
  assert(afterMs >= alarm.notBeforeMs && afterMs < alarm.withinMs + SLACK_MS, `${line.name} noticed after ${afterMs} ms`);
  assert.equal(watch.duplicateFlagCount, 0, "nothing was sent again on the live connection");
  assert.equal(watch.publishCount, watch.openCount, "each PUBLISH on it was of an exchange of its own");
}

test("A frozen broker is noticed in time, nothing is resent on its connection, and all arrives when it thaws", {
  skip: mosquittoMissing(),
  timeout: TEST_MS_MAX,
}, async () => {
  const network = await Network.start();
  try {
    const open = ([4, 5] as const).flatMap((protocolVersion: ProtocolVersion) =>
      alarms.map(async (alarm): Promise<Victim> => {
        const line = await network.open({ qos: 2, protocolVersion, client: alarm.client });
        return { line, alarm, watch: new WireWatch(line.relay) };
      })
    );
    const victims = await Promise.all(open);

    process.kill(network.broker.pid, "SIGSTOP");
    try {
      const frozenAtMs = performance.now();
      const watching = Promise.all(victims.map((victim) => noticed(victim, frozenAtMs)));
      const readings = Array.from({ length: MESSAGE_COUNT }, (_, index) => encodeReading(index));
      // Batch by batch, as they are measured; all while the broker is frozen.
      for (let first = 0; first < MESSAGE_COUNT; first += 100) {
        await Promise.all(victims.map(({ line }) => line.publish(readings.slice(first, first + 100))));
      }
      await watching;
    } finally {
      process.kill(network.broker.pid, "SIGCONT");
    }
    await Promise.all(victims.map(({ line }) => line.flush()));
    await network.fence();
    for (const { line, watch } of victims) {
      line.check();
      assert(line.disconnects.every(({ isTakenOver }) => !isTakenOver), "it was not taken for another client by its own earlier connects");
      assert(watch.duplicateFlagCount > 0, "what was in flight was sent again on the next connection");
    }
  } finally {
    await network.close();
  }
});
