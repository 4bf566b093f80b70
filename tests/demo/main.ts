/**
 * The demonstration: a device measures, the link breaks and comes back, the device is killed again and again while messages are in flight,
 * and an independent subscriber counts what arrives.
 *
 * `--broker aedes|mosquitto` chooses the broker, `--count N` how many readings are taken at least; `--lose N` makes the subscriber overlook reading N,
 * which must not go unnoticed.
 *
 * @module
 */
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { parseArgs } from "node:util";
import { Child } from "../support/child.ts";
import { within } from "../support/deadline.ts";
import { killInFlight, type OpeningPacket } from "../support/kill_in_flight.ts";
import { Relay } from "../support/relay.ts";
import { Subscriber } from "../support/subscriber.ts";
import { decodeReading, Tally } from "../support/workload.ts";
import { WireWatch } from "../support/wire_watch.ts";
import { startBroker } from "./brokers.ts";
import type { DeviceOptions, DeviceSaid, DeviceTold } from "./device.ts";
import { Progress } from "./progress.ts";

const PER_SECOND = 400;

const { values: words } = parseArgs({ options: { broker: { type: "string" }, count: { type: "string" }, lose: { type: "string" } } });
const countMin = Number(words.count ?? 2_000);
const overlooked = Number(words.lose ?? 0);

/** The link works, and then is cut, for so many readings; the device is killed when so many packets have passed after that. */
const WORKING = countMin / 10;
const CUT = countMin / 7;
const KILLED_AFTER = Math.ceil(countMin / 20);
/** What was on its way when the device was killed. */
const KILLED_AT: readonly OpeningPacket[] = ["pubrel", "pubrec", "publish"];

const folder = mkdtempSync(join(tmpdir(), "persistmq-demo-"));
// Brokers end with the process as well.
process.once("exit", () => rmSync(folder, { recursive: true, force: true }));
for (const signal of ["SIGINT", "SIGTERM"]) process.once(signal, () => process.exit(130));

/** True if all went as it should. */
async function main(): Promise<boolean> {
  const broker = await startBroker(words.broker);
  const relay = await Relay.start(broker.port);
  const watch = new WireWatch(relay);
  const progress = new Progress(countMin);
  const tally = new Tally();
  const subscriber = await Subscriber.start({
    port: broker.port,
    isPersistent: broker.keepsSubscribers,
    onMessage: ({ payload }) => {
      if (decodeReading(payload) !== overlooked) tally.take(payload);
      show();
    },
  });

  let link = "link up";
  let stored = 0;
  const inFlight: number[] = [];
  function show(): void {
    progress.update(tally.numbers.length, { waiting: Math.max(0, stored - tally.numbers.length), link });
  }

  const options: DeviceOptions = {
    clientId: "inverter-7",
    cachePath: join(folder, "cache"),
    port: relay.port,
    perSecond: PER_SECOND,
  };
  async function startDevice(): Promise<Child<DeviceSaid>> {
    const device = new Child<DeviceSaid>(new URL("./device.ts", import.meta.url), options, {
      onSaid: (said) => {
        if (said.type === "started") stored = said.next - 1;
        if (said.type === "stored") stored = said.number;
        show();
      },
    });
    const { next, waiting } = await device.next("started");
    progress.say(`the device is up, ${waiting} messages wait in its cache, its next reading is number ${next}`);
    return device;
  }

  progress.say(`${broker.name} takes connections; the device takes ${PER_SECOND} readings a second and publishes each at QoS 2`);
  let device = await startDevice();
  function taken(count: number): Promise<unknown> {
    return device.next("stored", ({ number }) => number >= count);
  }

  for (const packet of KILLED_AT) {
    await taken(stored + WORKING);
    await relay.cut();
    link = "link down";
    progress.say(`the link is cut: ${stored} readings taken, ${tally.numbers.length} have arrived`);

    await taken(stored + CUT);
    progress.say(`the link is back: ${stored} readings taken, ${tally.numbers.length} have arrived`);
    link = "link up";
    const killed = killInFlight(device, watch, packet, KILLED_AFTER);
    await relay.restore();
    inFlight.push(await within(killed, "messages in flight"));
    progress.say(`the device was killed (SIGKILL), messages in flight: ${inFlight.at(-1)}`);
    device = await startDevice();
  }

  await taken(Math.max(countMin, stored + 1));
  device.send({ type: "enough" } satisfies DeviceTold);
  const { last: count } = await device.next("flushed");
  await subscriber.fence();
  show();
  progress.end();

  await device.stop();
  await subscriber.stop();
  await relay.close();
  await broker.stop();

  const arrived = tally.numbers.length;
  const isGood = arrived === count && stored === count && count >= countMin && tally.duplicates === 0 && tally.outOfOrder === 0 &&
    tally.altered === 0 &&
    inFlight.every((openCount) => openCount > 0);
  if (tally.altered > 0) console.log(`altered ${tally.altered}`);
  const protocol = watch.protocolVersion === 5 ? "MQTT 5" : "MQTT 3.1.1";
  console.log(
    `${broker.name}, ${protocol}, ${relay.counts.cuts} cuts of the link, ${inFlight.length} kills with ${inFlight.join(", ")} in flight: ` +
      `delivered ${arrived} of ${count}, duplicates ${tally.duplicates}, out of order ${tally.outOfOrder}`,
  );
  return isGood;
}

main().then((isGood) => process.exit(isGood ? 0 : 1), (error) => {
  console.error(error);
  process.exit(1);
});
