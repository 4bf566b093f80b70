/**
 * The loop that takes messages from callers to the broker by way of the outbox. Invariants:
 *
 * - A message is reported stored only after the commit that holds it.
 * - Before a PUBLISH of QoS 1 or 2 leaves, its packet id is on disk; before a PUBREL leaves, its PUBREC is; before a PUBLISH of QoS 0 leaves, its
 *   row is gone.
 * - A row leaves the outbox only with a fate.
 * - First PUBLISHes leave in the order of their ids.
 * - What is on the wire never exceeds the window.
 *
 * Inputs only take note and wake. All work is done in `tick()`, in one commit; calling it early or twice does no harm.
 *
 * @module
 */
import { Arrivals } from "./arrivals.ts";
import { assert } from "./assert.ts";
import { KnownTime } from "./known_time.ts";
import { Lanes } from "./lanes.ts";
import { Link, type SessionFacts } from "./link.ts";
import type { MessageId, NumberedMessage, StoredMessage } from "./message.ts";
import { emptyPlan, makePlan, type Plan, type Window, windowFor } from "./plan.ts";
import {
  type Broker,
  type Clock,
  type Credentials,
  type Disconnection,
  type FateOf,
  type Ledger,
  type Outbox,
  type OutboxBatch,
  type QuarantinedMessage,
  type Random,
  type ServerInfo,
  type SessionOwner,
  StoreError,
  type Transport,
  type TransportListener,
} from "./ports.ts";
import { ProgressWatch } from "./progress_watch.ts";
import { Refusals } from "./refusals.ts";
import { ReportBuilder } from "./report_builder.ts";
import type { Failure, PublisherOptions, PublisherStatus, PublishRequest, TickReport } from "./report.ts";
import { Session } from "./session.ts";
import { type Acknowledgement, settle } from "./settle.ts";
import { Waits } from "./waits.ts";
import { Work } from "./work.ts";

/** Removals of delivered rows wait so long for a commit that has to be made anyway. */
export const REMOVAL_DELAY_MS = 50;
/** Or until there are so many. */
export const REMOVAL_COUNT_MAX = 1_000;
const STORE_RETRY_MS = { min: 250, max: 10_000 };
const STOP_TIMEOUT_MS = 5_000;
const OLDEST_REFRESH_MS = 1_000;

/** Who listens. None of these may call back into the publisher. */
export interface PublisherListener {
  /** `tick()` is due sooner than `wakeAtMs()` last said. */
  onWake(): void;
  /** At most once a tick, when there is something to say. */
  onReport(report: TickReport): void;
  /** `provideCredentials()` is waited for before connecting. */
  onCredentialsWanted(): void;
  /** After `stop()`: what was accepted is stored or refused, the connection and the outbox are closed. */
  onStopped(error?: Failure): void;
}

/** What the publisher is given. */
export interface PublisherPorts {
  readonly clock: Clock;
  readonly random: Random;
  readonly outbox: Outbox;
  readonly createTransport: (listener: TransportListener) => Transport;
  readonly listener: PublisherListener;
}

type TransportEvent =
  | { readonly type: "connected"; readonly server: ServerInfo }
  | { readonly type: "disconnected"; readonly cause: Disconnection }
  | ({ readonly type: "acknowledgement" } & Acknowledgement);

/** `broken`: the outcome of a commit is unknown, or the disk cannot be read; nothing is sent until the outbox is open again. */
type StoreState =
  | { readonly name: "good" }
  | { readonly name: "full"; readonly retryAtMs: number; readonly message: string }
  | { readonly name: "broken"; readonly retryAtMs: number; readonly message: string };

