/**
 * The public face: what a program calls. Checks what it is given, and leaves the rest to the courier.
 *
 * @module
 */
import { type BrokerAddress, type ConnectOptions, resolveAddress, showBroker } from "./address.ts";
import { checkInteger, checkSignal, checkWord, readKeys, show, TIMER_MS_MAX } from "./checks.ts";
import type { Message, MessageId } from "./core/message.ts";
import type { QuarantinedMessage, ServerInfo } from "./core/ports.ts";
import type { FlushCounts } from "./core/report.ts";
import { Courier } from "./courier.ts";
import { CacheError } from "./errors.ts";
import { EventQueue, type PersistClientEventMap, type PersistClientListener, type PersistStatus } from "./events.ts";
import { MESSAGE_OVERHEAD_BYTES } from "./intake.ts";
import { Log } from "./log.ts";
import { type PersistClientOptions, resolveOptions } from "./options.ts";
import {
  MESSAGE_OPTION_KEYS,
  type MessageInput,
  type MessageOptions,
  type Payload,
  publishAction,
  type ResolvedMessage,
  resolveMessage,
} from "./resolve_message.ts";

/** What `publish()` and `publishMany()` wait for. */
export interface PublishWaitOptions {
  /**
   * `"stored"`: the promise resolves when the message is on disk and synced. `"delivered"`: when the broker has taken it over; it rejects with a
   * DeliveryError if that will never be.
   * @default {"stored"}
   */
  readonly until?: "stored" | "delivered";
  /** Ends the waiting only: what was handed over is stored and delivered all the same. Already aborted: nothing is stored. */
  readonly signal?: AbortSignal;
}

/** How a message is published, and what the promise waits for. */
export interface PublishOptions extends MessageOptions, PublishWaitOptions {}

/** For what may take long. */
export interface WaitOptions {
  /** Ends the waiting only. */
  readonly signal?: AbortSignal;
}

/** Which part of the quarantined messages. */
export interface QuarantinedOptions {
  /** Only those with a greater id. @default {0} */
  readonly afterId?: MessageId;
  /** At most so many, 1 to 1,000. @default {100} */
  readonly countMax?: number;
}

/** How to stop. */
export interface StopOptions {
  /** How long to go on delivering what is in the cache, milliseconds, 0 to 2,147,483,647. @default {0} */
  readonly drainMs?: number;
}

/** How many messages one `publishMany()` takes, and how many ids `requeue()` and `purge()`. */
const ITEMS_PER_CALL_MAX = 100_000;
const QUARANTINED_COUNT_MAX = 1_000;

const PUBLISH_KEYS = [...MESSAGE_OPTION_KEYS, "until", "signal"] as const;

/**
 * Publishes to an MQTT broker by way of a cache on disk: what was stored reaches the broker, however often the link, the broker, the process
 * or the power goes away.
 *
 * From its first use until `stop()` a client keeps the process alive. `await using` stops it at the end of the block.
 *
 * Listeners are called after the client's own state is settled, one event after the other; what a listener throws is its own, and is an
 * uncaught error to the runtime.
 *
 * @example Store first, deliver when there is a broker
 * ```ts
 * import { PersistClient } from "@persistmq/persistmq";
 *
 * await using client = new PersistClient({ clientId: "meter-7", cachePath: "./meter-7" });
 * await client.connectAsync("mqtt://localhost"); // the cache is open; the broker may come later
 * const id = await client.publish("plant/power", "42.1"); // on disk from here on
 * console.log(id, client.getStatus().cachedItems);
 * ```
 *
 * @example Hear of what did not go well
 * ```ts
 * import { PersistClient } from "@persistmq/persistmq";
 *
 * await using client = new PersistClient({ clientId: "meter-8", log: false });
 * client.addEventListener("refused", ({ detail }) => console.error(`not stored: ${detail.error.message}`));
 * client.addEventListener("quarantined", ({ detail }) => console.error(`refused by the broker: ${detail.ids}`));
 * client.publish("no/wildcard/#", "42.1"); // need not be waited for
 * ```
 */
export class PersistClient extends EventTarget implements AsyncDisposable {
  /** Name of the session and the cache. */
  readonly clientId: string;
  readonly #asksCredentials: boolean;
  readonly #log: Log;
  readonly #events: EventQueue;
  readonly #courier: Courier;

