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
import { Delivery } from "./delivery.ts";
import { KnownTime } from "./known_time.ts";
import { Link } from "./link.ts";
import type { MessageId, NumberedMessage, StoredMessage } from "./message.ts";
import { emptyPlan, type Plan } from "./plan.ts";
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
  StoreError,
  type Transport,
  type TransportListener,
} from "./ports.ts";
import { ReportBuilder } from "./report_builder.ts";
import type { Failure, PublisherOptions, PublisherStatus, PublishRequest, TickReport } from "./report.ts";
import type { Acknowledgement } from "./settle.ts";
import { StoreCare } from "./store_care.ts";
import { Waits } from "./waits.ts";

/** Removals of delivered rows wait so long for a commit that has to be made anyway. */
export const REMOVAL_DELAY_MS = 50;
/** Or until there are so many. */
export const REMOVAL_COUNT_MAX = 1_000;
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
  | { readonly type: "acknowledged"; readonly acknowledgement: Acknowledgement };

/** See the module's first lines. */
export class Publisher implements TransportListener {
  readonly #clock: Clock;
  readonly #outbox: Outbox;
  readonly #transport: Transport;
  readonly #listener: PublisherListener;
  readonly #link: Link;
  readonly #delivery: Delivery;
  readonly #time: KnownTime;
  readonly #arrivals = new Arrivals();
  readonly #store = new StoreCare();
  readonly #waits = new Waits();
  readonly #reports = new ReportBuilder();
  readonly #inbox: TransportEvent[] = [];
  /** Asked for and not looked up yet. */
  readonly #toWatch: MessageId[] = [];
  #isAwake = false;
  #isReportDue = false;
  /** As on disk after the last commit: known even while the outbox is out of order. */
  #storedLedger: Ledger;
  #lastDeliveredId: MessageId;
  #oldest = { atMs: -Infinity, epochMs: undefined as number | undefined };
  #stopping: { readonly drainUntilMs: number; closeUntilMs: number } | undefined;
  #isStopped = false;

