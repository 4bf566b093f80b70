/**
 * What an acknowledgement means: turns PUBACK, PUBREC and PUBCOMP into work for the next commit.
 *
 * @module
 */
import type { MessageId } from "./message.ts";
import { FIRST_ERROR_CODE, refusalOf, refusalReason } from "./reason_codes.ts";
import { ATTEMPTS_MAX, type Refusals } from "./refusals.ts";
import type { Exchange, Session } from "./session.ts";
import type { Work } from "./work.ts";

/** One acknowledgement. */
export interface Acknowledgement {
  readonly packet: "PUBACK" | "PUBREC" | "PUBCOMP";
  readonly packetId: number;
  readonly reasonCode: number;
}

/** Where it takes effect. */
export interface Settling {
  readonly session: Session;
  readonly work: Work;
  readonly refusals: Refusals;
  readonly nowMs: number;
  /** Taken over by the broker for good. */
  readonly onDelivered: (id: MessageId) => void;
}

/** Takes one acknowledgement to heart. A sentence comes back if it breaks the protocol. */
export function settle(ack: Acknowledgement, into: Settling): string | undefined {
  const { session } = into;
  const exchange = session.find(ack.packetId);
  // An id that we do not know is a late word about something that is over; MQTT.js ignores it as well.
  if (exchange === undefined) return undefined;
  const violation = `the broker sent ${ack.packet} for packet id ${ack.packetId}, which is QoS ${exchange.qos} and ${exchange.stage}`;
  if (!exchange.isOnWire) return violation;
  switch (ack.packet) {
    case "PUBACK":
      if (exchange.qos !== 1) return violation;
      if (ack.reasonCode >= FIRST_ERROR_CODE) refuse(exchange, ack.reasonCode, into);
      else complete(exchange, into);
      return undefined;
    case "PUBREC":
      if (exchange.qos !== 2) return violation;
      if (exchange.stage === "receiving") return undefined; // said again; PUBREL waits for the mark
      if (exchange.stage === "received") {
        session.releaseAgain(exchange);
        return undefined;
      }
      // "In use" about a repeat says that the broker has the message.
      if (ack.reasonCode >= FIRST_ERROR_CODE && !(exchange.wasResent && refusalOf(ack.reasonCode) === "idInUse")) {
        refuse(exchange, ack.reasonCode, into);
        return undefined;
      }
      accept(exchange, into);
      session.receive(exchange);
      into.work.received.push(exchange);
      return undefined;
    case "PUBCOMP":
      // Whatever the code: a broker that lost the message says the same as one that delivered it; Session Present decides, never PUBCOMP.
      if (exchange.stage !== "received") return violation;
      complete(exchange, into);
      return undefined;
  }
}

function complete(exchange: Exchange, into: Settling): void {
  accept(exchange, into);
  into.session.finish(exchange);
  into.work.deliver(exchange, into.nowMs);
  into.onDelivered(exchange.id);
}

function accept(exchange: Exchange, { refusals, work }: Settling): void {
  for (const { id, attempts } of refusals.accept(exchange.sendNumber)) {
    work.quarantined.push({ id, reason: refusalReason(0x87), reasonCode: 0x87, attempts });
  }
}

function refuse(exchange: Exchange, reasonCode: number, { session, work, refusals, nowMs }: Settling): void {
  const refusal = refusalOf(reasonCode);
  const attempts = exchange.attempts + (refusal === "busy" || refusal === "idInUse" ? 0 : 1);
  session.finish(exchange);
  work.freed.push(exchange.packetId);
  const isDenied = refusal === "denied" && refusals.deny({ id: exchange.id, sendNumber: exchange.sendNumber, attempts }, nowMs);
  const isItsFault = refusal === "quarantine" || (refusal === "denied" && !isDenied) || (refusal === "retry" && attempts >= ATTEMPTS_MAX);
  if (isItsFault) {
    work.quarantined.push({ id: exchange.id, reason: refusalReason(reasonCode), reasonCode, attempts });
    return;
  }
  if (refusal === "idInUse") {
    // The broker's session holds something that ours does not know: this id is of no use until that session is discarded.
    session.retire(exchange.packetId);
    work.owner = { state: "none" };
  }
  if (refusal === "retry" || refusal === "busy") refusals.postpone(nowMs);
  work.requeued.push({ exchange, attempts, isDenied });
}
