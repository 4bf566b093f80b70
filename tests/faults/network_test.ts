/**
 * Every fault of a link, at every QoS, on both versions of MQTT: against a real broker, as an independent witness saw it.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { PersistClientOptions, QoS } from "../../mod.ts";
import { TEST_MS_MAX, within } from "../support/deadline.ts";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { breakAfter, chop, delay, flip, hold, limit, lose, type RelayCounts, type Treatment } from "../support/relay.ts";
import { encodeReading } from "../support/workload.ts";
import { type Line, Network } from "./network_line.ts";

/** A client that gives a dead link up soon. */
const IMPATIENT: Partial<PersistClientOptions> = { ackTimeoutMs: 400, mqtt: { keepalive: 1, connectTimeout: 400 } };
/** A client that a slow link does not make nervous. */
const PATIENT: Partial<PersistClientOptions> = { ackTimeoutMs: 20_000 };

/** Messages that meet the fault; others go before and after. */
const DURING_COUNT = 4;
const DELAY_MS = 40;
const BYTES_PER_SECOND = 1_000;

interface Fault {
  /** Completes "Messages survive ...". */
  readonly name: string;
  readonly client: Partial<PersistClientOptions>;
  /** Spoils the link while messages are on their way; resolves when this has been felt. */
  readonly strike: (line: Line, publish: () => Promise<void>) => Promise<void>;
  /** What shows that the fault was there. */
  readonly check: (line: Line, counts: RelayCounts, tookMs: number) => void;
  /** At QoS 0 nothing is lost either, as no connection is. */
  readonly sparesQos0: boolean;
}

/** Resolves when it has treated something. */
function noticed(treatment: Treatment): readonly [Treatment, Promise<void>] {
  let resolve = () => {};
  const felt = new Promise<void>((done) => resolve = done);
  const noticing: Treatment = Object.assign((...[chunk, flow]: Parameters<Treatment>) => {
    treatment(chunk, flow);
    resolve();
  }, treatment);
  return [noticing, within(felt, "something to treat")];
}

const wasOnline = ({ wasConnected }: { readonly wasConnected: boolean }) => wasConnected;
const reconnected = (line: Line) => assert(line.disconnects.length > 0, "a connection was lost");
const undisturbed = (line: Line) => assert.deepEqual(line.disconnects, [], "the connection held");

/** For as long as it takes to deliver everything. */
function whileDelivering(treatments: (line: Line) => void): Fault["strike"] {
  return async (line, publish) => {
    treatments(line);
    await publish();
    await line.flush();
    // At QoS 0 a message is handed over before it has arrived.
    await line.seen([...line.acknowledged].at(-1)!);
  };
}

/** Until the client has seen its connection end. */
function untilLost(spoil: (line: Line) => unknown): Fault["strike"] {
  return async (line, publish) => {
    const lost = line.event("disconnect", wasOnline);
    await spoil(line);
    await publish();
    await lost;
  };
}

