/**
 * Chooses what leaves in this tick: what fits the window, the broker's limits and the transport's buffer. Choosing changes nothing; the
 * publisher commits the plan, and only then do session and lanes follow it.
 *
 * @module
 */
import type { Candidate, Lanes, Taken } from "./lanes.ts";
import type { MessageId, PacketId, QoS, StoredMessage } from "./message.ts";
import type { Moment, Outbox, PublishPacket, ServerInfo } from "./ports.ts";
import { DENIED_MAX, type Refusals } from "./refusals.ts";
import { type Fallbacks, fitToServer } from "./server_limits.ts";
import type { Session } from "./session.ts";
import type { ToQuarantine } from "./work.ts";

/** Packets of one tick at most; more follow in the next. */
export const SENDS_PER_TICK_MAX = 1_000;
/** What may lie between us and the operating system, but for a single message that is larger. */
export const BUFFERED_BYTES_MAX = 1 << 20;
/** What mosquitto takes of QoS 2 on 3.1.1 unless it is told otherwise; what goes beyond it acknowledges and discards. */
export const QOS2_WINDOW_MAX_ON_3_1_1 = 20;
/** The widest window that is taken unasked. */
export const AUTO_WINDOW_MAX = 1_000;

/** How many exchanges a connection may carry. */
export interface Window {
  readonly count: number;
  readonly qos2Count: number;
}

/** The window that options and broker allow. */
export function windowFor(inFlightMax: "auto" | number, server: ServerInfo): Window {
  const asked = inFlightMax === "auto" ? AUTO_WINDOW_MAX : inFlightMax;
  if (server.protocolVersion === 5) {
    const count = Math.min(asked, server.receiveMaximum);
    return { count, qos2Count: count };
  }
  // A number is the user's word that this broker takes so many.
  return { count: asked, qos2Count: inFlightMax === "auto" ? QOS2_WINDOW_MAX_ON_3_1_1 : asked };
}

/** A message about to be sent for the first time under a new packet id. */
export interface Opening {
  readonly id: MessageId;
  readonly packetId: PacketId;
  readonly sendNumber: number;
  readonly qos: QoS;
  readonly attempts: number;
}

/** What leaves, and what has to be on disk before. */
export interface Plan {
  readonly packets: PublishPacket[];
  readonly taken: Taken;
  /** QoS 1 and 2: marked sent. */
  readonly openings: Opening[];
  /** How many of the session's `toResend` are among the packets. */
  resentCount: number;
  /** QoS 0: removed before they are written. */
  readonly handedOver: MessageId[];
  readonly expired: MessageId[];
  readonly quarantined: ToQuarantine[];
  downgradedCount: number;
  propertiesDroppedCount: number;
  /** Why the next message does not go, if it is not for want of room. */
  waitingFor: string | undefined;
  /** Why the session cannot go on as it is: the broker now allows less than what is in flight needs. */
  sessionMisfit: string | undefined;
  /** It ended because a tick has an end; there may be more to do. */
  isCutShort: boolean;
  /** It ended because every packet id is held, some perhaps only until the commit that ends their exchanges. */
  isOutOfPacketIds: boolean;
}

/** What a plan is made from. */
export interface PlanInput {
  readonly server: ServerInfo;
  readonly window: Window;
  readonly session: Session;
  readonly lanes: Lanes;
  readonly refusals: Refusals;
  readonly outbox: Outbox;
  readonly arrived: readonly StoredMessage[];
  readonly fallbacks: Fallbacks;
  readonly bufferedBytes: number;
  readonly nowMs: number;
  readonly now: Moment;
}

/** A plan that does nothing. */
export function emptyPlan(): Plan {
  return {
    packets: [],
    taken: { requeued: 0, queued: 0, arrived: 0 },
    openings: [],
    resentCount: 0,
    handedOver: [],
    expired: [],
    quarantined: [],
    downgradedCount: 0,
    propertiesDroppedCount: 0,
    waitingFor: undefined,
    sessionMisfit: undefined,
    isCutShort: false,
    isOutOfPacketIds: false,
  };
}

/** For a connection that is online. */
export function makePlan(input: PlanInput): Plan {
  const plan = emptyPlan();
  const room = new Room(input);
  planResends(plan, room, input);
  // Nothing new before everything unfinished is on this connection again.
  if (plan.resentCount === input.session.toResend.length) planNew(plan, room, input);
  plan.isCutShort = room.isTickSpent;
  return plan;
}

