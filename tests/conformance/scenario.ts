/**
 * Runs scenarios on both versions of MQTT, side by side.
 *
 * @module
 */
import { after } from "node:test";
import type { ProtocolVersion } from "../../lib/core/message.ts";
import { Device } from "./device.ts";

type Scenario = (device: Device) => Promise<void>;

/** The body of a test. */
export type Body = () => Promise<void>;

/** For scenarios that lend one another their devices. */
export interface Scenarios {
  /** On 3.1.1 and on 5. */
  both(scenario: Scenario): Body;
  /** On one version. */
  only(version: ProtocolVersion, scenario: Scenario): Body;
}

const VERSIONS = [4, 5] as const;

/** For scenarios that make their own devices: on 3.1.1 and on 5. */
export function eachVersion(scenario: (version: ProtocolVersion) => Promise<void>): Body {
  return async () => {
    const outcomes = await Promise.allSettled(VERSIONS.map((version) => named(version, () => scenario(version))));
    for (const outcome of outcomes) if (outcome.status === "rejected") throw outcome.reason;
  };
}

/**
 * Most scenarios need no more than a device whose session the broker has confirmed and whose cache is empty, and starting a worker takes longer
 * than they do: those of one file share a device for each version. One that a scenario leaves in any other state is not lent again.
 */
export function scenarios(): Scenarios {
  const idle = new Map<ProtocolVersion, Device>();
  after(async () => {
    for (const device of idle.values()) await device[Symbol.asyncDispose]();
    idle.clear();
  });

  const run = async (version: ProtocolVersion, scenario: Scenario) => {
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
  };
  return {
    both: (scenario) => eachVersion((version) => run(version, scenario)),
    only: (version, scenario) => () => named(version, () => run(version, scenario)),
  };
}

/** What goes wrong says on which version. */
async function named(version: ProtocolVersion, work: () => Promise<void>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (error instanceof Error) error.message = `MQTT ${version === 5 ? "5" : "3.1.1"}: ${error.message}`;
    throw error;
  }
}
