import { mkdirSync } from "node:fs";
import { join } from "node:path";
import { Mosquitto } from "../../support/mosquitto.ts";
import { SeededRandom } from "../../simulation/seeded_random.ts";
import { chooseCuts, examine } from "./campaign.ts";
import { openTestRuntime } from "./inspect.ts";
import { makeScratchFolder, Recorder } from "./recording.ts";
const folder = makeScratchFolder(); const disk = join(folder, "disk"); mkdirSync(disk);
const broker = await Mosquitto.start();
let r = new Recorder(disk);
await r.live({ options: {protocolVersion: 5}, port: broker.port, seed: 1, first: 1, offlineCount: 40, onlineCount: 160 });
const [life] = await r.finish(); r.remove();
const v = examine(await openTestRuntime(), life!, { cuts: chooseCuts(life!, 200, new SeededRandom(1)), starts: { folder: join(folder, "starts"), count: 8 } });
r = new Recorder(disk);
for (const [i, s] of v.starts.entries()) {
  console.log(s.disk, s.finding?.session, s.finding?.flights.length, s.finding?.pending.length, s.finding?.warnings);
  r.replaceDisk(s.disk, { isRestored: false });
  await r.live({ options: {protocolVersion: 5}, port: broker.port, seed: 1, first: 10000*(i+1), offlineCount: 6, onlineCount: 24 });
}
const lives = await r.finish();
for (const l of lives) console.log(l.databaseInode, life!.databaseInode, l.facts.filter(f => f.type === "connack"), l.facts.filter(f => f.type === "publish" && f.isRepeat).length);
r.remove();
await broker.close();
console.log(broker.log.split("\n").filter((l) => /connect/i.test(l)).join("\n"));
