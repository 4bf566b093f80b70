/**
 * One client whose link can be spoilt without harm to others, and a witness at the broker who knows which message came from whom. Judged by
 * sets: acknowledged ⊆ delivered ⊆ acknowledged ∪ unknown.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import {
  type DisconnectDetail,
  PersistClient,
  type PersistClientEventMap,
  type PersistClientOptions,
  type ProtocolVersion,
  type QoS,
} from "../../mod.ts";
import { within } from "../support/deadline.ts";
import { Mosquitto } from "../support/mosquitto.ts";
import { Relay } from "../support/relay.ts";
import { Subscriber } from "../support/subscriber.ts";

/** What tells one line from another. */
export interface LineOptions {
  readonly qos: QoS;
  readonly protocolVersion: ProtocolVersion;
  /** On top of delays so small that a test is over soon. */
  readonly client?: Partial<PersistClientOptions>;
}

/** A broker, its witness, and the lines between it and its clients. */
export class Network {
  readonly broker: Mosquitto;
  readonly #subscriber: Subscriber;
  readonly #lines: Map<string, Line>;
  readonly #folder = mkdtempSync(join(tmpdir(), "persistmq-network-"));
  #lineCount = 0;

  private constructor(broker: Mosquitto, subscriber: Subscriber, lines: Map<string, Line>) {
    this.broker = broker;
    this.#subscriber = subscriber;
    this.#lines = lines;
  }

  /** With mosquitto's default limits. */
  static async start(): Promise<Network> {
    const broker = await Mosquitto.start();
    const lines = new Map<string, Line>();
    const subscriber = await Subscriber.start({
      port: broker.port,
      onMessage: ({ topic, payload }) => lines.get(topic)?.arrived(new TextDecoder().decode(payload)),
    });
    return new Network(broker, subscriber, lines);
  }

