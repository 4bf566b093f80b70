/**
 * One device in virtual time: the real core, on a model disk, at the end of a model line to model brokers. Small words for scenarios:
 * `publish`, `crash`, `cutPower`, `run`, `settle`.
 */
import { Publisher } from "../../lib/core/publisher.ts";
import type { Broker, Credentials } from "../../lib/core/ports.ts";
import type { IdRange, MessageId, NumberedMessage } from "../../lib/core/message.ts";
import type { Failure, PublisherEvent, PublisherOptions, PublisherStatus, TickReport } from "../../lib/core/report.ts";
import { Agenda } from "./agenda.ts";
import { type Disk, ModelDisk } from "./memory_outbox.ts";
import { ModelBroker } from "./model_broker.ts";
import { type Line, ModelTransport } from "./model_transport.ts";
import { SeededRandom } from "./seeded_random.ts";
import { VirtualClock } from "./virtual_clock.ts";
import { WireWatch } from "./wire_watch.ts";

export const PUBLISHER_DEFAULTS: PublisherOptions = {
  clientId: "device",
  inFlightMax: "auto",
  ackTimeoutMs: 30_000,
  protocolVersion: undefined,
  sessionExpirySeconds: 2_592_000,
  sessionGroup: undefined,
  allowQos0: false,
  retainFallback: false,
  reconnect: { delayMsMin: 1_000, delayMsMax: 60_000, firstSpreadMs: 0, stableMs: 10_000 },
  asksCredentials: false,
};

/** Steps in one `run()`, far beyond need: whatever takes more goes round in circles. */
const STEPS_MAX = 200_000;
/** Serial numbers tell the messages of one cache from those of the next: cache 0 has 1, 2, …, cache 1 has 1,000,001, … */
const SERIALS_PER_CACHE = 1_000_000;

/** What a broker said about our session, until the disk knows it. */
interface Absence {
  readonly serials: readonly number[];
  wasHeard: boolean;
}

export class World {
  readonly clock = new VirtualClock();
  readonly agenda = new Agenda(this.clock);
  readonly random: SeededRandom;
  readonly line: Line = { latencyMs: 5, isDown: false, isBlackhole: false, losesConnack: false };
  readonly watch = new WireWatch();
  readonly brokers = new Map<string, ModelBroker>();
  readonly options: PublisherOptions;
  disk: Disk;
  publisher!: Publisher;
  transport!: ModelTransport;
  /** What the application was told, over all its lives, by serial number. */
  readonly stored = new Set<number>();
  readonly delivered = new Set<number>();
  readonly refused = new Map<number, Failure>();
  /** Ids that were given out again after they had been stored. */
  readonly reused: number[] = [];
  /** In flight when a broker had no session for us. */
  readonly mayDuplicate = new Set<number>();
  /** In flight when a broker said that our session was gone, and the word was lost on the way, or died with us: the one hole in MQTT. */
  readonly mayBeLost = new Set<number>();
  readonly events: PublisherEvent[] = [];
  readonly reports: TickReport[] = [];
  credentialsWantedCount = 0;
  isStopped = false;
  #absence: Absence | undefined;
  #cacheCount = 0;
  #nextId = 1;
  #isTickAsked = false;

  constructor(options: Partial<PublisherOptions> = {}, seed = 1, disk: Disk = new ModelDisk()) {
    this.options = { ...PUBLISHER_DEFAULTS, ...options };
    this.random = new SeededRandom(seed);
    this.disk = disk;
    this.boot();
  }

  /** The first broker, or the one of this name. */
  broker(host = "broker"): ModelBroker {
    return this.brokers.get(host) ?? this.setBroker(new ModelBroker(), host);
  }