  /** Takes over an open outbox. Connects to nothing until `connect()`. */
  constructor(ports: PublisherPorts, options: PublisherOptions) {
    this.#clock = ports.clock;
    this.#outbox = ports.outbox;
    this.#listener = ports.listener;
    this.#time = new KnownTime(ports.clock, ports.outbox.lastMoment());
    this.#transport = ports.createTransport(this);
    this.#link = new Link({ ...ports, transport: this.#transport }, options, () => this.#listener.onCredentialsWanted());
    this.#delivery = new Delivery({
      outbox: this.#outbox,
      transport: this.#transport,
      link: this.#link,
      onDelivered: (id) => this.#delivered(id),
      onEvent: (event) => this.#reports.event(event),
    }, options);
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
    this.#link.provideCredentials(credentials, failure, this.#delivery.facts);
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
    this.#note({ type: "acknowledged", acknowledgement: { packet: "PUBACK", packetId, reasonCode } });
  }

  onReceived(packetId: number, reasonCode: number): void {
    this.#note({ type: "acknowledged", acknowledgement: { packet: "PUBREC", packetId, reasonCode } });
  }

  onCompleted(packetId: number, reasonCode: number): void {
    this.#note({ type: "acknowledged", acknowledgement: { packet: "PUBCOMP", packetId, reasonCode } });
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
      this.#delivery.advance(nowMs);
      this.#link.advance(this.#delivery.facts);
      arrived = this.#takeArrivals();
      const plan = this.#store.isGood ? this.#delivery.plan(arrived, nowMs, this.#time.now()) : emptyPlan();
      if (plan.isCutShort) this.#wake();
      if (this.#commit(plan, arrived, nowMs)) this.#delivery.transmit(plan, nowMs);
      this.#lookUpWatched();
      this.#lookUpFlushed();
      this.#lookUpOldest(nowMs);
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
    let atMs = Math.min(this.#link.wakeAtMs(), this.#delivery.wakeAtMs(this.#clock.monotonicMs()), this.#store.retryAtMs);
    if (this.#store.isGood) atMs = Math.min(atMs, this.#delivery.work.deliveredSinceMs + REMOVAL_DELAY_MS);
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
      ...this.#delivery.status(),
      ...(this.#oldest.epochMs === undefined ? {} : { oldestPendingEpochMs: this.#oldest.epochMs }),
      ...(this.#store.message === undefined ? {} : { storeError: this.#store.message }),
    };
  }

  #takeInbox(nowMs: number): void {
    for (let event = this.#inbox.shift(); event !== undefined; event = this.#inbox.shift()) {
      if (event.type === "connected") this.#delivery.connected(event.server, this.#store.isBroken, nowMs);
      else if (event.type === "disconnected") this.#delivery.disconnected(event.cause);
      else this.#delivery.acknowledged(event.acknowledgement, nowMs);
    }
  }

  /** The messages for this tick's commit. Those that a commit holds already, come again after a worker's death, are answered. */
  #takeArrivals(): readonly StoredMessage[] {
    if (this.#arrivals.isEmpty) return [];
    if (this.#store.isBroken) {
      const message = `Cannot store the message: the cache is out of order: ${this.#store.message}`;
      this.#refuse(this.#arrivals.takeAll(), { name: "CacheError", message, code: "storage", isStored: false });
      return [];
    }
    const { epochMs, knownMs } = this.#time.now();
    const fresh: StoredMessage[] = [];
    const nextId = this.#outbox.nextMessageId();
    for (const message of this.#arrivals.take()) {
      if (message.id >= nextId) fresh.push({ ...message, storedAtEpochMs: epochMs, storedAtKnownMs: knownMs });
      else this.#answer(message);
    }
    if (!this.#arrivals.isEmpty) this.#wake();
    return fresh;
  }

  #answer(message: NumberedMessage): void {
    if (this.#outbox.fateOf(message.id) !== "refused") return this.#reports.stored(message.id);
    const failure = `Cannot store message ${message.id}: it was refused before`;
    this.#refuse([message], { name: "CacheError", message: failure, code: "storage", isStored: false });
  }

  /** One transaction for all of this tick. May the plan go out? */
  #commit(plan: Plan, arrived: readonly StoredMessage[], nowMs: number): boolean {
    const { work } = this.#delivery;
    const isWorkDue = !work.canWait || work.delivered.length >= REMOVAL_COUNT_MAX || this.#waits.isFlushing ||
      plan.isOutOfPacketIds || this.#stopping !== undefined || nowMs >= work.deliveredSinceMs + REMOVAL_DELAY_MS;
    const hasPlan = plan.openings.length + plan.handedOver.length + plan.expired.length + plan.quarantined.length > 0;
    if (arrived.length === 0 && !hasPlan && (work.isEmpty || !isWorkDue)) return !this.#store.isBroken;
    if (this.#store.isBroken || (!this.#store.isGood && arrived.length === 0)) return false;
    this.#outbox.commit(this.#batch(plan, arrived));
    this.#store.succeed();
    this.#committed(plan, arrived);
    return true;
  }

  #batch(plan: Plan, arrived: readonly StoredMessage[]): OutboxBatch {
    const work = this.#delivery.work.toBatch();
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

  /** The disk has it: those who wait hear. */
  #committed(plan: Plan, arrived: readonly StoredMessage[]): void {
    for (const { id, reason, reasonCode } of [...this.#delivery.work.quarantined, ...plan.quarantined]) {
      const why = { reason, ...(reasonCode === undefined ? {} : { reasonCode }) };
      this.#waits.settle(id, "quarantined", why);
      this.#reports.event({ type: "quarantined", ids: [id], ...why });
    }
    for (const { id } of arrived) this.#reports.stored(id);
    for (const id of plan.expired) this.#waits.settle(id, "expired");
    if (plan.expired.length > 0) this.#reports.event({ type: "expired", ids: plan.expired });
    if (this.#delivery.committed(plan, arrived) || plan.isOutOfPacketIds) this.#wake();
    this.#storedLedger = this.#outbox.ledger();
    this.#isReportDue = true;
  }

  #delivered(id: MessageId): void {
    this.#lastDeliveredId = Math.max(this.#lastDeliveredId, id);
    this.#reports.delivered(id);
    this.#waits.settle(id, "delivered");
  }

  #refuse(messages: readonly NumberedMessage[], error: Failure): void {
    for (const { id } of messages) this.#reports.refused(id, error);
  }

  // ---------------------------------------------------------------------------------------------- when the disk gives trouble

  #storeFailed(error: StoreError, arrived: readonly StoredMessage[], nowMs: number): void {
    const isFull = error.kind === "full";
    if (arrived.length > 0) {
      const message = `Cannot store the message: ${error.message}`;
      const failure: Failure = isFull
        ? { name: "CacheFullError", message, code: "full", isStored: false }
        : { name: "CacheError", message, code: "storage", isStored: "unknown" };
      this.#refuse(arrived, failure);
    }
    const isNews = this.#store.fail(error, nowMs);
    const event: Failure = { name: "CacheError", message: error.message, code: isFull ? "full" : "storage" };
    if (isNews) this.#reports.event({ type: "error", error: event });
    if (!isFull) this.#delivery.abort("the cache cannot be written", "client");
    this.#isReportDue = true;
  }

  /** A full disk is tried again. After a commit of unknown outcome only the disk knows: everything is read anew, as after a restart. */
  #mendStore(nowMs: number): void {
    if (nowMs < this.#store.retryAtMs) return;
    if (this.#store.isBroken) {
      this.#outbox.reopen();
      this.#delivery.reload(this.#time.now());
      this.#storedLedger = this.#outbox.ledger();
    }
    this.#store.mend();
    this.#isReportDue = true;
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

  #outboxChanged(): void {
    this.#storedLedger = this.#outbox.ledger();
    this.#delivery.outboxChanged();
    this.#changed();
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
    const { message } = this.#store;
    const error = message === undefined ? undefined : { name: "CacheError", message, code: "storage" };
    this.#isReportDue = true;
    this.#report();
    this.#isStopped = true;
    this.#outbox.close();
    this.#listener.onStopped(error);
  }

  #lookUpWatched(): void {
    if (this.#toWatch.length === 0 || this.#store.isBroken) return;
    const unwritten = new Set(this.#delivery.work.delivered);
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
    const unwrittenCount = this.#delivery.work.delivered.length;
    const pending = ledger.pending - unwrittenCount;
    return { ...ledger, delivered: ledger.delivered + unwrittenCount, pending, pendingBytes: pending === 0 ? 0 : ledger.pendingBytes };
  }

  #lookUpFlushed(): void {
    if (!this.#waits.isFlushing || this.#store.isBroken) return;
    this.#reports.flushed(this.#waits.takeFlushed((id) => this.#arrivals.hasThrough(id) || this.#outbox.hasPendingThrough(id)));
  }

  #lookUpOldest(nowMs: number): void {
    if (this.#store.isBroken) return;
    if (this.#ledger().pending === 0) this.#oldest = { atMs: -Infinity, epochMs: undefined };
    else if (nowMs >= this.#oldest.atMs + OLDEST_REFRESH_MS) this.#oldest = { atMs: nowMs, epochMs: this.#outbox.oldestPendingEpochMs() };
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
