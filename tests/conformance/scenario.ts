/**
 * Runs a scenario on both versions of MQTT, side by side. Most scenarios need no more than a device whose session the broker has confirmed and
 * whose cache is empty: these lend one another their devices, as starting a worker takes longer than most scenarios do. A device that a scenario
 * leaves in any other state is not lent again.
 *
 * @module
 */
import { after } from "node:test";
import type { ProtocolVersion } from "../../lib/core/message.ts";
import { Device } from "./device.ts";

type Scenario = (device: Device) => Promise<void>;

const VERSIONS = [4, 5] as const;
const idle = new Map<ProtocolVersion, Device>();

after(async () => {
  for (const device of idle.values()) await device[Symbol.asyncDispose]();
  idle.clear();
});

/** On 3.1.1 and on 5. */
export function both(scenario: Scenario): () => Promise<void> {
  return async () => {
    const outcomes = await Promise.allSettled(VERSIONS.map((version) => run(version, scenario)));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  };
}

/** On one version only. */
export function only(version: ProtocolVersion, scenario: Scenario): () => Promise<void> {
  return () => run(version, scenario);
}

/** What a scenario does is done for each version; what went wrong says on which. */
export async function named<Result>(version: ProtocolVersion, work: () => Promise<Result>): Promise<Result> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof Error) error.message = `MQTT ${version === 5 ? "5" : "3.1.1"}: ${error.message}`;
    throw error;
  }
}

/** The same for scenarios that make their own devices. */
export function eachVersion(scenario: (version: ProtocolVersion) => Promise<void>): () => Promise<void> {
  return async () => {
    const outcomes = await Promise.allSettled(VERSIONS.map((version) => named(version, () => scenario(version))));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  };
}

async function run(version: ProtocolVersion, scenario: Scenario): Promise<void> {
  await named(version, async () => {
    const device = idle.get(version) ?? await Device.established(version);
    idle.delete(version);
    try {
      await device.reconnect();
      await scenario(device);
      await device.settle();
      idle.set(version, device);
    } catch (error) {
      await device[Symbol.asyncDispose]();
      throw error;
    }
  });
}