  setBroker(broker: ModelBroker, host = "broker"): ModelBroker {
    broker.onSessionAbsent = () => {
      const serials = this.inFlightSerials();
      for (const serial of serials) this.mayDuplicate.add(serial);
      // A device that knows already that its session is to be discarded has nothing to hear.
      if (this.disk.isSessionDoubted()) return;
      if (this.#absence?.wasHeard === false) this.#excuseAbsence();
      this.#absence = { serials: [...serials, ...this.#absence?.serials ?? []], wasHeard: false };
    };
    broker.onSessionPresent = () => {
      if (this.#absence?.wasHeard === false) this.#excuseAbsence();
    };
    this.brokers.set(host, broker);
    return broker;
  }

  /** The process starts, on whatever is on disk. */
  boot(): void {
    this.isStopped = false;
    this.#excuseAbsence();
    this.disk.onCommitted = (batch) => {
      if (batch.session !== undefined) this.#absence = undefined;
    };
    this.watch.onHeard = () => {
      if (this.#absence !== undefined) this.#absence.wasHeard = true;
    };
    const line = { agenda: this.agenda, line: this.line, watch: this.watch, brokerAt: (host: string) => this.broker(host) };
    this.publisher = new Publisher({
      clock: this.clock,
      random: this.random,
      outbox: this.disk.openOutbox(),
      createTransport: (listener) => this.transport = new ModelTransport(line, this.options.clientId, listener),
      listener: {
        onWake: () => void (this.#isTickAsked = true),
        onReport: (report) => this.#hear(report),
        onCredentialsWanted: () => void this.credentialsWantedCount++,
        onStopped: () => void (this.isStopped = true),
      },
    }, this.options);
    this.#nextId = this.publisher.nextMessageId();
    this.#isTickAsked = true;
  }

  connect(host = "broker", credentials?: Credentials): void {
    this.publisher.connect(brokerAddress(host), credentials);
  }

  /** So many messages, as one turn of the application would hand them over. Their serial numbers; in the first cache these are the ids. */
  publish(count: number, message: Partial<NumberedMessage> = {}): number[] {
    const ids = Array.from({ length: count }, () => this.#nextId++);
    this.publisher.accept(ids.map((id) => [
      { id, topic: "t", payload: new TextEncoder().encode(String(this.#serial(id))), qos: 2, retain: false, ...message },
    ]));
    for (const id of ids) if (this.stored.has(this.#serial(id))) this.reused.push(this.#serial(id));
    return ids.map((id) => this.#serial(id));
  }

  /** The process dies; what was written stays. */
  crash(): void {
    this.transport.kill();
    this.boot();
  }

  /** The power fails; what was synced stays. */
  cutPower(): void {
    this.transport.kill();
    this.disk.cutPower();
    this.boot();
  }

  /** The device goes on under the same client id with another cache. */
  changeDisk(disk: Disk, isCopy: boolean): void {
    this.transport.kill();
    this.#absence = undefined;
    this.disk = disk;
    if (!isCopy) {
      this.#cacheCount++;
      this.watch.onOtherCache();
    }
    this.boot();
  }

  inFlightSerials(): number[] {
    return this.disk.inFlightIds().map((id) => this.#serial(id));
  }

  /** Time passes. */
  run(forMs: number): void {
    const untilMs = this.clock.monotonicMs() + forMs;
    for (let step = 0; step < STEPS_MAX; step++) {
      if (!this.step(untilMs)) return;
    }
    throw new Error(`Cannot go on: the world goes round in circles: ${JSON.stringify(this.status)}`);
  }

  /** One thing happens, unless nothing is due until then. */
  step(untilMs: number): boolean {
    const wakeAtMs = this.#isTickAsked ? -Infinity : this.publisher.wakeAtMs();
    const atMs = Math.min(wakeAtMs, this.agenda.nextAtMs);
    if (atMs > untilMs) {
      this.clock.moveTo(untilMs);
      return false;
    }
    if (wakeAtMs <= this.agenda.nextAtMs) {
      this.clock.moveTo(wakeAtMs);
      this.#isTickAsked = false;
      this.publisher.tick();
    } else this.agenda.step();
    return true;
  }

  /** Everything gets through; a day is enough for every patience. */
  settle(): void {
    this.run(60_000); // the disk may still have to be read again
    for (let hour = 0; hour < 24 && this.status.ledger.pending > 0; hour++) this.run(3_600_000);
    this.run(1_000);
  }

  get status(): PublisherStatus {
    return this.publisher.status();
  }

  eventsOf<T extends PublisherEvent["type"]>(type: T): Extract<PublisherEvent, { type: T }>[] {
    return this.events.filter((event): event is Extract<PublisherEvent, { type: T }> => event.type === type);
  }

  #hear(report: TickReport): void {
    this.reports.push(report);
    for (const range of report.stored) this.#each(range, (serial) => this.stored.add(serial));
    for (const range of report.delivered) this.#each(range, (serial) => this.delivered.add(serial));
    for (const { ids, error } of report.refused) this.#each(ids, (serial) => this.refused.set(serial, error));
    this.events.push(...report.events);
  }

  #serial(id: MessageId): number {
    return this.#cacheCount * SERIALS_PER_CACHE + id;
  }

  #each([first, last]: IdRange, action: (serial: number) => void): void {
    for (let id = first; id <= last; id++) action(this.#serial(id));
  }

  #excuseAbsence(): void {
    for (const serial of this.#absence?.serials ?? []) this.mayBeLost.add(serial);
    this.#absence = undefined;
  }
}

export function brokerAddress(host: string): Broker {
  return { protocol: "mqtt", host, port: 1883 };
}