const faults: readonly Fault[] = [
  {
    name: `a delay of ${DELAY_MS} ms each way`,
    client: PATIENT,
    strike: whileDelivering(({ relay }) => relay.treat({ up: delay(DELAY_MS), down: delay(DELAY_MS) })),
    check(line, _, tookMs) {
      undisturbed(line);
      assert(tookMs >= [1, 2, 4][line.qos]! * DELAY_MS, `it took ${tookMs} ms`);
    },
    sparesQos0: true,
  },
  {
    name: "a link that moves two bytes at a time",
    client: PATIENT,
    strike: whileDelivering(({ relay }) => relay.treat({ up: chop(2), down: chop(2) })),
    check: undisturbed,
    sparesQos0: true,
  },
  {
    name: `a link of ${BYTES_PER_SECOND} bytes per second`,
    client: PATIENT,
    strike: whileDelivering(({ relay }) => relay.treat({ up: limit(BYTES_PER_SECOND), down: limit(BYTES_PER_SECOND) })),
    check(line, _, tookMs) {
      undisturbed(line);
      assert(tookMs >= DURING_COUNT * encodeReading(1).length / BYTES_PER_SECOND * 1_000, `it took ${tookMs} ms`);
    },
    sparesQos0: true,
  },
  {
    name: "a stall on the way up that ends in time",
    client: PATIENT,
    async strike({ relay }, publish) {
      const [holding, felt] = noticed(hold);
      relay.treat({ up: holding });
      await publish();
      await felt;
    },
    check: undisturbed,
    sparesQos0: true,
  },
  {
    name: "a stall on the way down that ends in time",
    client: PATIENT,
    async strike({ relay, qos }, publish) {
      const [holding, felt] = noticed(hold);
      relay.treat({ down: holding });
      await publish();
      if (qos > 0) await felt; // at QoS 0 nothing comes down
    },
    check: undisturbed,
    sparesQos0: true,
  },
  {
    name: "a stall on the way up that lasts too long, so that old bytes arrive late",
    client: IMPATIENT,
    strike: untilLost(({ relay }) => relay.treat({ up: hold })),
    check: reconnected,
    sparesQos0: false,
  },
  {
    name: "a stall on the way down that lasts too long",
    client: IMPATIENT,
    strike: untilLost(({ relay }) => relay.treat({ down: hold })),
    check: reconnected,
    sparesQos0: false,
  },
  {
    name: "a connection that is half-open, beside a link that works",
    client: IMPATIENT,
    strike: untilLost(({ relay }) => relay.abandon()),
    check(line, { bytesLost }) {
      reconnected(line);
      assert(bytesLost > 0, "bytes were lost");
    },
    sparesQos0: false,
  },
  {
    name: "a link that swallows everything, new connections too",
    client: IMPATIENT,
    async strike(line, publish) {
      const failed = line.event("disconnect", ({ wasConnected }) => !wasConnected);
      line.relay.treat({ up: lose, down: lose });
      await publish();
      await failed;
    },
    check(line, { bytesLost }) {
      reconnected(line);
      assert(bytesLost > 0, "bytes were lost");
    },
    sparesQos0: false,
  },
  {
    name: "a link that swallows what comes down",
    client: IMPATIENT,
    strike: untilLost(({ relay }) => relay.treat({ down: lose })),
    check(line, { bytesLost }) {
      reconnected(line);
      assert(bytesLost > 0, "bytes were lost");
    },
    sparesQos0: false,
  },
  {
    name: "a cut in the midst of the messages on their way up",
    client: IMPATIENT,
    strike: untilLost(({ relay }) => relay.treat({ up: breakAfter(200) })),
    check(line, { cuts }) {
      reconnected(line);
      assert.equal(cuts, 1);
    },
    sparesQos0: false,
  },
  {
    name: "a cut in the midst of what comes down",
    client: IMPATIENT,
    // At QoS 0 what comes down is the answer to a ping.
    strike: untilLost(({ relay }) => relay.treat({ down: breakAfter(1) })),
    check(line, { cuts }) {
      reconnected(line);
      assert.equal(cuts, 1);
    },
    sparesQos0: false,
  },
  {
    name: "a reset in the midst of the messages on their way up",
    client: IMPATIENT,
    strike: untilLost(({ relay }) => relay.treat({ up: breakAfter(200, "reset") })),
    check(line, { resets }) {
      reconnected(line);
      assert.equal(resets, 1);
    },
    sparesQos0: false,
  },
  {
    name: "a link that is gone, so that new connections are refused",
    client: IMPATIENT,
    async strike(line, publish) {
      const refused = line.event("disconnect", ({ code }) => code === "ECONNREFUSED");
      await line.relay.cut();
      await refused;
      await publish(); // offline: at QoS 0, too, it is kept
    },
    check: reconnected,
    sparesQos0: true,
  },
];

describe("Network", { skip: mosquittoMissing() }, () => {
  let network: Network;
  before(async () => network = await Network.start());
  after(() => network?.close());

  for (const fault of faults) {
    test(`Messages survive ${fault.name}`, { timeout: TEST_MS_MAX }, async () => {
      const cells = ([4, 5] as const).flatMap((protocolVersion) =>
        ([0, 1, 2] as const).map(async (qos) => {
          const line = await network.open({ protocolVersion, qos, client: fault.client });
          const readings = (first: number, count: number) => Array.from({ length: count }, (_, index) => encodeReading(first + index));
          await line.publish(readings(1, 2));
          await line.flush();
          await line.seen(encodeReading(2));

          const during = readings(3, DURING_COUNT);
          const startMs = performance.now();
          await fault.strike(line, () => line.publish(during));
          const tookMs = performance.now() - startMs;
          await line.relay.restore();
          await line.connected();

          await line.publish(readings(3 + DURING_COUNT, 4));
          await line.flush();
          await line.seen(encodeReading(6 + DURING_COUNT));
          await network.fence();
          line.check({ mayBeLost: new Set(fault.sparesQos0 ? [] : during) });
          fault.check(line, line.relay.counts, tookMs);
          await line.client.stop();
        })
      );
      await Promise.all(cells);
    });
  }
});
