/**
 * Faults that somebody could make: one line each, and the promise that it breaks. A simulation that does not notice them proves nothing.
 */
import type { Patch } from "./mutation.ts";
import type { Rule } from "./oracle.ts";

export interface Mutant extends Patch {
  readonly name: string;
  /** The rule that must catch it. */
  readonly rule: Rule;
}

export const MUTANTS: readonly Mutant[] = [
  {
    name: "the packet id is not durable before PUBLISH leaves",
    rule: "duplicate",
    file: "core/publisher.ts",
    find: "sent: plan.openings,",
    replace: "sent: [],",
  },
  {
    name: "the PUBREC mark is not durable before PUBREL leaves",
    rule: "publish-after-release",
    file: "core/work.ts",
    find: "received: this.received.map(({ id, receivedNumber }) => ({ id, receivedNumber })),",
    replace: "received: [],",
  },
  {
    name: "a message is removed at PUBREC",
    rule: "lost",
    file: "core/settle.ts",
    find: "session.receive(exchange);\n      into.work.received.push(exchange);",
    replace: "complete(exchange, into);",
  },
  {
    name: "PUBLISH is repeated after PUBREL",
    rule: "publish-after-release",
    file: "core/session.ts",
    find: 'this.#toResend = open.filter((exchange) => exchange.stage === "sent")',
    replace: "this.#toResend = open.slice()",
  },
  { name: "a repeat goes without DUP", rule: "dup", file: "core/plan.ts", find: "dup: true", replace: "dup: false" },
  {
    name: "repeats go in reverse",
    rule: "repeat-order",
    file: "core/session.ts",
    find: 'exchange.stage === "sent").sort((a, b) => a.sendNumber - b.sendNumber)',
    replace: 'exchange.stage === "sent").sort((a, b) => b.sendNumber - a.sendNumber)',
  },
  {
    name: "PUBRELs go in reverse",
    rule: "release-order",
    file: "core/session.ts",
    find: "a.receivedNumber - b.receivedNumber",
    replace: "b.receivedNumber - a.receivedNumber",
  },
  {
    name: "a message is reported stored before the commit",
    rule: "lost",
    file: "core/publisher.ts",
    find: "if (message.id >= nextId) fresh.push(",
    replace: "if (message.id >= nextId) this.#reports.stored(message.id), fresh.push(",
  },
  {
    name: "session present is taken for granted",
    rule: "lost",
    file: "core/link.ts",
    find: 'return info.sessionPresent ? "resumed" : "new";',
    replace: 'return isSessionNew ? "new" : "resumed";',
  },
  {
    name: "session present is ignored",
    rule: "duplicate",
    file: "core/link.ts",
    find: 'return info.sessionPresent ? "resumed" : "new";',
    replace: 'return "new";',
  },
  {
    name: "Receive Maximum is ignored",
    rule: "window",
    file: "core/plan.ts",
    find: "const count = Math.min(asked, server.receiveMaximum);",
    replace: "const count = asked;",
  },
  {
    name: "what is resent does not fill the window",
    rule: "window",
    file: "core/session.ts",
    find: "exchange.wasResent = true;\n      this.#putOnWire(exchange);",
    replace: "exchange.wasResent = exchange.isOnWire = true;",
  },
  {
    name: "a repeat goes again on the live connection",
    rule: "live-resend",
    file: "core/session.ts",
    find: "this.#toResend.splice(0, count)",
    replace: "this.#toResend.slice(0, count)",
  },
  {
    name: "a packet id is free before its row is gone",
    rule: "live-resend",
    file: "core/session.ts",
    find: "if (!this.#exchanges.has(packetId) && !this.#retired.has(packetId)) return packetId;",
    replace: 'if (this.#exchanges.get(packetId)?.stage !== "sent" && !this.#retired.has(packetId)) return packetId;',
  },
  {
    name: "Clean Start is forgotten",
    rule: "lost",
    file: "core/link.ts",
    find: 'cleanStart: purpose === "discard",',
    replace: "cleanStart: false,",
  },
  {
    name: "the second connect, which keeps the session, is left out",
    rule: "stuck",
    file: "core/link.ts",
    find: 'if (state.then === "use" && cause.by === "client") return this.#start(facts, state.version);',
    replace: 'if (state.then === "use" && cause.by === "client") return this.#start(facts);',
  },
  {
    name: "packet ids are not freed when the session is lost",
    rule: "lost",
    file: "core/work.ts",
    find: "freePacketIds: this.isSessionLost,",
    replace: "freePacketIds: false,",
  },
  {
    name: "a MessageId is given out again after a restart",
    rule: "id-reused",
    file: "core/publisher.ts",
    find: "return Math.max(this.#outbox.nextMessageId(), this.#arrivals.lastId + 1);",
    replace: "return Math.max(this.#lastDeliveredId + 1, this.#arrivals.lastId + 1);",
  },
  {
    name: "a QoS 0 message is written before it is removed",
    rule: "duplicate",
    file: "core/publisher.ts",
    find: '...plan.handedOver.map((id) => ({ id, fate: "delivered" as const })),',
    replace: "",
  },
  {
    name: "packets leave although the commit failed",
    rule: "duplicate",
    file: "core/publisher.ts",
    find: "if (this.#commit(plan, arrived, nowMs)) this.#delivery.transmit(plan, nowMs);",
    replace: "this.#delivery.transmit(plan, nowMs);\n      this.#commit(plan, arrived, nowMs);",
  },
  {
    name: "a refused PUBACK counts as delivered",
    rule: "lost",
    file: "core/settle.ts",
    find: "if (ack.reasonCode >= FIRST_ERROR_CODE) refuse(exchange, ack.reasonCode, into);\n      else complete(exchange, into);",
    replace: "complete(exchange, into);",
  },
  {
    name: "a refused message is forgotten",
    rule: "stuck",
    file: "core/settle.ts",
    find: "work.requeued.push({ exchange, attempts, isDenied });",
    replace: "",
  },
  {
    name: "packet id in use on a first sending is taken for a repeat",
    rule: "lost",
    file: "core/settle.ts",
    find: "!(exchange.wasResent && refusalOf(ack.reasonCode)",
    replace: "!(refusalOf(ack.reasonCode)",
  },
  {
    name: "arrivals overtake the backlog",
    rule: "first-order",
    file: "core/lanes.ts",
    find: "const message = this.#page[taken.queued] ?? arrived[taken.arrived];",
    replace: "const message = arrived[taken.arrived] ?? this.#page[taken.queued];",
  },
  {
    name: "what the broker said about the session is forgotten while the disk is in trouble",
    rule: "lost",
    file: "core/delivery.ts",
    find: 'if (mustDiscard) this.#work.owner = { state: "none" };',
    replace: "void mustDiscard;",
  },
];

/** The same of the store, run over the real outbox. */
export const STORE_MUTANTS: readonly Mutant[] = [
  {
    name: "the PUBREC mark does not reach the disk",
    rule: "publish-after-release",
    file: "store/flight_table.ts",
    find: 'receive: "UPDATE flight SET stage = 1,',
    replace: 'receive: "UPDATE flight SET stage = 0,',
  },
  {
    name: "the packet id does not reach the disk",
    rule: "duplicate",
    file: "store/flight_table.ts",
    find: "send_number = excluded.send_number, received_number = 0`,",
    replace: "send_number = excluded.send_number, received_number = 0 WHERE false`.replace('?5, 0, ?3', '?5, 2, ?3'),",
  },
  {
    name: "the next MessageId is forgotten",
    rule: "id-reused",
    file: "store/batch.ts",
    find: "state.nextMessageId = id + 1;",
    replace: "state.nextMessageId = state.lastDeliveredId + 1;",
  },
];
