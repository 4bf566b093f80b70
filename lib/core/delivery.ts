/**
 * Everything between the outbox and the broker: which exchanges are open, what acknowledgements decide, what may leave next. It decides and
 * remembers; the publisher commits what it decided, and only then does it let anything go.
 *
 * @module
 */
import { assert } from "./assert.ts";
import { Lanes } from "./lanes.ts";
import type { Link, SessionFacts } from "./link.ts";
import type { MessageId, StoredMessage } from "./message.ts";
import { emptyPlan, makePlan, type Plan, type Window, windowFor } from "./plan.ts";
import type { Disconnection, Moment, Outbox, ServerInfo, SessionOwner, Transport } from "./ports.ts";
import { ProgressWatch } from "./progress_watch.ts";
import { Refusals } from "./refusals.ts";
import type { PublisherEvent, PublisherOptions } from "./report.ts";
import { Session } from "./session.ts";
import { type Acknowledgement, settle } from "./settle.ts";
import { Work } from "./work.ts";

/** What a delivery stands on. */
export interface DeliveryPorts {
  readonly outbox: Outbox;
  readonly transport: Transport;
  readonly link: Link;
  /** The broker has taken a message over for good. */
  readonly onDelivered: (id: MessageId) => void;
  readonly onEvent: (event: PublisherEvent) => void;
}

/** See the module's first lines. */
export class Delivery {
  readonly #outbox: Outbox;
  readonly #transport: Transport;
  readonly #link: Link;
  readonly #onDelivered: (id: MessageId) => void;
  readonly #onEvent: (event: PublisherEvent) => void;
  readonly #options: PublisherOptions;
  readonly #refusals = new Refusals();
  readonly #progress: ProgressWatch;
  #session: Session;
  #lanes: Lanes;
  #work = new Work();
  /** As on disk after the last commit: known even while the outbox is out of order. */
  #owner: SessionOwner;
  #window: Window = { count: 0, qos2Count: 0 };
  /** When this tick began, the broker owed us nothing. */
  #wasIdle = true;
  #waitingFor: string | undefined;
  #downgradedCount = 0;
  #propertiesDroppedCount = 0;

  /** Takes over what the outbox says is in flight. */
  constructor(ports: DeliveryPorts, options: PublisherOptions) {
    this.#outbox = ports.outbox;
    this.#transport = ports.transport;
    this.#link = ports.link;
    this.#onDelivered = ports.onDelivered;
    this.#onEvent = ports.onEvent;
    this.#options = options;
    this.#progress = new ProgressWatch(ports.transport, options.ackTimeoutMs);
    const flights = this.#outbox.flights();
    this.#session = new Session(flights, this.#outbox.packetIdCursor());
    this.#lanes = new Lanes(this.#outbox, flights.filter(({ stage }) => stage === "requeued"));
    this.#owner = this.#outbox.session();
  }

  /** What is decided and not on disk yet. */
  get work(): Work {
    return this.#work;
  }

