/**
 * Whole rounds of power cuts: a life is recorded and cut at many moments, other lives begin with what some of these cuts left, and are cut too.
 *
 * @module
 */
import { rmSync } from "node:fs";
import type { PersistClientOptions } from "../../../mod.ts";
import type { Runtime } from "../../../lib/runtime.ts";
import { SeededRandom } from "../../simulation/seeded_random.ts";
import { Mosquitto } from "../../support/mosquitto.ts";
import { chooseCuts, examine, type Start, type Verdict } from "./campaign.ts";
import { openTestRuntime } from "./inspect.ts";
import { type LifePlan, makeScratchFolder, type RecordedLife, Recorder } from "./recording.ts";

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
  /** PUBLISHes that these lives sent with DUP. */
  readonly repeatCount: number;
  /** The first life, with packets that leave too early: the marks must be seen to be missing, or the method does not see their order. */
  readonly hasty: Verdict;
}

/** From each state that a further life begins with so many are looked at. */
const STATES_PER_START = 80;
const HASTY_STATES = 100;
const FIRST_LIFE = { first: 1, offlineCount: 40, onlineCount: 160 };
const SECOND_LIFE = { offlineCount: 6, onlineCount: 24 };
/** Messages of one life are numbered from its own number times this on. */
const LIFE = 10_000;

/** Records one life that begins with nothing. */
async function recordFirstLife(port: number, seed: number, options: LifePlan["options"]): Promise<RecordedLife> {
  const recorder = new Recorder();
  try {
    await recorder.live({ options, port, seed, ...FIRST_LIFE });
    const [life] = await recorder.finish();
    return life!;
  } finally {
    recorder.remove();
  }
}

/** Records a life from each of these states. Every third cache looks restored from a copy. */
async function recordSecondLives(port: number, seed: number, options: LifePlan["options"], starts: readonly Start[]): Promise<RecordedLife[]> {
  const recorder = new Recorder();
  try {
    for (const [index, { disk }] of starts.entries()) {
      recorder.replaceDisk(disk, { isRestored: index % 3 === 2 });
      await recorder.live({ options, port, seed: seed + index, first: (index + 1) * LIFE, ...SECOND_LIFE });
    }
    return await recorder.finish();
  } finally {
    recorder.remove();
  }
}

/** One round, with a broker that keeps its sessions. */
export async function runRound({ seed, stateCount, secondStateCount, protocolVersion }: RoundPlan): Promise<Round> {
  const runtime = await openTestRuntime();
  const random = new SeededRandom(seed);
  const options = { protocolVersion };
  const folder = makeScratchFolder();
  const broker = await Mosquitto.start();
  try {
    const life = await recordFirstLife(broker.port, seed, options);
    const startCount = Math.ceil(secondStateCount / STATES_PER_START);
    const first = examine(runtime, life, { cuts: chooseCuts(life, stateCount, random), starts: { folder, count: startCount } });
    const lives = await recordSecondLives(broker.port, seed, options, first.starts);
    const verdicts = lives.map((life, index) => {
      const count = share(secondStateCount, lives.length, index);
      return examine(runtime, life, { cuts: chooseCuts(life, count, random), before: first.starts[index]!.finding });
    });
    const hasty = withHastyPackets(life);
    return {
      first,
      second: addUp(verdicts),
      startCount: lives.length,
      repeatCount: lives.flatMap(({ facts }) => facts).filter((fact) => fact.type === "publish" && fact.isRepeat).length,
      hasty: examine(runtime, hasty, { cuts: chooseCuts(hasty, HASTY_STATES, random) }),
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
    await broker.close();
  }
}

/** The same without syncs at each commit: what is acknowledged must be seen to be lost, or the method sees nothing. */
export async function runControl(seed: number, stateCount: number): Promise<Verdict> {
  const durability: PersistClientOptions["durability"] = "process-crash";
  const random = new SeededRandom(seed);
  const broker = await Mosquitto.start();
  try {
    const life = await recordFirstLife(broker.port, seed, { durability });
    return examine(await openTestRuntime(), life, { cuts: chooseCuts(life, stateCount, random) });
  } finally {
    await broker.close();
  }
}

/** As if each PUBLISH and PUBREL had left before the last sync that came before it. */
function withHastyPackets(life: RecordedLife): RecordedLife {
  const hasten = (at: number) => Math.max(0, life.disk.syncs.findLast((sync) => sync < at)! - 1);
  const facts = life.facts.map((fact) => fact.type === "publish" || fact.type === "pubrel" ? { ...fact, at: hasten(fact.at) } : fact);
  return { ...life, facts };
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