  /**
   * Checks the options; opens nothing and starts nothing until the first `connectAsync()` or `publish()`.
   *
   * @throws {TypeError} If an option is unknown or of the wrong kind.
   * @throws {RangeError} If a number is out of its range.
   */
  constructor(options: PersistClientOptions) {
    super();
    const resolved = resolveOptions(options);
    this.clientId = resolved.worker.clientId;
    this.#asksCredentials = resolved.credentials !== undefined;
    this.#log = new Log(this.clientId, resolved.log);
    this.#events = new EventQueue(this, () => this.getStatus());
    this.#courier = new Courier(resolved, this.#events, this.#log);
  }

  /**
   * Opens the cache and begins to connect: resolves when the cache is open, not when the broker has answered (for that, see `connected()`).
   * From then on the client connects again by itself whenever it must. Calling it again changes the broker.
   *
   * Not awaiting the promise never ends the process; a failure comes as an `error` event as well. If only the cache could not be opened, the
   * wish stands: connecting begins as soon as a later call, or a `publish()`, opens it.
   *
   * @param address A URL with `mqtt:`, `mqtts:`, `ws:` or `wss:`, or its parts. Credentials in a URL are used and never shown.
   * @param options Credentials, if they do not stand in the URL.
   * @throws {TypeError} If the address is none.
   * @throws {RangeError} If the port is out of range.
   * @throws {CacheLockedError} If another client holds the cache.
   * @throws {CacheError} If the cache cannot be opened.
   * @throws {StoppedError} After `stop()`.
   */
  connectAsync(address: string | URL | BrokerAddress, options?: ConnectOptions): Promise<void> {
    return handled(this.#connect(address, options));
  }

  async #connect(address: unknown, options: unknown): Promise<void> {
    let target: ReturnType<typeof resolveAddress>;
    try {
      target = resolveAddress(address, options, this.#asksCredentials);
      this.#courier.checkRunning(`Cannot connect to ${showBroker(target.broker)}`);
    } catch (error) {
      this.#events.add("error", { error: error as Error });
      this.#log.write("warn", "error", (error as Error).message);
      throw error;
    }
    await this.#courier.connect(target);
  }

  /**
   * Resolves with what the broker said: at once if there is a connection, otherwise when there is one.
   *
   * @param options A signal.
   * @throws {StoppedError} On `stop()`.
   * @throws {Error} If `connectAsync()` was never called.
   */
  async connected(options?: WaitOptions): Promise<ServerInfo> {
    return await this.#courier.connected(this.#checkWait(options, "Cannot wait for a connection", true));
  }

  /**
   * Goes offline and goes on storing, as on a metered link, until `connectAsync()` is called again. The session stays at the broker. Resolves
   * when the connection is closed.
   *
   * @throws {StoppedError} After `stop()`.
   */
  async disconnect(): Promise<void> {
    this.#courier.checkRunning("Cannot disconnect");
    await this.#courier.disconnect();
  }

  /**
   * Stores a message, to be delivered to the broker. Resolves with its MessageId when it is on disk and synced, or, with `until:
   * "delivered"`, when the broker has taken it over. May be called before `connectAsync()`: the first call opens the cache.
   *
   * Not awaiting the promise never ends the process; a failure comes as a `refused` event as well. Promises derived from it, as by `then()`,
   * are the caller's.
   *
   * @param topic 1 to 65,535 bytes of UTF-8, without wildcards. Control characters are sent as they are, but a broker may refuse them.
   * @param payload Copied before the call returns. `null` is an empty payload.
   * @param options How it is published, and what the promise waits for.
   * @throws {TypeError} If topic, payload or an option is none that MQTT can carry. Nothing was stored.
   * @throws {RangeError} If something is too long or out of range. Nothing was stored.
   * @throws {CacheFullError} If there is no room, in memory (`queueBytesMax`) or on disk. Nothing was stored.
   * @throws {CacheError} If it could not be stored; `isStored` is `"unknown"` if it may be delivered all the same.
   * @throws {StoppedError} After `stop()`. Nothing was stored. With `until: "delivered"` also on `stop()`: it stays in the cache.
   * @throws {DeliveryError} With `until: "delivered"`, if it will not be delivered.
   */
  publish(topic: string, payload: Payload, options?: PublishOptions): Promise<MessageId>;
  publish(...given: readonly unknown[]): Promise<MessageId> {
    return handled(this.#publish(given));
  }

  /**
   * Stores several messages in one commit, all of them or none. Their ids are consecutive, in the order given. Otherwise like `publish()`.
   *
   * @param messages At most 100,000.
   * @param options What the promise waits for.
   * @throws {TypeError | RangeError} If one of them cannot be published. None was stored.
   * @throws {CacheFullError | CacheError | StoppedError | DeliveryError} As with `publish()`.
   */
  publishMany(messages: readonly MessageInput[], options?: PublishWaitOptions): Promise<MessageId[]> {
    return handled(this.#publishMany(messages, options));
  }

  async #publish(given: readonly unknown[]): Promise<MessageId> {
    const [topic, payload, options] = given;
    const action = publishAction(topic);
    const [message, wait] = this.#check(() => {
      refuseForeignCall(given, action);
      const { until, signal, ...messageOptions } = readKeys(options, PUBLISH_KEYS, action, "the options");
      return [resolveMessage(topic, payload, messageOptions), resolveWaitOptions(until, signal, action)];
    });
    return await this.#hand([message], wait, action);
  }

