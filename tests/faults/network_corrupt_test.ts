/**
 * Bits turn over on their way. TCP's own checksum catches nearly all of these, and MQTT has none: what is left is to notice what makes no sense,
 * and to lose nothing else over it.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { PersistClientOptions } from "../../mod.ts";
import { TEST_MS_MAX } from "../support/deadline.ts";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { type Direction, flip } from "../support/relay.ts";
import { type Line, Network } from "./network_line.ts";

/** A packet that claims to be longer than it is leaves the connection waiting; that is to be over soon. */
const IMPATIENT: Partial<PersistClientOptions> = { ackTimeoutMs: 120 };
/** In flight at once, so that the answer to one may be taken for the answer to another. */
const IN_FLIGHT = 2;
/** PUBACK, PUBREC and PUBCOMP without a reason code. */
const ANSWER_BYTES = 4;

interface Bit {
  readonly at: number;
  readonly bit: number;
}

function bitsOf(bytes: readonly number[]): readonly Bit[] {
  return bytes.flatMap((at) => Array.from({ length: 8 }, (_, bit) => ({ at, bit })));
}

/** The payloads published while that bit was turned over. */
const payloadsFor = ({ at, bit }: Bit) => Array.from({ length: IN_FLIGHT }, (_, index) => `${at}.${bit}.${index}`);

/** One bit after the other, each while messages are in flight. */
async function flipEach(line: Line, direction: Direction, bits: readonly Bit[]): Promise<void> {
  for (const each of bits) {
    line.relay.treat({ [direction]: flip(each.at, each.bit) });
    await line.publish(payloadsFor(each));
    await line.flush();
    await line.relay.restore();
  }
  assert.equal(line.relay.counts.bitsFlipped, bits.length, "every bit was turned over");
}

describe("Corruption", { skip: mosquittoMissing() }, () => {
  let network: Network;
  before(async () => network = await Network.start());
  after(() => network?.close());

  /** One line for each QoS on each version and each of these bytes. */
  async function inParallel(
    byQos: Readonly<Record<1 | 2, readonly number[]>>,
    run: (line: Line, first: number) => Promise<void>,
  ): Promise<void> {
    const cells = ([4, 5] as const).flatMap((protocolVersion) =>
      ([1, 2] as const).flatMap((qos) =>
        byQos[qos].map(async (first) => {
          const line = await network.open({ protocolVersion, qos, client: IMPATIENT });
          await run(line, first);
          await line.client.stop();
        })
      )
    );
    await Promise.all(cells);
  }

  test("Any bit of the broker's answers may turn over: every message arrives, at QoS 2 once", { timeout: TEST_MS_MAX }, async () => {
    // PUBACK or PUBREC for the first message, and what answers PUBREL.
    await inParallel({ 1: [0], 2: [0, IN_FLIGHT * ANSWER_BYTES] }, async (line, first) => {
      await flipEach(line, "down", bitsOf(Array.from({ length: ANSWER_BYTES }, (_, index) => first + index)));
      await network.fence();
      // One whose PUBREC was taken for another's is released later, and that is when mosquitto hands it out.
      line.check({ isInOrder: line.qos === 1 });
    });
  });

  test("Any bit of a PUBLISH may turn over: no other message is lost, or doubled at QoS 2", { timeout: TEST_MS_MAX }, async () => {
    // Fixed header, length of the topic, topic; what follows the packet id. A packet id that is taken for another is not tried: MQTT lets the
    // broker take the one message for the other then.
    await inParallel({ 1: [0], 2: [0] }, async (line) => {
      const afterPacketId = 4 + line.name.length + 2;
      const bits = bitsOf([0, 1, 2, 3, 4, afterPacketId, afterPacketId + 1]);
      await flipEach(line, "up", bits);
      await network.fence();
      for (const [altered, ...others] of bits.map(payloadsFor)) {
        for (const other of others) {
          const count = line.arrivals.filter((payload) => payload === other).length;
          const isGood = line.qos === 2 ? count === 1 : count > 0;
          assert(isGood, `QoS ${line.qos}: beside ${altered}, which was altered, ${other} arrived ${count} times`);
        }
      }
    });
  });
});