  /** What the link needs to know before it connects. */
  get facts(): SessionFacts {
    return { owner: this.#work.owner ?? this.#owner, hasInFlight: this.#session.openCount > 0 };
  }

  // ------------------------------------------------------------------------------------------------- heard from the broker

  /** CONNACK. `isStoreBroken`: nothing can be marked, so nothing can be sent. */
  connected(server: ServerInfo, isStoreBroken: boolean, nowMs: number): void {
    const verdict = this.#link.onConnected(server, this.facts);
    if (verdict === "unusable" || isStoreBroken) {
      // The broker has said that our session is gone, and has begun another: it will not say so again.
      if (!server.sessionPresent && this.#owner.state === "established") this.#work.owner = { state: "none" };
      return this.abort("the cache cannot be written", "client");
    }
    this.#window = windowFor(this.#options.inFlightMax, server);
    this.#progress.restart(nowMs);
    if (verdict === "new") {
      this.#loseSession({ state: "established", broker: this.#link.sessionName });
      this.#session.start();
    } else if (this.#session.exceedsQos(server.maximumQoS)) {
      this.#discardSession(`the broker now takes QoS ${server.maximumQoS} at most`);
    } else this.#session.resume();
  }

  disconnected(cause: Disconnection): void {
    this.#session.disconnect();
    this.#link.onDisconnected(cause, this.facts);
  }

  acknowledged(acknowledgement: Acknowledgement, nowMs: number): void {
    if (!this.#session.isLive) return; // of a connection that was given up
    this.#progress.restart(nowMs);
    const violation = settle(acknowledgement, {
      session: this.#session,
      work: this.#work,
      refusals: this.#refusals,
      nowMs,
      onDelivered: this.#onDelivered,
    });
    if (violation !== undefined) this.abort(violation, "protocol");
  }

  /** Gives up a peer that makes no progress, and brings back what was denied a while ago. */
  advance(nowMs: number): void {
    this.#wasIdle = this.#progress.dueAtMs(this.#session.onWireCount) === Infinity;
    if (this.#link.server !== undefined && this.#progress.isOver(nowMs, this.#session.onWireCount)) {
      this.abort(`no progress for ${this.#options.ackTimeoutMs} ms`, "timeout");
    }
    if (nowMs >= this.#refusals.deniedRetryAtMs) this.#lanes.requeue(this.#refusals.retryDenied());
  }

  /** Closes without DISCONNECT, to connect again later. */
  abort(reason: string, by: Disconnection["by"]): void {
    this.#session.disconnect();
    this.#link.abort(reason, by);
  }

  /** Every exchange ends in one commit, before any PUBLISH; what was unfinished goes again as new, in the order it was sent. */
  #loseSession(owner: SessionOwner): void {
    const wasEstablished = (this.#work.owner ?? this.#owner).state === "established";
    const unfinished = this.#session.lose();
    const refused = this.#work.requeued.filter(({ isDenied }) => !isDenied).map(({ exchange, attempts }) => ({ ...exchange, attempts }));
    this.#lanes.requeue([...unfinished, ...refused]);
    this.#refusals.beginSession();
    this.#work.loseSession();
    this.#work.owner = owner;
    if (!wasEstablished && unfinished.length === 0) return;
    // What was at QoS 2 and is sent again as new may arrive twice; at QoS 1 it may in any case.
    const duplicatesPossibleCount = unfinished.filter(({ qos }) => qos === 2).length;
    this.#onEvent({ type: "sessionlost", requeuedCount: unfinished.length, duplicatesPossibleCount });
  }

  /** The session cannot go on: the next connect begins a new one. */
  #discardSession(reason: string): void {
    this.#work.owner = { state: "none" };
    this.abort(reason, "client");
  }

  // ------------------------------------------------------------------------------------------------------ sent to the broker

  /** What may leave once it is on disk. */
  plan(arrived: readonly StoredMessage[], nowMs: number, now: Moment): Plan {
    const { server } = this.#link;
    this.#waitingFor = undefined;
    if (server === undefined) return emptyPlan();
    const plan = makePlan({
      server,
      window: this.#window,
      session: this.#session,
      lanes: this.#lanes,
      refusals: this.#refusals,
      outbox: this.#outbox,
      arrived,
      fallbacks: this.#options,
      bufferedBytes: this.#transport.bufferedBytes(),
      nowMs,
      now,
    });
    this.#waitingFor = plan.waitingFor;
    if (plan.sessionMisfit === undefined) return plan;
    this.#discardSession(plan.sessionMisfit);
    return emptyPlan();
  }

  /** The disk has it: the picture in memory follows. Is there more to do at once? */
  committed(plan: Plan, arrived: readonly StoredMessage[]): boolean {
    this.#owner = this.#outbox.session();
    const work = this.#work;
    this.#work = new Work();
    this.#session.free(work.freed);
    this.#lanes.take(plan.taken, arrived); // before anything else joins them
    for (const exchange of work.received) this.#session.marked(exchange);
    for (const { exchange, attempts, isDenied } of work.requeued) {
      // What was denied waits with the refusals.
      if (!isDenied) this.#lanes.requeue([{ id: exchange.id, sendNumber: exchange.sendNumber, attempts }]);
    }
    for (const { id, packetId, qos, sendNumber, attempts } of plan.openings) this.#session.open(id, packetId, qos, sendNumber, attempts);
    return work.requeued.length > 0;
  }

  /** Lets go what is on disk: PUBRELs, repeats, new PUBLISHes. */
  transmit(plan: Plan, nowMs: number): void {
    const releases = this.#session.toRelease.map(({ packetId }) => packetId);
    if (releases.length === 0 && plan.packets.length === 0) return;
    this.#session.release();
    this.#session.resend(plan.resentCount);
    if (this.#wasIdle) this.#progress.restart(nowMs);
    assert(
      this.#session.onWireCount <= this.#window.count || plan.openings.length + plan.resentCount === 0,
      "the window is never exceeded",
    );
    if (releases.length > 0) this.#transport.release(releases);
    if (plan.packets.length > 0) this.#transport.publish(plan.packets);
    for (const id of plan.handedOver) this.#onDelivered(id);
    this.#downgradedCount += plan.downgradedCount;
    this.#propertiesDroppedCount += plan.propertiesDroppedCount;
  }

  /** Messages were put back or taken out beside the loop. */
  outboxChanged(): void {
    this.#lanes.reset();
  }

  /** The outbox was opened anew: everything is read again, as after a restart. What is known to be delivered is removed before. */
  reload(at: Moment): void {
    const settled = this.#work.delivered.filter((id) => this.#outbox.fateOf(id) === "pending");
    if (settled.length > 0) this.#outbox.commit({ at, removed: settled.map((id) => ({ id, fate: "delivered" })) });
    const flights = this.#outbox.flights();
    this.#session = new Session(flights, this.#outbox.packetIdCursor());
    this.#lanes = new Lanes(this.#outbox, flights.filter(({ stage }) => stage === "requeued"));
    this.#refusals.retryDenied(); // they are among the requeued again
    const mustDiscard = this.#work.isSessionLost || this.#work.owner?.state === "none";
    this.#work = new Work();
    if (mustDiscard) this.#work.owner = { state: "none" };
    this.#owner = this.#outbox.session();
  }

  /** When `advance()` or `plan()` has something to do without being told. */
  wakeAtMs(nowMs: number): number {
    const deniedAtMs = this.#refusals.deniedRetryAtMs;
    if (this.#link.server === undefined) return deniedAtMs;
    const retryAtMs = this.#refusals.retryAtMs > nowMs ? this.#refusals.retryAtMs : Infinity;
    return Math.min(deniedAtMs, retryAtMs, this.#progress.dueAtMs(this.#session.onWireCount));
  }

  /** Its part of the status. */
  status() {
    return {
      inFlightCount: this.#session.openCount,
      inFlightMax: this.#link.server === undefined ? 0 : this.#window.count,
      ...(this.#waitingFor === undefined ? {} : { waitingFor: this.#waitingFor }),
      propertiesDroppedCount: this.#propertiesDroppedCount,
      downgradedCount: this.#downgradedCount,
    };
  }
}