  async #publishMany(messages: unknown, options: unknown): Promise<MessageId[]> {
    const action = "Cannot publish messages";
    const [resolved, wait] = this.#check(() => {
      const { until, signal } = readKeys(options, ["until", "signal"], action, "the options");
      const resolved = checkArray(messages, "they", action).map((message) => {
        const { topic, payload, ...rest } = readKeys(message ?? null, ["topic", "payload", ...MESSAGE_OPTION_KEYS], action, "a message");
        return resolveMessage(topic, payload, rest);
      });
      return [resolved, resolveWaitOptions(until, signal, action)];
    });
    if (resolved.length === 0) return [];
    const firstId = await this.#hand(resolved, wait, action);
    return resolved.map((_, index) => firstId + index);
  }

  /** From here on the messages are on their way to the disk. Resolves with the first id. */
  #hand(resolved: readonly ResolvedMessage[], { until, signal }: ResolvedWaitOptions, action: string): Promise<MessageId> {
    signal?.throwIfAborted();
    const messages = resolved.map(({ message }) => message);
    const byteCount = resolved.reduce((sum, { byteCount }) => sum + byteCount + MESSAGE_OVERHEAD_BYTES, 0);
    return this.#check(() => {
      this.#courier.checkRunning(action);
      return this.#courier.publish(messages, byteCount, until, signal, (error) => this.#sayRefused(error, messages));
    }, messages);
  }

  #check<Value>(check: () => Value, messages: readonly Message[] = []): Value {
    try {
      return check();
    } catch (error) {
      this.#sayRefused(error as Error, messages);
      throw error;
    }
  }

  /** To those who do not wait for the promise. */
  #sayRefused(error: Error, messages: readonly Message[]): void {
    this.#events.add("refused", { error, isStored: error instanceof CacheError ? error.isStored : false, messages });
    this.#log.write("warn", "refused", error.message);
  }

  /**
   * Resolves when this message was delivered, also one from before a restart of the process.
   *
   * @param id As `publish()` gave it.
   * @param options A signal.
   * @throws {DeliveryError} If it will not be delivered; `code` says what became of it. `"forgotten"`: it is so long ago that it is not known.
   * @throws {RangeError} If this cache has never issued the id.
   * @throws {StoppedError} On `stop()`.
   */
  async delivered(id: MessageId, options?: WaitOptions): Promise<void> {
    const action = `Cannot wait for message ${show(id)}`;
    checkInteger(id, "the id", 1, Number.MAX_SAFE_INTEGER, action);
    await this.#courier.delivered(id, this.#checkWait(options, action), action);
  }

  /**
   * Resolves when every message handed over before the call has met its fate, with how many of them met which since the call (or since the
   * worker's last restart, should there be one meanwhile).
   *
   * @param options A signal.
   * @throws {StoppedError} On `stop()`.
   * @throws {Error} If `connectAsync()` was never called: nothing would be delivered.
   */
  async flush(options?: WaitOptions): Promise<FlushCounts> {
    return await this.#courier.flush(this.#checkWait(options, "Cannot flush", true));
  }

  /**
   * The messages that were set aside because the broker refuses them for good, by id, one page of them.
   *
   * @param options Which page.
   * @throws {CacheError} If the cache cannot be read.
   * @throws {StoppedError} After `stop()`.
   */
  async quarantined(options?: QuarantinedOptions): Promise<readonly QuarantinedMessage[]> {
    const action = "Cannot list the quarantined messages";
    const { afterId = 0, countMax = 100 } = readKeys(options, ["afterId", "countMax"], action, "the options");
    this.#courier.checkRunning(action);
    const answer = await this.#courier.ask({
      type: "quarantined",
      afterId: checkInteger(afterId, "afterId", 0, Number.MAX_SAFE_INTEGER, action),
      countMax: checkInteger(countMax, "countMax", 1, QUARANTINED_COUNT_MAX, action),
    });
    return answer.quarantined ?? [];
  }

  /**
   * Puts quarantined messages back into the queue. Resolves with the ids put back; those that are not quarantined are left out.
   *
   * @param ids At most 100,000.
   * @throws {CacheError} If the cache cannot be written.
   * @throws {StoppedError} After `stop()`.
   */
  async requeue(ids: readonly MessageId[]): Promise<readonly MessageId[]> {
    return await this.#change("requeue", ids, "Cannot requeue messages");
  }

  /**
   * Takes quarantined messages, and those that were never sent, out of the cache for good. Resolves with the ids taken out; a message that
   * was ever sent stays.
   *
   * @param ids At most 100,000.
   * @throws {CacheError} If the cache cannot be written.
   * @throws {StoppedError} After `stop()`.
   */
  async purge(ids: readonly MessageId[]): Promise<readonly MessageId[]> {
    return await this.#change("purge", ids, "Cannot purge messages");
  }

  async #change(type: "requeue" | "purge", ids: unknown, action: string): Promise<readonly MessageId[]> {
    const checked = checkArray(ids, "the ids", action).map((id) => checkInteger(id, "an id", 1, Number.MAX_SAFE_INTEGER, action));
    this.#courier.checkRunning(action);
    return (await this.#courier.ask({ type, ids: checked })).ids ?? [];
  }

  /** A snapshot, as fresh as the worker's last report. */
  getStatus(): PersistStatus {
    return this.#courier.status();
  }

  /**
   * Stores all that was handed over, goes on delivering for `drainMs` at most, disconnects so that the broker keeps the session, and closes the
   * cache. What was not delivered stays there for the next start. Afterwards nothing of the client keeps the process alive. What could not be
   * stored was refused to those who published it. Calling it again waits for the same end.
   *
   * @param options How long to go on.
   * @throws {TypeError | RangeError} If `drainMs` is out of range.
   */
  async stop(options?: StopOptions): Promise<void> {
    const action = "Cannot stop";
    const { drainMs = 0 } = readKeys(options, ["drainMs"], action, "the options");
    await this.#courier.stop(checkInteger(drainMs, "drainMs", 0, TIMER_MS_MAX, action));
  }

  /** Equals `stop()`. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop();
  }

  /** Listens for one kind of event. `options.signal` ends it. */
  override addEventListener<Type extends keyof PersistClientEventMap>(
    type: Type,
    listener: PersistClientListener<Type> | null,
    options?: boolean | AddEventListenerOptions,
  ): void {
    super.addEventListener(type, listener as EventListenerOrEventListenerObject | null, options);
  }

  /** Listens no more. */
  override removeEventListener<Type extends keyof PersistClientEventMap>(
    type: Type,
    listener: PersistClientListener<Type> | null,
    options?: boolean | EventListenerOptions,
  ): void {
    super.removeEventListener(type, listener as EventListenerOrEventListenerObject | null, options);
  }

  #checkWait(options: unknown, action: string, needsTarget = false): AbortSignal | undefined {
    const { signal } = readKeys(options, ["signal"], action, "the options");
    const checked = checkSignal(signal, action);
    checked?.throwIfAborted();
    this.#courier.checkRunning(action);
    if (needsTarget && !this.#courier.wasTargeted) throw new Error(`${action}: connectAsync() was never called`);
    return checked;
  }
}

