/**
 * The process whose calls are recorded: lives of a device, one after the other, as the other side wants them. What it acknowledges it writes at
 * once, by one call, into a file that is recorded too.
 *
 * @module
 */
import { openSync, writeSync } from "node:fs";
import process from "node:process";
import { PersistClient, type PersistClientOptions } from "../../../mod.ts";
import { SeededRandom } from "../../simulation/seeded_random.ts";
import { argument, say, told } from "../../support/child.ts";
import { payloadOf, qosOf } from "./messages.ts";

/** What it is started with. */
export interface DeviceArgument {
  /** The file that takes what it says: `begin` and `end` of a life, `ack <id> <number>` for each message that is acknowledged. */
  readonly saidPath: string;
}

/** One life. */
export interface DeviceLife {
  readonly type: "live";
  readonly options: PersistClientOptions;
  readonly port: number;
  readonly seed: number;
  /** Number of its first message. */
  readonly first: number;
  /** Published before there is a connection. */
  readonly offlineCount: number;
  /** Published after that, some at a time. */
  readonly onlineCount: number;
}

/** What it answers: the life is over, all is delivered and the client stopped. */
export interface DeviceSaid {
  readonly type: "lived";
}

const AT_ONCE_MAX = 5;
const TOPIC = "plant/inverter-7/reading";

const said = openSync(argument<DeviceArgument>().saidPath, "a");

function write(line: string): void {
  writeSync(said, `${line}\n`);
}

async function live({ options, port, seed, first, offlineCount, onlineCount }: DeviceLife): Promise<void> {
  const random = new SeededRandom(seed);
  const client = new PersistClient({ log: false, ...options });
  let number = first;
  write("begin");
  const publish = async (count: number) => {
    const stored: Promise<void>[] = [];
    for (let i = 0; i < count; i++, number++) {
      const mine = number;
      stored.push(client.publish(TOPIC, payloadOf(mine), { qos: qosOf(mine) }).then((id) => write(`ack ${id} ${mine}`)));
    }
    await Promise.all(stored);
  };
  for (const end = first + offlineCount; number < end;) await publish(Math.min(end - number, 1 + random.below(AT_ONCE_MAX)));
  await client.connectAsync({ host: "127.0.0.1", port });
  for (const end = number + onlineCount; number < end;) {
    await publish(Math.min(end - number, 1 + random.below(AT_ONCE_MAX)));
    if (random.chance(0.2)) await client.flush();
  }
  await client.flush();
  await client.stop();
  write("end");
}

for await (const life of told<DeviceLife>()) {
  await live(life);
  say({ type: "lived" } satisfies DeviceSaid);
}
process.exit(0);
