/**
 * Two processes, one cache.
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { test } from "node:test";
import type { PersistClientOptions } from "../../mod.ts";
import { AedesBroker } from "../support/aedes_broker.ts";
import { Child } from "../support/child.ts";
import { TEST_MS_MAX } from "../support/deadline.ts";
import { Subscriber } from "../support/subscriber.ts";
import { Tally } from "../support/workload.ts";
import type { PublisherCommand, PublisherSaid } from "./publisher_process.ts";

const SCRIPT = new URL("./publisher_process.ts", import.meta.url);
const FIRST_COUNT = 300;
const REFUSAL_MS_MAX = 1_000;

test(
  "A cache that is in use is refused within a second, its user goes on undisturbed, and kill -9 sets it free",
  { timeout: TEST_MS_MAX },
  async () => {
    const broker = await AedesBroker.start({ keepsSessions: true });
    const tally = new Tally();
    const subscriber = await Subscriber.start({ port: broker.port, isPersistent: false, onMessage: ({ payload }) => tally.take(payload) });
    const folder = mkdtempSync(join(tmpdir(), "persistmq-lock-"));
    const options: PersistClientOptions = { clientId: "lock", cachePath: join(folder, "cache") };
    const children: Child<PublisherSaid>[] = [];
    const start = () => {
      const child = new Child<PublisherSaid>(SCRIPT, options);
      children.push(child);
      child.send({ type: "connect", port: broker.port } satisfies PublisherCommand);
      return child;
    };
    try {
      const first = start();
      await first.next("opened");
      first.send({ type: "publish", first: 1, count: FIRST_COUNT, perSecond: 300 } satisfies PublisherCommand);
      await first.next("stored");

      const second = start();
      const { name, message, tookMs } = await second.next("notOpened");
      assert.equal(name, "CacheLockedError");
      assert.match(message, new RegExp(`\\b${first.pid}\\b`), "the message names the process that holds the cache");
      assert(tookMs < REFUSAL_MS_MAX, `refused after ${tookMs} ms`);
      await second.stop();

      await first.next("stored", ({ number }) => number === FIRST_COUNT);
      first.send({ type: "flush" } satisfies PublisherCommand);
      await first.next("flushed");
      first.kill();
      await first.exited;

      const third = start();
      const { accepted } = await third.next("opened");
      assert.equal(accepted, FIRST_COUNT);
      third.send({ type: "publish", first: FIRST_COUNT + 1, count: 1 } satisfies PublisherCommand);
      await tally.arrived(FIRST_COUNT + 1);
      assert.deepEqual([tally.duplicates, tally.outOfOrder], [0, 0]);
      await third.stop();
    } finally {
      for (const child of children) child.kill();
      await Promise.all(children.map((child) => child.exited));
      rmSync(folder, { recursive: true, force: true });
      await subscriber.stop();
      await broker.stop();
    }
  },
);
