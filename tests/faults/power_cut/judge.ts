/**
 * Compares what a cache holds after a power cut with what the world knows of it.
 *
 * @module
 */
import type { MessageId } from "../../../lib/core/message.ts";
import type { Account } from "./account.ts";
import type { Finding } from "./inspect.ts";
import { qosOf } from "./messages.ts";

/** A promise that was broken. */
export interface Breach {
  readonly rule:
    /** The cache is refused, or cannot be read. */
    | "unopenable"
    /** A message is not what was published. */
    | "altered"
    /** An acknowledged message is neither there nor with the broker. */
    | "lost"
    /** What left had no mark on the disk, or a mark is on the disk that nothing led to. */
    | "unmarked"
    /** The ledger does not say what there is. */
    | "miscounted"
    /** An id may be given out a second time. */
    | "reusable"
    /** A message of QoS 0 left, and would leave again. */
    | "repeated"
    /** The cache does not know any more which cache it is, or whose session it has. */
    | "disowned";
  readonly what: string;
}

/** What is known of a recording as a whole. */
export interface Background {
  /** Every message that was published in this recording, or pending before it, by its id. */
  readonly numbers: ReadonlyMap<MessageId, number>;
  /** The first id that is given out in it. */
  readonly firstId: MessageId;
  readonly cacheIdentity: string;
  /** May a message of QoS 0 have been removed, by a commit whose PUBLISH follows at once? */
  readonly isLeaving: (number: number) => boolean;
}

/** All breaches. */
export function judge(found: Finding, account: Account, { numbers, firstId, cacheIdentity, isLeaving }: Background): Breach[] {
  const breaches: Breach[] = [];
  const require = (holds: boolean, rule: Breach["rule"], what: () => string) => {
    if (!holds) breaches.push({ rule, what: what() });
  };
  const pending = new Map(found.pending.map((message) => [message.number, message]));
  const flights = new Map(found.flights.map((flight) => [flight.number, flight]));

  const isOver = (number: number) => account.finished.has(number) || account.handedOver.has(number) || isLeaving(number);
  for (const [number, id] of account.acknowledged) {
    require(pending.has(number) || isOver(number), "lost", () => `message ${number}, acknowledged as ${id}, is gone`);
  }
  for (const { number, id, qos } of found.pending) {
    require(numbers.get(id) === number && qos === qosOf(number), "altered", () => `message ${number} stands under id ${id} at QoS ${qos}`);
    require(!account.handedOver.has(number), "repeated", () => `message ${number}, of QoS 0, was written and is still there`);
  }
  for (let id = firstId; id < found.nextMessageId; id++) {
    const number = numbers.get(id)!;
    require(pending.has(number) || isOver(number), "lost", () => `message ${number}, stored as ${id}, is gone`);
  }

  const { ledger } = found;
  const bytes = found.pending.reduce((sum, message) => sum + message.bytes, 0);
  require(
    ledger.pending === found.pending.length && ledger.pendingBytes === bytes && ledger.accepted === found.nextMessageId - 1 &&
      ledger.accepted === ledger.delivered + ledger.pending,
    "miscounted",
    () => `${found.pending.length} messages with ${bytes} bytes below id ${found.nextMessageId}, the ledger says ${JSON.stringify(ledger)}`,
  );

  const idMax = Math.max(0, ...account.acknowledged.values());
  require(found.nextMessageId > idMax, "reusable", () => `the next id is ${found.nextMessageId}, ${idMax} was given out`);
  require(
    found.packetIdCursor >= account.lastPacketId,
    "reusable",
    () => `the packet id cursor is at ${found.packetIdCursor}, ${account.lastPacketId} was used`,
  );

  for (const [packetId, { number, qos, isReleased }] of account.open) {
    const flight = flights.get(number);
    require(
      flight !== undefined && flight.packetId === packetId && flight.qos === qos && flight.stage !== "requeued" &&
        (!isReleased || flight.stage === "received"),
      "unmarked",
      () => `message ${number} has left as ${packetId}${isReleased ? " and was released" : ""}, the disk says ${JSON.stringify(flight)}`,
    );
  }
  for (const { number, stage, packetId } of found.flights) {
    const isReceived = account.open.get(packetId)?.isReceived === true || account.finished.has(number) || account.lapsed.has(number);
    require(stage !== "received" || isReceived, "unmarked", () => `message ${number} is marked received, and never was`);
  }
  const inOrder = [...account.open.values()].map(({ number }) => number);
  const openNumbers = new Set(inOrder);
  const foundOrder = found.flights.map(({ number }) => number).filter((number) => openNumbers.has(number));
  require(`${foundOrder}` === `${inOrder}`, "unmarked", () => `sent in the order ${inOrder}, on the disk it is ${foundOrder}`);
  const receivedNumbers = account.released.flatMap((packetId) => {
    const exchange = account.open.get(packetId);
    return exchange === undefined ? [] : [flights.get(exchange.number)?.receivedNumber ?? 0];
  });
  const isReleaseInOrder = receivedNumbers.every((number, i) => i === 0 || number > receivedNumbers[i - 1]!);
  require(isReleaseInOrder, "unmarked", () => `PUBRELs left in the order ${account.released}, on the disk it is ${receivedNumbers}`);

  require(
    found.session.state === "established" || !account.isSessionInUse,
    "disowned",
    () => `a PUBLISH has left, and the session is nobody's (${found.warnings.join("; ")})`,
  );
  require(!account.isCacheKnown || found.cacheIdentity === cacheIdentity, "disowned", () => "the cache has another identity");
  return breaches;
}
