/**
 * Cuts the power at many moments of a recorded life, opens what is left, and judges it.
 *
 * @module
 */
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Runtime } from "../../../lib/runtime.ts";
import type { SeededRandom } from "../../simulation/seeded_random.ts";
import { Account } from "./account.ts";
import { type Cut, DiskStates, type Remnant } from "./disk_states.ts";
import { afterPowerCut, type Finding, inspect } from "./inspect.ts";
import { type Breach, judge } from "./judge.ts";
import { AlteredMessageError, numberOf } from "./messages.ts";
import { cacheOn, makeScratchFolder, type RecordedLife } from "./recording.ts";

/** A state that broke a promise. */
export interface BadState {
  readonly life: RecordedLife;
  readonly cut: Cut;
  readonly breaches: readonly Breach[];
}

/** What became of a campaign. */
export interface Verdict {
  stateCount: number;
  /** States right after something left: an acknowledgement or a packet. */
  boundaryCount: number;
  /** Unfinished messages found in all the states together. */
  pendingCount: number;
  /** Exchanges found marked, `sent` and `received`. */
  sentCount: number;
  receivedCount: number;
  readonly bad: BadState[];
  readonly starts: Start[];
}

/** By so many syncs a commit may be followed that made a checkpoint. */
const SYNCS_PER_COMMIT_MAX = 4;
const KEPT_MAX = 10;
const REMNANTS: readonly Remnant[] = ["none", "all", "some", "torn"];

/** So much of the other cuts falls into the time when the cache is made, or recovers. */
const OPENING_SHARE = 0.2;

/**
 * The cuts: right after each acknowledgement and each PUBLISH and PUBREL, with nothing left of what was not synced; the others where chance has
 * it. In the order of their moments.
 */
export function chooseCuts({ facts, acknowledgements, moments }: RecordedLife, count: number, random: SeededRandom): Cut[] {
  const leaving = [...facts.filter(({ type }) => type === "publish" || type === "pubrel"), ...acknowledgements].map(({ at }) => at);
  const boundaries = [...new Set(leaving)];
  while (boundaries.length > count / 2) boundaries.splice(random.below(boundaries.length), 1);
  const openedAt = Math.min(...leaving, ...facts.map(({ at }) => at));
  const opening = moments.filter((at) => at <= openedAt);
  const cuts: Cut[] = boundaries.map((at) => ({ at: at + 1, names: "strict", remnant: "none", seed: 0, isBoundary: true }));
  while (cuts.length < count) {
    const at = random.pick(random.chance(OPENING_SHARE) ? opening : moments) + random.below(2);
    const names = random.pick(["strict", "ext4"] as const);
    cuts.push({ at, names, remnant: random.pick(REMNANTS), seed: random.below(2 ** 32), isBoundary: false });
  }
  return cuts.sort((a, b) => a.at - b.at);
}

/** A state that another life is to begin with. */
export interface Start {
  /** The disk, not opened since the cut. */
  readonly disk: string;
  /** What is on it; `undefined` if it is not a complete cache yet. */
  readonly finding: Finding | undefined;
}

/** What to examine. */
export interface Examination {
  readonly cuts: readonly Cut[];
  /** What the life began with, if not with nothing. */
  readonly before?: Finding | undefined;
  /** Into this folder go about so many of the states, to begin with. */
  readonly starts?: { readonly folder: string; readonly count: number };
}

/** Judges the states of all these cuts. */
export function examine(runtime: Runtime, life: RecordedLife, { cuts, before, starts }: Examination): Verdict {
  const verdict: Verdict = { stateCount: 0, boundaryCount: 0, pendingCount: 0, sentCount: 0, receivedCount: 0, bad: [], starts: [] };
  const scratch = makeScratchFolder();
  const disk = join(scratch, "disk");
  const states = new DiskStates(life.disk);
  const account = new Account(life.facts, life.acknowledgements, before);
  const powered = afterPowerCut(runtime, life.databaseInode);
  const numbers = new Map([...before?.pending ?? [], ...life.acknowledgements].map(({ id, number }) => [id, number]));
  const firstId = before?.nextMessageId ?? 1;
  const isLeaving = whoIsLeaving(life);
  const startEvery = starts === undefined ? Infinity : Math.floor(cuts.length / starts.count);
  let cacheIdentity = before?.cacheIdentity;
  try {
    cuts.forEach((cut, index) => {
      states.write(cut, disk);
      account.advance(cut.at);
      const startDisk = join(starts?.folder ?? "", String(verdict.starts.length));
      const isStartDue = index + 1 >= startEvery * (verdict.starts.length + 1);
      if (isStartDue) {
        rmSync(startDisk, { recursive: true, force: true });
        cpSync(disk, startDisk, { recursive: true });
      }
      verdict.stateCount++;
      if (cut.isBoundary) verdict.boundaryCount++;
      let breaches: Breach[];
      try {
        const found = inspect(powered, cacheOn(disk));
        if (account.isCacheKnown) cacheIdentity ??= found.cacheIdentity;
        breaches = judge(found, account, {
          numbers,
          firstId,
          cacheIdentity: cacheIdentity ?? found.cacheIdentity,
          isLeaving: (number) => isLeaving(number, cut.at),
        });
        verdict.pendingCount += found.pending.length;
        for (const { stage } of found.flights) verdict[stage === "received" ? "receivedCount" : "sentCount"]++;
        // Every other life begins with exchanges to be taken up again.
        const hasSent = found.flights.some(({ stage }) => stage === "sent");
        if (isStartDue && (hasSent || verdict.starts.length % 2 === 0)) {
          verdict.starts.push({ disk: startDisk, finding: account.isCacheKnown || found.nextMessageId > 1 ? found : undefined });
        }
      } catch (error) {
        breaches = [{ rule: error instanceof AlteredMessageError ? "altered" : "unopenable", what: String(error) }];
      }
      if (breaches.length > 0) verdict.bad.push({ life, cut, breaches });
    });
    return verdict;
  } finally {
    rmSync(scratch, { recursive: true, force: true });
  }
}

/** Keeps the first states that broke a promise, as they were before they were opened, with what is wrong. Gives the folder. */
export function keepBadStates(bad: readonly BadState[]): string {
  const folder = mkdtempSync(join(tmpdir(), "persistmq-power-cut-bad-"));
  bad.slice(0, KEPT_MAX).forEach(({ life, cut, breaches }, index) => {
    const place = join(folder, String(index));
    new DiskStates(life.disk).write(cut, join(place, "disk"));
    writeFileSync(join(place, "why.json"), JSON.stringify({ cut, breaches }, null, 2));
  });
  return folder;
}

/** A message of QoS 0 is removed by a commit, and leaves at once: is `at` between the two? */
function whoIsLeaving({ facts, disk }: RecordedLife): (number: number, at: number) => boolean {
  const leftAt = new Map<number, number>();
  for (const fact of facts) if (fact.type === "publish" && fact.qos === 0) leftAt.set(numberOf(fact.payload), fact.at);
  return (number, at) => {
    const leaves = leftAt.get(number);
    return leaves !== undefined && disk.syncs.filter((sync) => sync >= at && sync < leaves).length <= SYNCS_PER_COMMIT_MAX;
  };
}
