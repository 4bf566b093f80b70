/**
 * A broker gone mad: seeded, so that what fails once fails again. Whatever it sends, the client neither dies nor hangs, sends nothing that MQTT
 * forbids, takes no noise for an acknowledgement, and delivers everything as soon as the broker has come to its senses.
 */
import assert from "node:assert/strict";
import { test } from "node:test";
import { SeededRandom } from "../simulation/seeded_random.ts";
import { hex, type Letter } from "./bytes.ts";
import { Device } from "./device.ts";
import { noise } from "./noise.ts";
import { eachVersion } from "./scenario.ts";

const SEED = 20_141_029;
const ROUNDS = 120;
/** How long the broker waits to see whether the client closes. */
const REACTION_MS = 4;

const sleep = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

/** What the broker does in one connection; returns when the client knows that it is over. Did the client close? */
async function rave(device: Device, random: SeededRandom): Promise<boolean> {
  const line = await device.knocks();
  const isOnline = random.chance(0.8);
  if (isOnline) device.welcome();
  if (isOnline && random.chance(0.5)) await line.next();
  let bytes = noise(random, device.wire);
  // What might be a CONNACK is a broker's word, not noise.
  while (!isOnline && bytes[0]! >> 4 === 2) bytes = noise(random, device.wire);
  for (let at = 0; at < bytes.length;) {
    const end = random.chance(0.7) ? bytes.length : at + 1 + random.below(bytes.length - at);
    line.send(hex(bytes.subarray(at, end)));
    at = end;
    if (random.chance(0.5)) await sleep(0);
  }
  const over = device.heard("disconnect");
  const isClosedByClient = await Promise.race([over.then(() => true), sleep(REACTION_MS).then(() => false)]);
  line.drain();
  if (random.chance(0.5)) line.endWriting();
  else line.cut();
  const { retryInMs } = await over;
  line.cut();
  // The noise may have been a DISCONNECT that asks for patience.
  if (retryInMs! > 100) await device.connectAsync();
  return isClosedByClient;
}

test(
  `[MQTT-4.13.1-1] [MQTT-4.4.0-1] [MQTT-4.4.0-2] [3.1.1 MQTT-4.8.0-1] [3.1.1 MQTT-4.4.0-1] ${ROUNDS} connections full of noise (seed ${SEED}): ` +
    "nothing is lost, nothing is taken for delivered, nothing unlawful is sent",
  eachVersion(async (version) => {
    await using device = await Device.established(version);
    const { wire } = device;
    const random = new SeededRandom(SEED + version);
    const letters: Letter[] = [{ qos: 1, payload: "a" }, { qos: 2, payload: "b" }, { qos: 2, payload: "c" }, { qos: 1, payload: "d" }];
    const [a, b, c, d] = await device.send(...letters);
    device.line.send(wire.pubrec(c!));
    await device.line.expect(wire.pubrel(c!));
    device.line.cut();
    await device.heard("disconnect");

    let closedCount = 0;
    for (let round = 0; round < ROUNDS; round++) {
      try {
        if (await rave(device, random)) closedCount++;
      } catch (error) {
        if (error instanceof Error) error.message = `round ${round}: ${error.message}`;
        throw error;
      }
    }
    assert.ok(closedCount > ROUNDS / 4, `the client found fault with ${closedCount} of ${ROUNDS} connections`);
    assert.ok(closedCount < ROUNDS, "and with some it did not, so that the broker had to end them");

    const line = await device.online();
    await line.expect(
      wire.pubrel(c!),
      wire.publish(letters[0]!, a, true),
      wire.publish(letters[1]!, b, true),
      wire.publish(letters[3]!, d, true),
    );
    line.send(wire.pubcomp(c!), wire.puback(a!), wire.pubrec(b!), wire.puback(d!));
    await line.expect(wire.pubrel(b!));
    line.send(wire.pubcomp(b!));
    await device.settle();
  }),
);
