/**
 * An independent witness of what a broker hands out: connects straight to the broker, not through a relay, keeps its session over broken
 * connections, and is back at once when the broker is.
 *
 * @module
 */
import { randomUUID } from "node:crypto";
import { connect, type IClientOptions, type IPublishPacket, type MqttClient } from "mqtt";
import { within } from "./deadline.ts";

const FENCE_TOPIC = "fence";
const RECONNECT_MS = 20;

/** One message as it arrived. */
export interface Arrival {
  readonly topic: string;
  readonly payload: Uint8Array;
  readonly qos: number;
  readonly retain: boolean;
  readonly properties: NonNullable<IPublishPacket["properties"]>;
}

/** Where to listen, to all that is published. */
export interface SubscriberOptions {
  readonly port: number;
  readonly protocolVersion?: 4 | 5;
  /**
   * The broker keeps what it has for this subscriber while there is no connection. aedes 1.2 must not be asked to: when several PUBRECs of a
   * persistent session arrive together, it releases the last message instead of the first. @default {true}
   */
  readonly isPersistent?: boolean;
  readonly onMessage: (arrival: Arrival) => void;
}

/** See above. */
export class Subscriber {
  readonly #client: MqttClient;
  readonly #fences = new Map<string, () => void>();
  #waitingForSubscribed: (() => void)[] = [];
  #isSubscribed = false;
  readonly #waitingForGone: (() => void)[] = [];

  private constructor({ port, protocolVersion = 4, isPersistent = true, onMessage }: SubscriberOptions) {
    const options: IClientOptions = {
      host: "127.0.0.1",
      port,
      protocol: "mqtt",
      protocolVersion,
      clientId: `subscriber-${randomUUID().slice(0, 8)}`,
      clean: !isPersistent,
      reconnectPeriod: RECONNECT_MS,
      resubscribe: false,
      timerVariant: "native",
      ...(protocolVersion === 5 && isPersistent ? { properties: { sessionExpiryInterval: 3600 } } : {}),
    };
    this.#client = connect(options);
    this.#client.on("error", () => {});
    this.#client.on("close", () => {
      this.#isSubscribed = false;
      for (const resolve of this.#waitingForGone.splice(0)) resolve();
    });
    this.#client.on("connect", ({ sessionPresent }) => {
      if (sessionPresent) this.#subscribed();
      else this.#client.subscribe("#", { qos: 2 }, (error) => error ? undefined : this.#subscribed());
    });
    this.#client.on("message", (messageTopic, payload, packet) => {
      if (messageTopic === FENCE_TOPIC) return this.#fences.get(payload.toString())?.();
      const { qos, retain, properties = {} } = packet;
      onMessage({ topic: messageTopic, payload, qos, retain, properties });
    });
  }

  /** Resolves when the subscription stands. */
  static async start(options: SubscriberOptions): Promise<Subscriber> {
    const subscriber = new Subscriber(options);
    await subscriber.subscribed();
    return subscriber;
  }

  /** Resolves when it is connected and the subscription stands, be it now or again. */
  subscribed(): Promise<void> {
    const subscribed = this.#isSubscribed ? Promise.resolve() : new Promise<void>((resolve) => this.#waitingForSubscribed.push(resolve));
    return within(subscribed, "the subscriber to be connected");
  }

  /** Resolves when it has noticed that its broker is gone: before that, `subscribed()` would speak of the past. */
  gone(): Promise<void> {
    const gone = this.#isSubscribed ? new Promise<void>((resolve) => this.#waitingForGone.push(resolve)) : Promise.resolve();
    return within(gone, "the subscriber to notice that the broker is gone");
  }

  /**
   * Resolves when everything has arrived that the broker had taken over before this call: a broker hands messages of one QoS to one subscriber
   * in the order in which it took them, so a message of our own marks the place.
   */
  async fence(): Promise<void> {
    const name = randomUUID();
    const passed = new Promise<void>((resolve) => this.#fences.set(name, resolve));
    await this.#client.publishAsync(FENCE_TOPIC, name, { qos: 2 });
    await within(passed, "the marker that follows the last message");
    this.#fences.delete(name);
  }

  async stop(): Promise<void> {
    await this.#client.endAsync(true);
  }

  #subscribed(): void {
    this.#isSubscribed = true;
    for (const resolve of this.#waitingForSubscribed.splice(0)) resolve();
  }
}