/** See the module's first lines. */
export class Publisher implements TransportListener {
  readonly #clock: Clock;
  readonly #outbox: Outbox;
  readonly #transport: Transport;
  readonly #listener: PublisherListener;
  readonly #options: PublisherOptions;
  readonly #link: Link;
  readonly #arrivals = new Arrivals();
  readonly #refusals = new Refusals();
  readonly #waits = new Waits();
  readonly #time: KnownTime;
  readonly #reports = new ReportBuilder();
  readonly #progress: ProgressWatch;
  /** When this tick began, the broker owed us nothing. */
  #wasIdle = true;
  #session: Session;
  #lanes: Lanes;
  /** As on disk after the last commit: known even while the outbox is out of order. */
  #owner: SessionOwner;
  #storedLedger: Ledger;
  /** Asked for and not yet looked up. */
  #toWatch: MessageId[] = [];
  #work = new Work();
  #inbox: TransportEvent[] = [];
  #store: StoreState = { name: "good" };
  #storeRetryCount = 0;
  #window: Window = { count: 0, qos2Count: 0 };
  #isAwake = false;
  #isReportDue = false;
  #lastDeliveredId: MessageId;
  #waitingFor: string | undefined;
  #downgradedCount = 0;
  #propertiesDroppedCount = 0;
  #oldest = { atMs: -Infinity, epochMs: undefined as number | undefined };
  #stopping: { readonly drainUntilMs: number; closeUntilMs: number } | undefined;
  #isStopped = false;

  /** Takes over an open outbox. Connects to nothing until `connect()`. */
  constructor(ports: PublisherPorts, options: PublisherOptions) {
    this.#clock = ports.clock;
    this.#outbox = ports.outbox;
    this.#listener = ports.listener;
    this.#options = options;
    this.#time = new KnownTime(ports.clock, ports.outbox.lastMoment());
    this.#transport = ports.createTransport(this);
    this.#progress = new ProgressWatch(this.#transport, options.ackTimeoutMs);
    this.#link = new Link({ ...ports, transport: this.#transport }, options, () => this.#listener.onCredentialsWanted());
    this.#session = new Session(this.#outbox.flights(), this.#outbox.packetIdCursor());
    this.#lanes = new Lanes(this.#outbox, this.#outbox.flights().filter(({ stage }) => stage === "requeued"));
    this.#owner = this.#outbox.session();
    this.#storedLedger = this.#outbox.ledger();
    this.#lastDeliveredId = this.#outbox.lastDeliveredId();
  }

  // ------------------------------------------------------------------------------------------------ told by the client

  /** Takes note; stored and reported at the next tick. Ids that are already known are answered, not stored twice. */
  accept(requests: readonly PublishRequest[]): void {
    this.#arrivals.push(requests);
    this.#wake();
  }

