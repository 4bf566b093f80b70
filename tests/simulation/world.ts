/**
 * One device in virtual time: the real core, on a model disk, at the end of a model line to model brokers. Small words for scenarios:
 * `publish`, `crash`, `cutPower`, `run`, `settle`.
 */
import { Publisher } from "../../lib/core/publisher.ts";
import type { Broker, Credentials } from "../../lib/core/ports.ts";
import type { IdRange, MessageId, NumberedMessage } from "../../lib/core/message.ts";
import type { Failure, PublisherEvent, PublisherOptions, PublisherStatus, TickReport } from "../../lib/core/report.ts";
import { Agenda } from "./agenda.ts";
import { MemoryOutbox, ModelDisk } from "./memory_outbox.ts";
import { ModelBroker } from "./model_broker.ts";
import { type Line, ModelTransport, WireWatch } from "./model_transport.ts";
import { SeededRandom } from "./seeded_random.ts";
import { VirtualClock } from "./virtual_clock.ts";

export const PUBLISHER_DEFAULTS: PublisherOptions = {
  clientId: "device",
  inFlightMax: "auto",
  ackTimeoutMs: 30_000,
  protocolVersion: undefined,
  sessionExpirySeconds: 2_592_000,
  sessionGroup: undefined,
  allowQos0: false,
  retainFallback: false,
  reconnect: {
    delayMsMin: 1_000,
    delayMsMax: 60_000,
    firstSpreadMs: 0,
    stableMs: 10_000,
  },
  asksCredentials: false,
};

/** Steps in one `run()`, far beyond need: whatever takes more goes round in circles. */
const STEPS_MAX = 200_000;

export class World {
  readonly clock = new VirtualClock();
  readonly agenda = new Agenda(this.clock);
  readonly random: SeededRandom;
  readonly line: Line = {
    latencyMs: 5,
    isDown: false,
    isBlackhole: false,
    losesConnack: false,
  };
  readonly watch = new WireWatch();
  readonly brokers = new Map<string, ModelBroker>();
  readonly options: PublisherOptions;
  disk = new ModelDisk();
  publisher!: Publisher;
  transport!: ModelTransport;
  /** What the application was told, over all its lives. */
  readonly stored = new Set<MessageId>();
  readonly delivered = new Set<MessageId>();
  readonly refused = new Map<MessageId, Failure>();
  /** In flight when a broker had no session for us. */
  readonly mayDuplicate = new Set<MessageId>();
  /** In flight when a broker said that our session was gone, and the word was lost on the way, or died with us: the one hole in MQTT. */
  readonly mayBeLost = new Set<MessageId>();
  #absence: { readonly ids: readonly MessageId[]; wasHeard: boolean } | undefined;
  readonly events: PublisherEvent[] = [];
  readonly reports: TickReport[] = [];
  credentialsWantedCount = 0;
  isStopped = false;
  #nextId = 1;
  #tickAsked = false;

  constructor(options: Partial<PublisherOptions> = {}, seed = 1) {
    this.options = { ...PUBLISHER_DEFAULTS, ...options };
    this.random = new SeededRandom(seed);
    this.boot();
  }

  /** The first broker, or the one of this name. */
  broker(host = "broker"): ModelBroker {
    return this.brokers.get(host) ?? this.setBroker(new ModelBroker(), host);
  }

  setBroker(broker: ModelBroker, host = "broker"): ModelBroker {
    broker.onSessionAbsent = () => {
      const ids = new MemoryOutbox(this.disk).flights().map(({ id }) => id);
      for (const id of ids) this.mayDuplicate.add(id);
      if (this.#absence?.wasHeard === false) this.#forgetAbsence();
      this.#absence = { ids: [...ids, ...this.#absence?.ids ?? []], wasHeard: false };
    };
    broker.onSessionPresent = () => {
      if (this.#absence?.wasHeard === false) this.#forgetAbsence();
    };
    this.brokers.set(host, broker);
    return broker;
  }

  /** The process starts, on whatever is on disk. */
  boot(): void {
    this.isStopped = false;
    this.#forgetAbsence();
    this.disk.onCommitted = (batch) => {
      if (batch.session !== undefined) this.#absence = undefined;
    };
    this.watch.onHeard = () => {
      if (this.#absence !== undefined) this.#absence.wasHeard = true;
    };
    this.publisher = new Publisher({
      clock: this.clock,
      random: this.random,
      outbox: new MemoryOutbox(this.disk),
      createTransport: (listener) => {
        const world = {
          agenda: this.agenda,
          line: this.line,
          watch: this.watch,
          brokerAt: (host: string) => this.broker(host),
        };
        return this.transport = new ModelTransport(
          world,
          this.options.clientId,
          listener,
        );
      },
      listener: {
        onWake: () => void (this.#tickAsked = true),
        onReport: (report) => this.#hear(report),
        onCredentialsWanted: () => void this.credentialsWantedCount++,
        onStopped: () => void (this.isStopped = true),
      },
    }, this.options);
    this.#nextId = this.publisher.nextMessageId();
    this.#tickAsked = true;
  }

  connect(host = "broker", credentials?: Credentials): void {
    this.publisher.connect(brokerAddress(host), credentials);
  }

  /** So many messages, as one turn of the application would hand them over. The ids. */
  publish(count: number, message: Partial<NumberedMessage> = {}): MessageId[] {
    const ids = Array.from({ length: count }, () => this.#nextId++);
    this.publisher.accept(ids.map((id) => [
      {
        id,
        topic: "t",
        payload: new TextEncoder().encode(String(id)),
        qos: 2,
        retain: false,
        ...message,
      },
    ]));
    return ids;
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
    const wakeAtMs = this.#tickAsked ? -Infinity : this.publisher.wakeAtMs();
    const atMs = Math.min(wakeAtMs, this.agenda.nextAtMs);
    if (atMs > untilMs) {
      this.clock.moveTo(untilMs);
      return false;
    }
    if (wakeAtMs <= this.agenda.nextAtMs) {
      this.clock.moveTo(wakeAtMs);
      this.#tickAsked = false;
      this.publisher.tick();
    } else this.agenda.step();
    return true;
  }

  /** Everything gets through; a day is enough for every patience. */
  settle(): void {
    this.run(60_000); // the disk may still have to be read again
    for (let hour = 0; hour < 24 && this.status.ledger.pending > 0; hour++) {
      this.run(3_600_000);
    }
    this.run(1_000);
  }

  #forgetAbsence(): void {
    for (const id of this.#absence?.ids ?? []) this.mayBeLost.add(id);
    this.#absence = undefined;
  }

  get status(): PublisherStatus {
    return this.publisher.status();
  }

  eventsOf<T extends PublisherEvent["type"]>(
    type: T,
  ): Extract<PublisherEvent, { type: T }>[] {
    return this.events.filter((
      event,
    ): event is Extract<PublisherEvent, { type: T }> => event.type === type);
  }

  #hear(report: TickReport): void {
    this.reports.push(report);
    for (const range of report.stored) each(range, (id) => this.stored.add(id));
    for (const range of report.delivered) {
      each(range, (id) => this.delivered.add(id));
    }
    for (const { ids, error } of report.refused) {
      each(ids, (id) => this.refused.set(id, error));
    }
    this.events.push(...report.events);
  }
}

export function brokerAddress(host: string): Broker {
  return { protocol: "mqtt", host, port: 1883 };
}

function each([first, last]: IdRange, action: (id: MessageId) => void): void {
  for (let id = first; id <= last; id++) action(id);
}