interface ResolvedWaitOptions {
  readonly until: "stored" | "delivered";
  readonly signal: AbortSignal | undefined;
}

function resolveWaitOptions(until: unknown = "stored", signal: unknown, action: string): ResolvedWaitOptions {
  return { until: checkWord(until, "until", ["stored", "delivered"], action), signal: checkSignal(signal, action) };
}

/** A call as another MQTT client takes it would be half understood. */
function refuseForeignCall(given: readonly unknown[], action: string): void {
  const [, , options, ...rest] = given;
  const example = `publish("a/topic", "payload", { qos: ${options === 0 || options === 1 ? options : 2} })`;
  if (typeof options === "number") throw new TypeError(`${action}: QoS stands in the options: ${example}`);
  if (typeof options === "function" || rest.length > 0) {
    throw new TypeError(`${action}: there is no callback or fourth argument, the call returns a promise: await ${example}`);
  }
}

function checkArray(value: unknown, name: string, action: string): readonly unknown[] {
  if (!Array.isArray(value)) throw new TypeError(`${action}: ${name} are ${show(value)}, not an array`);
  if (value.length > ITEMS_PER_CALL_MAX) throw new RangeError(`${action}: there are ${value.length}, more than ${ITEMS_PER_CALL_MAX}`);
  return Array.from(value);
}

/** A promise that nobody needs to wait for: its rejection ends no process. */
function handled<Value>(promise: Promise<Value>): Promise<Value> {
  promise.catch(() => {});
  return promise;
}