  /** The least id not given out, counting what was accepted and is not stored yet. */
  nextMessageId(): MessageId {
    return Math.max(this.#outbox.nextMessageId(), this.#arrivals.lastId + 1);
  }

  connect(broker: Broker, credentials?: Credentials): void {
    assert(this.#stopping === undefined, "nothing connects after stop()");
    this.#link.connect(broker, credentials);
    this.#changed();
  }

  disconnect(): void {
    this.#link.disconnect();
    this.#changed();
  }

  provideCredentials(credentials: Credentials | undefined, failure?: Failure): void {
    this.#link.provideCredentials(credentials, failure, this.#sessionFacts());
    this.#changed();
  }

  /** Reports the fates of these, at once where they are known. */
  watch(ids: readonly MessageId[]): void {
    this.#toWatch.push(...ids);
    this.#changed();
  }

  /** Reports when no message up to `throughId` is pending. */
  flush(flushId: number, throughId: MessageId): void {
    this.#waits.flush(flushId, throughId);
    this.#changed();
  }

  quarantined(afterId: MessageId, countMax: number): readonly QuarantinedMessage[] {
    return this.#outbox.readQuarantined(afterId, countMax);
  }

  /** Puts quarantined messages back into the queue. The ones put back. */
  requeue(ids: readonly MessageId[]): readonly MessageId[] {
    const requeued = this.#attempt(() => this.#outbox.requeueQuarantined(ids, this.#time.now()));
    this.#outboxChanged();
    return requeued;
  }

  /** Takes messages that were never sent, and quarantined ones, out for good. The ones taken out. */
  purge(ids: readonly MessageId[]): readonly MessageId[] {
    const purged = this.#attempt(() => this.#outbox.purge(ids, this.#time.now()));
    for (const id of purged) this.#waits.settle(id, "purged");
    this.#outboxChanged();
    return purged;
  }

  /** Stores what was accepted, goes on delivering for at most `drainMs`, disconnects, closes. */
  stop(drainMs: number): void {
    if (this.#stopping !== undefined) return;
    this.#stopping = { drainUntilMs: this.#clock.monotonicMs() + drainMs, closeUntilMs: Infinity };
    this.#changed();
  }

  // --------------------------------------------------------------------------------------------- told by the transport

  onConnected(server: ServerInfo): void {
    this.#note({ type: "connected", server });
  }

  onDisconnected(cause: Disconnection): void {
    this.#note({ type: "disconnected", cause });
  }

  onAcknowledged(packetId: number, reasonCode: number): void {
    this.#note({ type: "acknowledgement", packet: "PUBACK", packetId, reasonCode });
  }

  onReceived(packetId: number, reasonCode: number): void {
    this.#note({ type: "acknowledgement", packet: "PUBREC", packetId, reasonCode });
  }

  onCompleted(packetId: number, reasonCode: number): void {
    this.#note({ type: "acknowledgement", packet: "PUBCOMP", packetId, reasonCode });
  }

  onDrained(): void {
    this.#wake();
  }

  // ------------------------------------------------------------------------------------------------------------- the loop

  /** Does all that is due. */
  tick(): void {
    this.#isAwake = false;
    if (this.#isStopped) return;
    const nowMs = this.#clock.monotonicMs();
    let arrived: readonly StoredMessage[] = [];
    try {
      this.#mendStore(nowMs);
      this.#takeInbox(nowMs);
      this.#watchProgress(nowMs);
      this.#link.advance(this.#sessionFacts());
      this.#retryDenied(nowMs);
      arrived = this.#takeArrivals();
      const plan = this.#plan(arrived, nowMs);
      if (this.#commit(plan, arrived, nowMs)) this.#transmit(plan);
      this.#lookUpWatched();
      this.#lookUpFlushed();
      this.#lookUpOldest();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      this.#storeFailed(error, arrived, nowMs);
    }
    this.#advanceStop(nowMs);
    this.#report();
  }

  /** When `tick()` next has work, on the monotonic clock; Infinity if only an event can bring any. */
  wakeAtMs(): number {
    if (this.#isStopped) return Infinity;
    if (this.#isAwake) return -Infinity;
    let atMs = Math.min(this.#link.wakeAtMs(), this.#refusals.deniedRetryAtMs);
    if (this.#store.name !== "good") atMs = Math.min(atMs, this.#store.retryAtMs);
    else if (!this.#work.isEmpty) atMs = Math.min(atMs, this.#work.deliveredSinceMs + REMOVAL_DELAY_MS);
    if (this.#link.server !== undefined && this.#refusals.retryAtMs > this.#clock.monotonicMs()) {
      atMs = Math.min(atMs, this.#refusals.retryAtMs);
    }
    if (this.#link.server !== undefined) atMs = Math.min(atMs, this.#progress.dueAtMs(this.#session.onWireCount));
    if (this.#stopping === undefined) return atMs;
    return Math.min(atMs, this.#stopping.closeUntilMs === Infinity ? this.#stopping.drainUntilMs : this.#stopping.closeUntilMs);
  }

  status(): PublisherStatus {
    const { broker } = this.#link;
    return {
      connection: this.#isStopped ? { state: "stopped", sinceEpochMs: this.#time.now().epochMs } : this.#link.status(),
      ...(broker === undefined ? {} : { broker }),
      ledger: this.#ledger(),
      lastDeliveredId: this.#lastDeliveredId,
      inFlightCount: this.#session.openCount,
      inFlightMax: this.#link.server === undefined ? 0 : this.#window.count,
      ...(this.#waitingFor === undefined ? {} : { waitingFor: this.#waitingFor }),
      propertiesDroppedCount: this.#propertiesDroppedCount,
      downgradedCount: this.#downgradedCount,
      ...(this.#oldest.epochMs === undefined ? {} : { oldestPendingEpochMs: this.#oldest.epochMs }),
      ...(this.#store.name === "good" ? {} : { storeError: this.#store.message }),
    };
  }

  // ---------------------------------------------------------------------------------------------- what came from the broker

  #takeInbox(nowMs: number): void {
    for (let event = this.#inbox.shift(); event !== undefined; event = this.#inbox.shift()) {
      switch (event.type) {
        case "connected":
          this.#takeConnection(event.server, nowMs);
          break;
        case "disconnected":
          this.#session.disconnect();
          this.#link.onDisconnected(event.cause, this.#sessionFacts());
          break;
        case "acknowledgement": {
          if (!this.#session.isLive) break; // of a connection that was given up
          this.#progress.restart(nowMs);
          const violation = settle(event, {
            session: this.#session,
            work: this.#work,
            refusals: this.#refusals,
            nowMs,
            onDelivered: (id) => this.#delivered(id),
          });
          if (violation !== undefined) this.#abort(violation, "protocol");
        }
      }
    }
  }

  #takeConnection(server: ServerInfo, nowMs: number): void {
    const verdict = this.#link.onConnected(server, this.#sessionFacts());
    if (verdict === "unusable" || this.#store.name === "broken") {
      // The broker has said that our session is gone, and has begun another: it will not say so again.
      if (!server.sessionPresent && this.#owner.state === "established") this.#work.owner = { state: "none" };
      return this.#abort("the cache cannot be written", "client");
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

  /** Every exchange ends in one commit, before any PUBLISH; what was unfinished goes again as new, in the order it was sent. */
  #loseSession(owner: SessionOwner): void {
    const wasEstablished = (this.#work.owner ?? this.#owner).state === "established";
    const unfinished = this.#session.lose();
    this.#lanes.requeue([...unfinished, ...this.#work.requeued.map(({ exchange, attempts }) => ({ ...exchange, attempts }))]);
    this.#work.loseSession();
    this.#work.owner = owner;
    if (!wasEstablished && unfinished.length === 0) return;
    // What was at QoS 2 and is sent again as new may arrive twice; at QoS 1 it may in any case.
    const duplicatesPossibleCount = unfinished.filter(({ qos }) => qos === 2).length;
    this.#reports.event({ type: "sessionlost", requeuedCount: unfinished.length, duplicatesPossibleCount });
  }

  /** The session cannot go on: the next connect begins a new one. */
  #discardSession(reason: string): void {
    this.#work.owner = { state: "none" };
    this.#abort(reason, "client");
  }

  #abort(reason: string, by: Disconnection["by"]): void {
    this.#session.disconnect();
    this.#link.abort(reason, by);
  }

  #watchProgress(nowMs: number): void {
    this.#wasIdle = this.#progress.dueAtMs(this.#session.onWireCount) === Infinity;
    if (this.#link.server === undefined || !this.#progress.isOver(nowMs, this.#session.onWireCount)) return;
    this.#abort(`no progress for ${this.#options.ackTimeoutMs} ms`, "timeout");
  }

  #retryDenied(nowMs: number): void {
    if (nowMs >= this.#refusals.deniedRetryAtMs) this.#lanes.requeue(this.#refusals.retryDenied());
  }

  #delivered(id: MessageId): void {
    this.#lastDeliveredId = Math.max(this.#lastDeliveredId, id);
    this.#reports.delivered(id);
    this.#waits.settle(id, "delivered");
  }

  // -------------------------------------------------------------------------------------------------- what goes to the disk

  /** The messages for this tick's commit. Those that a commit holds already, come again after a worker's death, are answered. */
  #takeArrivals(): readonly StoredMessage[] {
    if (this.#arrivals.isEmpty) return [];
    if (this.#store.name === "broken") {
      const message = `Cannot store the message: the cache is out of order: ${this.#store.message}`;
      this.#refuse(this.#arrivals.takeAll(), { name: "CacheError", message, code: "storage", isStored: false });
      return [];
    }
    const { epochMs, knownMs } = this.#time.now();
    const fresh: StoredMessage[] = [];
    const nextId = this.#outbox.nextMessageId();
    for (const message of this.#arrivals.take()) {
      if (message.id >= nextId) fresh.push({ ...message, storedAtEpochMs: epochMs, storedAtKnownMs: knownMs });
      else if (this.#outbox.fateOf(message.id) !== "refused") this.#reports.stored(message.id);
      else {
        this.#refuse([message], {
          name: "CacheError",
          message: `Cannot store message ${message.id}: it was refused before`,
          code: "storage",
          isStored: false,
        });
      }
    }
    if (!this.#arrivals.isEmpty) this.#wake();
    return fresh;
  }

  #plan(arrived: readonly StoredMessage[], nowMs: number): Plan {
    const { server } = this.#link;
    this.#waitingFor = undefined;
    if (server === undefined || this.#store.name !== "good" && arrived.length === 0) return emptyPlan();
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
      now: this.#time.now(),
    });
    this.#waitingFor = plan.waitingFor;
    if (plan.isCutShort) this.#wake();
    if (plan.sessionMisfit === undefined) return plan;
    this.#discardSession(plan.sessionMisfit);
    return emptyPlan();
  }

  /** One transaction for all of this tick. May the plan go out? */
  #commit(plan: Plan, arrived: readonly StoredMessage[], nowMs: number): boolean {
    const isWorkDue = !this.#work.canWait || this.#work.delivered.length >= REMOVAL_COUNT_MAX || this.#waits.isFlushing ||
      this.#stopping !== undefined || nowMs >= this.#work.deliveredSinceMs + REMOVAL_DELAY_MS;
    const hasPlan = plan.openings.length + plan.handedOver.length + plan.expired.length + plan.quarantined.length > 0;
    if (arrived.length === 0 && !hasPlan && (this.#work.isEmpty || !isWorkDue)) return this.#store.name !== "broken";
    if (this.#store.name === "broken" || (this.#store.name === "full" && arrived.length === 0 && nowMs < this.#store.retryAtMs)) {
      return false;
    }
    this.#outbox.commit(this.#batch(plan, arrived));
    this.#storeRetryCount = 0;
    this.#committed(plan, arrived);
    return true;
  }

  #batch(plan: Plan, arrived: readonly StoredMessage[]): OutboxBatch {
    const work = this.#work.toBatch();
    return {
      ...work,
      at: this.#time.now(),
      append: arrived,
      sent: plan.openings,
      removed: [
        ...work.removed ?? [],
        ...plan.handedOver.map((id) => ({ id, fate: "delivered" as const })),
        ...plan.expired.map((id) => ({ id, fate: "expired" as const })),
      ],
      quarantined: [...work.quarantined ?? [], ...plan.quarantined],
      ...(plan.openings.length === 0 ? {} : { packetIdCursor: plan.openings.at(-1)!.packetId }),
    };
  }

  /** The disk has it: the picture in memory follows, and the callers hear. */
  #committed(plan: Plan, arrived: readonly StoredMessage[]): void {
    this.#remember();
    const work = this.#work;
    this.#work = new Work();
    this.#session.free(work.freed);
    this.#lanes.take(plan.taken, arrived); // before anything else joins them
    for (const exchange of work.received) this.#session.marked(exchange);
    for (const { exchange, attempts, isDenied } of work.requeued) {
      const message = { id: exchange.id, sendNumber: exchange.sendNumber, attempts };
      if (isDenied) this.#refusals.deny(message, this.#clock.monotonicMs());
      else this.#lanes.requeue([message]);
    }
    if (work.requeued.length > 0) this.#wake();
    for (const { id, reason, reasonCode } of [...work.quarantined, ...plan.quarantined]) {
      const why = { reason, ...(reasonCode === undefined ? {} : { reasonCode }) };
      this.#waits.settle(id, "quarantined", why);
      this.#reports.event({ type: "quarantined", ids: [id], ...why });
    }
    for (const { id } of arrived) this.#reports.stored(id);
    for (const id of plan.expired) this.#waits.settle(id, "expired");
    for (const { id, packetId, qos, sendNumber, attempts } of plan.openings) this.#session.open(id, packetId, qos, sendNumber, attempts);
    this.#isReportDue = true;
  }

  #storeFailed(error: StoreError, arrived: readonly StoredMessage[], nowMs: number): void {
    const isFull = error.kind === "full";
    if (arrived.length > 0) {
      const message = `Cannot store the message: ${error.message}`;
      const failure: Failure = isFull
        ? { name: "CacheFullError", message, code: "full", isStored: false }
        : { name: "CacheError", message, code: "storage", isStored: "unknown" };
      this.#refuse(arrived, failure);
    }
    const wasGood = this.#store.name === "good";
    const retryAtMs = nowMs + Math.min(STORE_RETRY_MS.max, STORE_RETRY_MS.min * 2 ** Math.min(this.#storeRetryCount++, 10));
    this.#store = { name: isFull ? "full" : "broken", retryAtMs, message: error.message };
    if (wasGood) {
      this.#reports.event({ type: "error", error: { name: "CacheError", message: error.message, code: isFull ? "full" : "storage" } });
    }
    if (!isFull) this.#abort("the cache cannot be written", "client");
    this.#isReportDue = true;
  }

  /** A full disk is tried again. After a commit of unknown outcome only the disk knows: everything is read anew, as after a restart. */
  #mendStore(nowMs: number): void {
    if (this.#store.name === "good" || nowMs < this.#store.retryAtMs) return;
    if (this.#store.name === "broken") {
      this.#outbox.reopen();
      const settled = this.#work.delivered.filter((id) => this.#outbox.fateOf(id) === "pending");
      if (settled.length > 0) {
        this.#outbox.commit({ at: this.#time.now(), removed: settled.map((id) => ({ id, fate: "delivered" as const })) });
      }
      const flights = this.#outbox.flights();
      this.#session = new Session(flights, this.#outbox.packetIdCursor());
      this.#lanes = new Lanes(this.#outbox, flights.filter(({ stage }) => stage === "requeued"));
      this.#refusals.retryDenied(); // they are among the requeued again
      const mustDiscard = this.#work.isSessionLost || this.#work.owner?.state === "none";
      this.#work = new Work();
      if (mustDiscard) this.#work.owner = { state: "none" };
      this.#storeRetryCount = 0;
      this.#remember();
    }
    this.#store = { name: "good" };
    this.#isReportDue = true;
  }

  #remember(): void {
    this.#owner = this.#outbox.session();
    this.#storedLedger = this.#outbox.ledger();
  }

  #outboxChanged(): void {
    this.#remember();
    this.#lanes.reset();
    this.#changed();
  }

  /** For work outside a tick: the caller gets the error, and the store its care. */
  #attempt<T>(work: () => T): T {
    try {
      return work();
    } catch (error) {
      if (error instanceof StoreError) this.#storeFailed(error, [], this.#clock.monotonicMs());
      this.#wake();
      throw error;
    }
  }

  #refuse(messages: readonly NumberedMessage[], error: Failure): void {
    for (const { id } of messages) this.#reports.refused(id, error);
  }

  // ------------------------------------------------------------------------------------------------- what goes to the broker

  #transmit(plan: Plan): void {
    const releases = this.#session.toRelease.map(({ packetId }) => packetId);
    if (releases.length === 0 && plan.packets.length === 0) return;
    this.#session.release();
    this.#session.resend(plan.resentCount);
    if (this.#wasIdle) this.#progress.restart(this.#clock.monotonicMs());
    assert(
      this.#session.onWireCount <= this.#window.count || plan.openings.length + plan.resentCount === 0,
      "the window is never exceeded",
    );
    if (releases.length > 0) this.#transport.release(releases);
    if (plan.packets.length > 0) this.#transport.publish(plan.packets);
    for (const id of plan.handedOver) this.#delivered(id);
    this.#downgradedCount += plan.downgradedCount;
    this.#propertiesDroppedCount += plan.propertiesDroppedCount;
  }

  // ---------------------------------------------------------------------------------------------------- what goes to the client

  #advanceStop(nowMs: number): void {
    if (this.#stopping === undefined || !this.#arrivals.isEmpty) return;
    const isDrained = this.#ledger().pending === 0;
    if (nowMs < this.#stopping.drainUntilMs && !isDrained) return;
    if (this.#stopping.closeUntilMs === Infinity) {
      this.#stopping.closeUntilMs = nowMs + STOP_TIMEOUT_MS;
      this.#link.stop();
    }
    if (!this.#link.isAtRest && nowMs < this.#stopping.closeUntilMs) return;
    if (!this.#link.isAtRest) this.#transport.abort();
    const error = this.#store.name === "good" ? undefined : { name: "CacheError", message: this.#store.message, code: "storage" };
    this.#isReportDue = true;
    this.#report();
    this.#isStopped = true;
    this.#outbox.close();
    this.#listener.onStopped(error);
  }

  #lookUpWatched(): void {
    if (this.#toWatch.length === 0 || this.#store.name === "broken") return;
    const unwritten = new Set(this.#work.delivered);
    for (const id of this.#toWatch.splice(0)) this.#waits.watch(id, this.#fateOf(id, unwritten));
  }

  #fateOf(id: MessageId, unwritten: ReadonlySet<MessageId>): FateOf {
    if (unwritten.has(id)) return "delivered";
    return id >= this.#outbox.nextMessageId() && this.#arrivals.hasThrough(id) ? "pending" : this.#outbox.fateOf(id);
  }

  #report(): void {
    if (this.#isStopped) return;
    for (const event of this.#link.takeEvents()) this.#reports.event(event);
    this.#reports.fates(this.#waits.takeFates());
    if (this.#reports.isEmpty && !this.#isReportDue) return;
    this.#isReportDue = false;
    this.#listener.onReport(this.#reports.build(this.status()));
  }

  /** What is delivered and not yet removed counts as delivered. */
  #ledger(): Ledger {
    const ledger = this.#storedLedger;
    const unwrittenCount = this.#work.delivered.length;
    return { ...ledger, delivered: ledger.delivered + unwrittenCount, pending: ledger.pending - unwrittenCount };
  }

  #lookUpFlushed(): void {
    if (!this.#waits.isFlushing || this.#store.name === "broken") return;
    this.#reports.flushed(this.#waits.takeFlushed((id) => this.#arrivals.hasThrough(id) || this.#outbox.hasPendingThrough(id)));
  }

  #lookUpOldest(): void {
    const nowMs = this.#clock.monotonicMs();
    if (this.#store.name === "broken") return;
    if (this.#ledger().pending === 0) this.#oldest = { atMs: -Infinity, epochMs: undefined };
    else if (nowMs >= this.#oldest.atMs + OLDEST_REFRESH_MS) this.#oldest = { atMs: nowMs, epochMs: this.#outbox.oldestPendingEpochMs() };
  }

  #sessionFacts(): SessionFacts {
    return { owner: this.#work.owner ?? this.#owner, hasInFlight: this.#session.openCount > 0 };
  }

  #note(event: TransportEvent): void {
    this.#inbox.push(event);
    this.#wake();
  }

  #changed(): void {
    this.#isReportDue = true;
    this.#wake();
  }

  #wake(): void {
    if (this.#isAwake) return;
    this.#isAwake = true;
    this.#listener.onWake();
  }
}