/** What is left of the window, the buffer and this tick. */
class Room {
  #count: number;
  #qos2Count: number;
  #bytes: number;
  #packets = SENDS_PER_TICK_MAX;

  constructor({ window, session, bufferedBytes }: PlanInput) {
    this.#count = window.count - session.onWireCount;
    this.#qos2Count = window.qos2Count - session.onWireQos2Count;
    this.#bytes = BUFFERED_BYTES_MAX - bufferedBytes;
  }

  get isTickSpent(): boolean {
    return this.#packets <= 0;
  }

  has(qos: QoS): boolean {
    if (this.#packets <= 0 || this.#bytes <= 0) return false;
    return qos === 0 || (this.#count > 0 && (qos === 1 || this.#qos2Count > 0));
  }

  /** A message looked at and not sent costs a little too. */
  skip(): void {
    this.#packets--;
  }

  use(packet: PublishPacket): void {
    this.#packets--;
    this.#bytes -= packet.payload.length + packet.topic.length;
    if (packet.qos > 0) this.#count--;
    if (packet.qos === 2) this.#qos2Count--;
  }
}

function planResends(plan: Plan, room: Room, { session, outbox, server, fallbacks, now }: PlanInput): void {
  for (const exchange of session.toResend) {
    if (!room.has(exchange.qos)) return;
    const [message] = outbox.read([exchange.id]);
    if (message === undefined) throw new Error(`Cannot resend message ${exchange.id}: it is not in the outbox`);
    const fit = fitToServer({ ...message, qos: exchange.qos }, server, fallbacks, now, true);
    if (fit.to !== "send") {
      plan.sessionMisfit = fit.to === "expired" ? "a message in flight expired" : fit.reason;
      return;
    }
    const packet = { ...fit.message, packetId: exchange.packetId, dup: true };
    plan.packets.push(packet);
    plan.resentCount++;
    room.use(packet);
  }
}

function planNew(plan: Plan, room: Room, input: PlanInput): void {
  const { session, lanes, refusals, arrived, server } = input;
  if (input.nowMs < refusals.retryAtMs) {
    plan.waitingFor = "the broker, which asked for time";
    return;
  }
  let cursor = session.cursor;
  let lastNumber = session.lastSendNumber;
  let lastOpened = session.lastOpenedNumber;
  // While messages are being denied, only a few more are tried.
  let tries = refusals.deniedCount === 0 ? Infinity : DENIED_MAX - refusals.deniedCount - session.onWireCount;
  for (;;) {
    if (tries <= 0) {
      plan.waitingFor = "permission: the broker says that this client may not publish";
      return;
    }
    if (!room.has(0)) return;
    const candidate = lanes.peek(plan.taken, arrived);
    if (candidate === undefined) return;
    const { message } = candidate;
    const fit = fitToServer(message, server, input.fallbacks, input.now, candidate.sendNumber !== undefined);
    if (fit.to === "hold") {
      plan.waitingFor = fit.reason;
      return;
    }
    if (fit.to === "send") {
      const { qos } = fit.message;
      if (!room.has(qos)) return;
      if (qos > 0 && plan.openings.length >= session.freePacketIdCount) {
        plan.isOutOfPacketIds = true;
        return;
      }
      const packetId = qos === 0 ? 0 : session.nextPacketId(cursor);
      const packet = { ...fit.message, packetId, dup: false };
      plan.packets.push(packet);
      room.use(packet);
      if (qos === 0) plan.handedOver.push(message.id);
      else {
        cursor = packetId;
        // What goes again keeps its place among the others that do, as long as nothing behind it was sent meanwhile.
        lastOpened = (candidate.sendNumber ?? 0) > lastOpened ? candidate.sendNumber! : ++lastNumber;
        plan.openings.push({ id: message.id, packetId, sendNumber: lastOpened, qos, attempts: candidate.attempts });
      }
      if (fit.isDowngraded) plan.downgradedCount++;
      if (fit.arePropertiesDropped) plan.propertiesDroppedCount++;
      tries--;
    } else {
      if (fit.to === "expired") plan.expired.push(message.id);
      else plan.quarantined.push({ id: message.id, reason: fit.reason, attempts: candidate.attempts });
      room.skip();
    }
    take(plan.taken, candidate, lanes, arrived);
  }
}

function take(taken: Taken, candidate: Candidate, lanes: Lanes, arrived: readonly StoredMessage[]): void {
  if (candidate.sendNumber !== undefined) taken.requeued++;
  else if (candidate.message === arrived[taken.arrived] && lanes.isArrived(taken)) taken.arrived++;
  else taken.queued++;
}
