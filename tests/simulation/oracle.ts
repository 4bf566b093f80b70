/**
 * The promises, as rules with names. A rule looks at what the application was told, what left on the wire and what brokers handed on; it knows
 * nothing of how the core works.
 */
import type { Life } from "./life.ts";
import type { WireRule } from "./wire_watch.ts";

/**
 * - `lost`: a stored message of QoS 1 or 2 reached no broker and has no other fate.
 * - `duplicate`: QoS 2 handed on twice although the session was kept; QoS 0 handed on twice.
 * - `ledger`: accepted = delivered + quarantined + dropped + expired + purged + damaged + pending does not hold.
 * - `stuck`: nothing is wrong any more and something is still pending.
 * - `refused-delivered`: a message that was certainly not stored was handed on.
 * - `unstored-sent`: a message was on the wire before it was stored.
 * - `id-reused`: a MessageId was given out twice.
 * - `exception`: the core threw.
 */
export type Rule =
  | WireRule
  | "lost"
  | "duplicate"
  | "ledger"
  | "stuck"
  | "refused-delivered"
  | "id-reused"
  | "exception";

export interface Fault {
  readonly rule: Rule;
  readonly what: string;
}

/** After every action. */
export function checkMoment({ world }: Life): Fault[] {
  const faults: Fault[] = world.watch.violations.splice(0);
  for (const { status: { ledger } } of world.reports.splice(0)) {
    const { accepted, pending, pendingBytes: _, ...fates } = ledger;
    const settled = Object.values(fates).reduce((sum, count) => sum + count, 0);
    if (accepted !== settled + pending || pending < 0) {
      faults.push({ rule: "ledger", what: `${accepted} accepted, ${settled} settled, ${pending} pending` });
    }
  }
  for (const serial of world.reused.splice(0)) faults.push({ rule: "id-reused", what: `message ${serial} was stored before` });
  return faults;
}

/** When everything has calmed down. */
export function checkEnd({ world, qosOf, excused }: Life): Fault[] {
  const faults: Fault[] = [];
  const { ledger } = world.status;
  if (ledger.pending > 0) faults.push({ rule: "stuck", what: `${ledger.pending} pending: ${JSON.stringify(world.status)}` });
  const counts = new Map<number, number>();
  for (const broker of new Set(world.brokers.values())) {
    for (const serial of broker.delivered) counts.set(serial, (counts.get(serial) ?? 0) + 1);
  }
  // By the event, or, where the process died before it could tell, by the cache.
  const quarantined = new Set([
    ...world.eventsOf("quarantined").flatMap(({ ids }) => ids),
    ...world.publisher.quarantined(0, 1_000_000).map(({ id }) => id),
  ]);
  for (const serial of world.stored) {
    const count = counts.get(serial) ?? 0;
    const qos = qosOf.get(serial)!;
    const isExcused = excused.has(serial) || quarantined.has(serial % 1_000_000) || world.mayBeLost.has(serial);
    if (count === 0 && qos > 0 && !isExcused) {
      faults.push({ rule: "lost", what: `message ${serial} of QoS ${qos} was stored and never delivered` });
    }
    if (count > 1 && (qos === 0 || (qos === 2 && !world.watch.sentAtQos1.has(serial) && !world.mayDuplicate.has(serial)))) {
      faults.push({ rule: "duplicate", what: `message ${serial} of QoS ${qos} was handed on ${count} times` });
    }
  }
  for (const [serial, { isStored }] of world.refused) {
    if (isStored === false && counts.has(serial) && !world.stored.has(serial)) {
      faults.push({ rule: "refused-delivered", what: `message ${serial} was refused and handed on` });
    }
  }
  return faults;
}