  /** A client that is connected, and has delivered one message, so that it has a session. */
  async open(options: LineOptions): Promise<Line> {
    const name = `line-${++this.#lineCount}`;
    const line = new Line(name, await Relay.start(this.broker.port), join(this.#folder, name), options);
    this.#lines.set(name, line);
    await line.connect();
    await line.publish(["hello"]);
    await line.flush();
    await line.seen("hello");
    return line;
  }

  /** Everything that the broker had taken over before has arrived. */
  fence(): Promise<void> {
    return this.#subscriber.fence();
  }

  async close(): Promise<void> {
    for (const line of this.#lines.values()) await line.close();
    await this.#subscriber.stop();
    await this.broker.close();
    rmSync(this.#folder, { recursive: true, force: true });
  }
}

/** See above. Its name is its client's id and the topic of its messages. */
export class Line {
  readonly name: string;
  readonly relay: Relay;
  readonly client: PersistClient;
  readonly qos: QoS;
  readonly protocolVersion: ProtocolVersion;
  /** Payloads whose `publish()` has resolved. */
  readonly acknowledged = new Set<string>();
  /** Payloads of which the client could not say whether they are stored. */
  readonly unknown = new Set<string>();
  /** Payloads as they arrived, with what came twice. */
  readonly arrivals: string[] = [];
  readonly disconnects: DisconnectDetail[] = [];
  sessionLostCount = 0;
  readonly #published: string[] = [];
  readonly #waiting = new Map<string, () => void>();

  constructor(name: string, relay: Relay, cachePath: string, { qos, protocolVersion, client = {} }: LineOptions) {
    this.name = name;
    this.relay = relay;
    this.qos = qos;
    this.protocolVersion = protocolVersion;
    this.client = new PersistClient({
      clientId: name,
      cachePath,
      protocolVersion,
      reconnect: { delayMsMin: 5, delayMsMax: 40 },
      log: false,
      ...client,
    });
    this.client.addEventListener("disconnect", ({ detail }) => this.disconnects.push(detail));
    this.client.addEventListener("sessionlost", () => this.sessionLostCount++);
  }

  async connect(): Promise<void> {
    await this.client.connectAsync({ host: "127.0.0.1", port: this.relay.port });
    await this.connected();
  }

  async connected(): Promise<void> {
    await within(this.client.connected(), `${this.name} to be connected`);
  }

  /** Resolves when all are stored. */
  async publish(payloads: readonly string[]): Promise<void> {
    this.#published.push(...payloads);
    const publish = async (payload: string) => {
      try {
        await this.client.publish(this.name, payload, { qos: this.qos });
        this.acknowledged.add(payload);
      } catch {
        this.unknown.add(payload);
      }
    };
    await within(Promise.all(payloads.map(publish)), `${this.name} to store ${payloads.length} messages`);
  }

  /** Resolves when the broker has everything, or, at QoS 0, when all was handed over. */
  async flush(): Promise<void> {
    await within(this.client.flush(), () => `${this.name} to be flushed: ${JSON.stringify(this.client.getStatus())}`);
  }

  /** The next event of this kind that is meant. */
  event<Type extends keyof PersistClientEventMap>(
    type: Type,
    isMeant: (detail: PersistClientEventMap[Type]["detail"]) => boolean = () => true,
  ): Promise<PersistClientEventMap[Type]["detail"]> {
    const heard = new Promise<PersistClientEventMap[Type]["detail"]>((resolve) => {
      const listener = ({ detail }: PersistClientEventMap[Type]) => {
        if (!isMeant(detail)) return;
        this.client.removeEventListener(type, listener);
        resolve(detail);
      };
      this.client.addEventListener(type, listener);
    });
    return within(heard, () => `"${type}" from ${this.name}: ${JSON.stringify(this.client.getStatus().connection)}`);
  }

  /** The witness has it. */
  arrived(payload: string): void {
    this.arrivals.push(payload);
    this.#waiting.get(payload)?.();
  }

  /** Resolves when this one has arrived. */
  async seen(payload: string): Promise<void> {
    if (this.arrivals.includes(payload)) return;
    await within(new Promise<void>((resolve) => this.#waiting.set(payload, resolve)), `"${payload}" from ${this.name} to arrive`);
  }

  /**
   * Everything acknowledged has arrived, but at QoS 0 what `mayBeLost` holds need not have; nothing has arrived that was not published; at QoS 0
   * and 2 nothing has arrived twice; first arrivals are in the order of `publish()`, if that is asked for; the client's own account adds up.
   */
  check(
    { mayBeLost = new Set<string>(), isInOrder = true }: { readonly mayBeLost?: ReadonlySet<string>; readonly isInOrder?: boolean } = {},
  ): void {
    const what = `${this.name}, QoS ${this.qos}, MQTT ${this.protocolVersion === 5 ? "5" : "3.1.1"}`;
    const first = [...new Set(this.arrivals)];
    const isExcused = (payload: string) => this.qos === 0 && mayBeLost.has(payload);
    const missing = [...this.acknowledged].filter((payload) => !first.includes(payload) && !isExcused(payload));
    assert.deepEqual(missing, [], `${what}: what was acknowledged has arrived`);
    const strange = first.filter((payload) => !this.acknowledged.has(payload) && !this.unknown.has(payload));
    assert.deepEqual(strange, [], `${what}: what arrived was published, and is unaltered`);
    if (this.qos !== 1) assert.deepEqual(this.arrivals, first, `${what}: nothing arrived twice`);
    const inOrder = this.#published.filter((payload) => first.includes(payload));
    if (isInOrder) assert.deepEqual(first, inOrder, `${what}: first arrivals are in order`);
    assert.equal(this.sessionLostCount, 0, `${what}: the session was kept`);
    const { ledger, cachedItems } = this.client.getStatus();
    const { accepted = 0, delivered = 0 } = ledger ?? {};
    assert.equal(cachedItems, 0, `${what}: nothing is left in the cache`);
    assert.equal(delivered, accepted, `${what}: everything accepted is accounted for as delivered`);
  }

  async close(): Promise<void> {
    await this.client.stop();
    await this.relay.close();
  }
}
