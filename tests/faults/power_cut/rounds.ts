/**
 * Whole rounds of power cuts: a life is recorded and cut at many moments, other lives begin with what some of these cuts left, and are cut too.
 *
 * @module
 */
import { mkdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import type { Runtime } from "../../../lib/runtime.ts";
import { SeededRandom } from "../../simulation/seeded_random.ts";
import { Mosquitto } from "../../support/mosquitto.ts";
import { chooseCuts, examine, type Start, type Verdict } from "./campaign.ts";
import type { Cut } from "./disk_states.ts";
import { openTestRuntime } from "./inspect.ts";
import { databaseOn, type LifePlan, makeScratchFolder, type RecordedLife, Recorder } from "./recording.ts";
import type { WireFact } from "./wire_facts.ts";

/** What a round is to be like. */
export interface RoundPlan {
  readonly seed: number;
  /** How many states of the first life are looked at. */
  readonly stateCount: number;
  /** How many states of the lives after a first cut, in all. */
  readonly secondStateCount: number;
  readonly protocolVersion: 4 | 5;
}

/** What came of it. */
export interface Round {
  readonly first: Verdict;
  readonly second: Verdict;
  /** How many lives began with what a cut had left. */
  readonly startCount: number;
  /** How often the first life copied its write-ahead log to the database while it published. */
  readonly checkpointCount: number;
  /** PUBLISHes that these lives sent with DUP. */
  readonly repeatCount: number;
  /** The first life, with packets that leave too early: the marks must be seen to be missing, or the method does not see their order. */
  readonly hastyPublish: Verdict;
  readonly hastyRelease: Verdict;
}

/** From each state that a further life begins with so many are looked at. */
const STATES_PER_START = 80;
const RESTORED_COUNT = 2;
const HASTY_STATES_MAX = 50;
const FIRST_LIFE = { first: 1, offlineCount: 40, onlineCount: 260 };
const SECOND_LIFE = { offlineCount: 6, onlineCount: 24 };
/** Messages of one life are numbered from its own number times this on. */
const LIFE = 10_000;

/** Records one life that begins with nothing. */
async function recordFirstLife(disk: string, port: number, seed: number, options: LifePlan["options"]): Promise<RecordedLife> {
  const recorder = new Recorder(disk);
  try {
    await recorder.live({ options, port, seed, ...FIRST_LIFE });
    const [life] = await recorder.finish();
    return life!;
  } finally {
    recorder.remove();
  }
}

/** Records a life from each of these states, on the disk of the first. The last few caches look restored from a copy. */
async function recordSecondLives(
  disk: string,
  port: number,
  seed: number,
  options: LifePlan["options"],
  starts: readonly Start[],
): Promise<RecordedLife[]> {
  const recorder = new Recorder(disk);
  try {
    for (const [index, start] of starts.entries()) {
      recorder.replaceDisk(start.disk, { isRestored: index >= starts.length - RESTORED_COUNT });
      await recorder.live({ options, port, seed: seed + index, first: (index + 1) * LIFE, ...SECOND_LIFE });
    }
    return await recorder.finish();
  } finally {
    recorder.remove();
  }
}

/** One round, with a broker that keeps its sessions. */
export async function runRound({ seed, stateCount, secondStateCount, protocolVersion }: RoundPlan): Promise<Round> {
  const options = { protocolVersion };
  return await withDisk(async (disk, { port }, runtime, startFolder) => {
    const random = new SeededRandom(seed);
    const life = await recordFirstLife(disk, port, seed, options);
    const count = Math.ceil(secondStateCount / STATES_PER_START);
    const first = examine(runtime, life, { cuts: chooseCuts(life, stateCount, random), starts: { folder: startFolder, count } });
    const lives = await recordSecondLives(disk, port, seed, options, first.starts);
    const verdicts = lives.map((life, index) => {
      const count = share(secondStateCount, lives.length, index);
      return examine(runtime, life, { cuts: chooseCuts(life, count, random), before: first.starts[index]!.finding });
    });
    const isRepeat = (fact: WireFact) => fact.type === "publish" && fact.isRepeat;
    return {
      first,
      second: addUp(verdicts),
      startCount: lives.length,
      checkpointCount: countCheckpoints(life),
      repeatCount: lives.flatMap(({ facts }) => facts.filter(isRepeat)).length,
      hastyPublish: examineHasty(runtime, life, "publish"),
      hastyRelease: examineHasty(runtime, life, "pubrel"),
    };
  });
}

/** The same without syncs at each commit: what is acknowledged must be seen to be lost, or the method sees nothing. */
export async function runControl(seed: number, stateCount: number): Promise<Verdict> {
  return await withDisk(async (disk, { port }, runtime) => {
    const life = await recordFirstLife(disk, port, seed, { durability: "process-crash" });
    return examine(runtime, life, { cuts: chooseCuts(life, stateCount, new SeededRandom(seed)) });
  });
}

/** Syncs of the database between the first acknowledgement and the last. */
function countCheckpoints({ disk, acknowledgements }: RecordedLife): number {
  const entries = disk.names.flatMap(({ changes }) => changes);
  const database = entries.find(({ path }) => path === databaseOn(disk.root))?.entry;
  const syncs = database?.kind === "file" ? new Set(database.file.steps.map(({ syncedAt }) => syncedAt)) : [];
  return [...syncs].filter((at) => at > acknowledgements[0]!.at && at < acknowledgements.at(-1)!.at).length;
}

async function withDisk<T>(run: (disk: string, broker: Mosquitto, runtime: Runtime, startFolder: string) => Promise<T>): Promise<T> {
  const folder = makeScratchFolder();
  const disk = join(folder, "disk");
  mkdirSync(disk, { mode: 0o700 });
  const broker = await Mosquitto.start();
  try {
    return await run(disk, broker, await openTestRuntime(), join(folder, "starts"));
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await broker.close();
  }
}

/** As if each packet of this type had left before the last sync that came before it. */
function examineHasty(runtime: Runtime, life: RecordedLife, type: "publish" | "pubrel"): Verdict {
  const hasten = (at: number) => Math.max(0, life.disk.syncs.findLast((sync) => sync < at)! - 1);
  const facts = life.facts.map((fact) => fact.type === type ? { ...fact, at: hasten(fact.at) } : fact);
  const moments = [...new Set(facts.filter((fact) => fact.type === type).map(({ at }) => at + 1))].sort((a, b) => a - b);
  const cuts = moments.slice(0, HASTY_STATES_MAX).map((at): Cut => ({ at, names: "strict", remnant: "none", seed: 0, isBoundary: true }));
  return examine(runtime, { ...life, facts }, { cuts });
}

/** All verdicts as one. */
export function addUp(verdicts: readonly Verdict[]): Verdict {
  const sum = { stateCount: 0, boundaryCount: 0, pendingCount: 0, sentCount: 0, receivedCount: 0 };
  for (const verdict of verdicts) for (const key of Object.keys(sum) as (keyof typeof sum)[]) sum[key] += verdict[key];
  return { ...sum, bad: verdicts.flatMap(({ bad }) => bad), starts: verdicts.flatMap(({ starts }) => starts) };
}

/** Of `whole`, divided as evenly as can be. */
function share(whole: number, parts: number, index: number): number {
  return Math.floor(whole * (index + 1) / parts) - Math.floor(whole * index / parts);
}
