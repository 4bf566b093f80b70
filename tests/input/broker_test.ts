/**
 * Random calls over the real client, the real worker, a real cache and a real broker: what is accepted arrives to the byte at a witness that
 * knows nothing of the product, also when another process sends it than the one that stored it; of what is rejected nothing is stored.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import fc from "fast-check";
import { PersistClient } from "../../mod.ts";
import { temporaryFolder } from "../store/fixtures.ts";
import { Child } from "../support/child.ts";
import { TEST_MS_MAX, within } from "../support/deadline.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { anyCall, checkOutcomes, expectCalls, makeCalls } from "./calls.ts";
import { assertSame, type ExpectedMessage } from "./messages.ts";
import { drawCalls, type OfflineJob, type OfflineSaid } from "./offline_publisher.ts";
import type { WirePublish } from "./publish_bytes.ts";
import { runs, seed, withSeed } from "./replay.ts";
import { Witness } from "./witness.ts";

const RUN_COUNT = 35;
const CALLS_PER_RUN_MAX = 50;
const OFFLINE_CALL_COUNT = 450;
/** What an expiry interval may lose within a test. */
const PASSED_SECONDS_MAX = 60;

/** A broker keeps the order among messages of one QoS. */
function assertArrived(arrivals: readonly WirePublish[], expected: readonly ExpectedMessage[]): void {
  for (const qos of [0, 1, 2]) {
    const arrived = arrivals.filter((arrival) => arrival.qos === qos);
    const wanted = expected.filter((message) => message.qos === qos);
    assert.equal(arrived.length, wanted.length, `messages of QoS ${qos}`);
    for (const [index, message] of wanted.entries()) {
      assertSame(arrived[index] as ExpectedMessage, message, `message ${index} of QoS ${qos}`, PASSED_SECONDS_MAX);
    }
  }
}

describe("Random calls", { skip: mosquittoMissing() }, () => {
  let broker: Mosquitto;
  let folder: ReturnType<typeof temporaryFolder>;
  before(async () => {
    // What it hands out may wait for the witness, as much as there is.
    broker = await Mosquitto.start({ config: "max_queued_messages 0" });
    folder = temporaryFolder();
  });
  after(async () => {
    await broker.close();
    folder[Symbol.dispose]();
  });

  const options = (name: string) => ({ clientId: name, cachePath: join(folder.path, name), log: false as const });
  const address = () => ({ host: "127.0.0.1", port: broker.port });

  test("What is published arrives to the byte, what is refused leaves no trace, what is retained is handed to who comes later", {
    timeout: TEST_MS_MAX,
  }, async () => {
    const witness = await Witness.start(broker.port);
    await using client = new PersistClient(options("direct"));
    await client.connectAsync(address());
    const all: ExpectedMessage[] = [];
    await fc.assert(
      fc.asyncProperty(fc.array(anyCall, { maxLength: CALLS_PER_RUN_MAX, size: "max" }), async (plans) => {
        const accepted = client.getStatus().ledger?.accepted ?? 0;
        const outcomes = await within(makeCalls(client, plans), "each call to settle");
        checkOutcomes(plans, outcomes, accepted + 1);
        const expected = expectCalls(plans);
        assert.equal(client.getStatus().ledger?.accepted ?? 0, accepted + expected.length);
        await within(client.flush(), () => `all to be delivered: ${JSON.stringify(client.getStatus())}`);
        assertArrived(await witness.next(expected.length), expected);
        all.push(...expected);
      }),
      runs(RUN_COUNT),
    );
    await witness.fence();
    assert.equal(witness.takeAll().length, 0, "nothing arrived twice");
    witness.stop();

    await checkRetained(all);
  });

  /** Where a topic had but one, there is no doubt which. */
  async function checkRetained(all: readonly ExpectedMessage[]): Promise<void> {
    const byTopic = Map.groupBy(all.filter(({ retain }) => retain), ({ topic }) => Buffer.from(topic).toString());
    const expected = new Map([...byTopic].filter(([, [first, second]]) => second === undefined && first!.payload.length > 0));
    assert.ok(expected.size > 0, "something was retained");
    const witness = await Witness.start(broker.port);
    for (const arrival of witness.takeAll()) {
      const topic = Buffer.from(arrival.topic).toString();
      if (!expected.has(topic)) continue;
      assertSame(arrival as ExpectedMessage, expected.get(topic)![0]!, "a retained message", PASSED_SECONDS_MAX);
      expected.delete(topic);
    }
    assert.equal(expected.size, 0, `${[...expected.keys()]} are retained too`);
    witness.stop();
  }

  test("What one process has stored, and is killed before it connects, arrives to the byte when another opens the cache", {
    timeout: TEST_MS_MAX,
  }, () =>
    withSeed(async () => {
      const job: OfflineJob = { options: options("offline"), seed, callCount: OFFLINE_CALL_COUNT };
      const plans = drawCalls(job);
      const expected = expectCalls(plans);
      const child = new Child<OfflineSaid>(new URL("./offline_publisher.ts", import.meta.url), job);
      const { outcomes, accepted } = await child.next("done");
      child.kill();
      await child.exited;
      checkOutcomes(plans, outcomes, 1);

      assert.equal(accepted, expected.length);

      const witness = await Witness.start(broker.port, "#");
      const retained = witness.takeAll();
      assert.ok(retained.every(({ retain }) => retain));
      await using client = new PersistClient(options("offline"));
      await client.connectAsync(address());
      assert.equal(client.getStatus().ledger?.accepted, expected.length);
      await within(client.flush(), () => `all to be delivered: ${JSON.stringify(client.getStatus())}`);
      assertArrived(await witness.next(expected.length), expected);
      await witness.fence();
      assert.equal(witness.takeAll().length, 0, "nothing arrived twice");
      witness.stop();
    }));
});
