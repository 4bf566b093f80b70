import { Mosquitto } from "../../support/mosquitto.ts";
import { SeededRandom } from "../../simulation/seeded_random.ts";
import { Recorder } from "./recording.ts";
import { openTestRuntime } from "./inspect.ts";
import { chooseCuts, examine } from "./campaign.ts";
const broker = await Mosquitto.start();
const recorder = new Recorder();
let t = performance.now();
const lap = (what: string) => { console.log(what, Math.round(performance.now() - t)); t = performance.now(); };
try {
  await recorder.live({ options: {}, port: broker.port, seed: 1, first: 1, offlineCount: 40, onlineCount: 160 });
  lap("lived");
  const [life] = await recorder.finish();
  lap("parsed");
  console.log(life!.disk.names.length, life!.disk.syncs.length, life!.facts.length, life!.acknowledgements.length, life!.moments.length);
  const random = new SeededRandom(1);
  const verdict = examine(await openTestRuntime(), life!, { cuts: chooseCuts(life!, 2000, random), random });
  lap("examined");
  console.log({...verdict, bad: verdict.bad.length});
  for (const { cut, breaches } of verdict.bad.slice(0, 10)) console.log(cut, breaches.slice(0, 3));
  { const { copyFileSync } = await import("node:fs"); copyFileSync(recorder.tracePath, "/tmp/pc/last.trace"); }
} finally {
  recorder.remove();
  await broker.close();
}
