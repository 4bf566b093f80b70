/**
 * The client under test, whole: the public class with its worker and a cache on the disk, and the broker that the script plays for it.
 *
 * @module
 */
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { ProtocolVersion } from "../../lib/core/message.ts";
import { type MessageId, PersistClient, type PersistClientEventMap, type PersistClientOptions, type PublishProperties } from "../../mod.ts";
import { DEADLINE_MS, within } from "../support/deadline.ts";
import { ScriptedBroker } from "../support/scripted_broker.ts";
import { type Connect, DISCONNECT, type Letter, says, TOPIC, Wire } from "./bytes.ts";
import { Line, PACKET_ID_MAX } from "./line.ts";

/** How the broker answers CONNECT. */
export interface Answer {
  readonly isPresent?: boolean;
  readonly receiveMaximum?: number;
  /** MQTT 5 properties in hexadecimal. */
  readonly properties?: string;
  /** What the CONNECT is to look like, where it differs from that of a client that takes up its session. */
  readonly connect?: Partial<Connect>;
}

/** Options of the client; `protocolVersion` is the device's unless the client is to find out. */
export type DeviceOptions = Partial<Omit<PersistClientOptions, "protocolVersion">> & { readonly findsVersion?: boolean };

type EventType = (typeof EVENT_TYPES)[number];

const EVENT_TYPES = ["connect", "disconnect", "quarantined", "expired", "sessionlost", "refused", "error"] as const;
/** After a loss the client is back within milliseconds. */
const RECONNECT = { delayMsMin: 1, delayMsMax: 5, firstSpreadMs: 0, stableMs: 0 };

/** See above. */
export class Device implements AsyncDisposable {
  readonly wire: Wire;
  readonly broker: ScriptedBroker;
  /** What every CONNECT of this device has of its own. */
  connect: Partial<Connect> = {};
  readonly #options: DeviceOptions;
  readonly #folder: string;
  #client!: PersistClient;
  #line: Line | undefined;
  #lastPacketId = 0;
  #stored: Promise<unknown>[] = [];
  #events: { readonly type: EventType; readonly detail: unknown }[] = [];
  #wake: () => void = () => {};

  private constructor(version: ProtocolVersion, broker: ScriptedBroker, options: DeviceOptions) {
    this.wire = new Wire(version);
    this.broker = broker;
    this.#options = options;
    this.#folder = mkdtempSync(join(tmpdir(), "persistmq-conformance-"));
  }

  /** With a new cache; it has begun to connect. */
  static async create(version: ProtocolVersion, options: DeviceOptions = {}): Promise<Device> {
    const device = new Device(version, await ScriptedBroker.start(), options);
    await device.start();
    return device;
  }

  /** With a new cache and a session that the broker has confirmed. */
  static async established(version: ProtocolVersion, options: DeviceOptions = {}): Promise<Device> {
    const device = await Device.create(version, options);
    await device.begin();
    await device.fence();
    return device;
  }

  get client(): PersistClient {
    return this.#client;
  }

  get version(): ProtocolVersion {
    return this.wire.version;
  }

  /** The present connection. */
  get line(): Line {
    assert.ok(this.#line, "there is a connection");
    return this.#line;
  }

  /** Opens the cache and begins to connect. */
  async start(): Promise<void> {
    const { findsVersion = false, ...options } = this.#options;
    this.#client = new PersistClient({
      clientId: "device",
      cachePath: join(this.#folder, "cache"),
      log: false,
      reconnect: RECONNECT,
      ...(findsVersion ? {} : { protocolVersion: this.version }),
      ...options,
    });
    for (const type of EVENT_TYPES) {
      this.#client.addEventListener(type, ({ detail }) => {
        this.#events.push({ type, detail });
        this.#wake();
      });
    }
    await this.connectAsync();
  }

  /** Once more: whatever patience the client has with its broker, it now tries at once. */
  connectAsync(): Promise<void> {
    return this.#client.connectAsync({ host: "127.0.0.1", port: this.broker.port });
  }

  /** The next connection; nothing of it was read. */
  async accept(): Promise<Line> {
    return this.#line = new Line(await this.broker.accept());
  }

  /** A connection that the client makes by itself, and its CONNECT, which takes up the session unless said otherwise. */
  async knocks(connect: Partial<Connect> = {}): Promise<Line> {
    const line = await this.accept();
    await line.expect(this.wire.connect({ isClean: false, ...this.connect, ...connect }));
    return line;
  }

  /** CONNACK. */
  welcome({ isPresent = true, receiveMaximum, properties = "" }: Answer = {}): void {
    if (receiveMaximum !== undefined) this.line.receiveMaximum = receiveMaximum;
    const all = properties + (receiveMaximum === undefined ? "" : says.receiveMaximum(receiveMaximum));
    this.line.send(this.wire.connack({ isPresent, properties: all }));
  }

  /** A connection that the client makes by itself, up to CONNACK. */
  async online(answer: Answer = {}): Promise<Line> {
    const line = await this.knocks(answer.connect);
    this.welcome(answer);
    return line;
  }

  /** The present connection is lost, and the client makes another. */
  async reconnect(answer: Answer = {}): Promise<Line> {
    this.line.cut();
    return await this.online(answer);
  }

  /** The present connection is lost, and the next one is not yet accepted. */
  async offline(): Promise<Line> {
    this.line.cut();
    return await this.knocks();
  }

  /** The client has the broker discard a session that is not its own, on a connection for this alone. */
  async discards(): Promise<void> {
    const line = await this.online({ isPresent: false, connect: { isClean: true } });
    await line.expect(DISCONNECT);
    await line.end();
  }

  /** The first two connections of a cache whose session at the broker, if there is one, is not its own. */
  async begin(answer: Answer = {}): Promise<Line> {
    await this.discards();
    // On 5 the first has begun a session, which is kept.
    return await this.online({ isPresent: this.version === 5, ...answer });
  }

  /** Hands letters over, all in one turn. */
  publish(...letters: readonly (Letter & { readonly options?: { readonly properties: PublishProperties } })[]): Promise<MessageId[]> {
    const stored = Promise.all(letters.map(({ topic = TOPIC, payload, qos, retain = false, options }) => {
      return this.#client.publish(topic, payload, { qos, retain, ...options });
    }));
    this.#stored.push(stored);
    return stored;
  }

  /** The packet ids that come next, as the standard leaves to the client and the client promises: one after the other. */
  ids(count: number): number[] {
    return Array.from({ length: count }, () => this.#lastPacketId = this.#lastPacketId % PACKET_ID_MAX + 1);
  }

  /** Publishes letters and sees them leave: their packet ids. */
  async send(...letters: readonly Letter[]): Promise<number[]> {
    this.publish(...letters);
    return await this.expectNew(...letters);
  }

  /** Letters leave as new: their packet ids, 0 at QoS 0. */
  async expectNew(...letters: readonly Letter[]): Promise<number[]> {
    const packetIds = letters.map(({ qos }) => qos === 0 ? 0 : this.ids(1)[0]!);
    await this.line.expect(...letters.map((letter, index) => this.wire.publish(letter, packetIds[index])));
    return packetIds;
  }

  /** The next event of this type, and such a one, that was not asked for. */
  async heard<Type extends EventType>(
    type: Type,
    isMeant: (detail: PersistClientEventMap[Type]["detail"]) => boolean = () => true,
  ): Promise<PersistClientEventMap[Type]["detail"]> {
    for (;;) {
      const index = this.#events.findIndex((event) => event.type === type && isMeant(event.detail as never));
      if (index >= 0) return this.#events.splice(index, 1)[0]!.detail as PersistClientEventMap[Type]["detail"];
      await within(new Promise<void>((resolve) => this.#wake = resolve), `the event ${type}`);
    }
  }

  /** So many messages wait or are in flight: what the broker said has sunk in. */
  async pending(count: number): Promise<void> {
    // What was handed over has been counted.
    await within(Promise.all(this.#stored.splice(0)), "all to be stored");
    await this.#until(() => this.#client.getStatus().cachedItems, count, "messages are pending");
  }

  /** So many exchanges are open: refusals have sunk in. */
  async inFlight(count: number): Promise<void> {
    await within(Promise.all(this.#stored.splice(0)), "all to be stored");
    await this.#until(() => this.#client.getStatus().inFlightCount, count, "exchanges are open");
  }

  async #until(look: () => number, count: number, what: string): Promise<void> {
    const deadlineMs = performance.now() + DEADLINE_MS;
    while (look() !== count) {
      assert.ok(performance.now() < deadlineMs, `${look()} ${what}, not ${count}`);
      await new Promise((resolve) => setTimeout(resolve, 1));
    }
  }

  /** What was heard and not asked for. */
  unheard(type: EventType): unknown[] {
    return this.#events.filter((event) => event.type === type).map(({ detail }) => detail);
  }

  /** Nothing leaves before what is published now: a silence that takes no time. */
  async fence(): Promise<void> {
    await this.send({ qos: 0, payload: "fence" });
  }

  /** Everything was delivered, nothing else was said, nothing went wrong: fit for another test. */
  async settle(): Promise<void> {
    await within(this.#client.flush(), "everything to be delivered");
    await this.fence();
    assert.deepEqual(this.line.unread.map(({ packet }) => packet.cmd), [], "nothing was sent that was not asked for");
    const { cachedItems, inFlightCount, workerRestartCount } = this.#client.getStatus();
    assert.deepEqual({ cachedItems, inFlightCount, workerRestartCount }, { cachedItems: 0, inFlightCount: 0, workerRestartCount: 0 });
    assert.deepEqual([...this.unheard("error"), ...this.unheard("refused")], []);
    this.#events = [];
  }

  /** The process ends in good order and another begins. */
  async restart(): Promise<void> {
    await this.fence(); // CONNACK has been heard
    const stopping = this.#client.stop();
    await this.line.expect(DISCONNECT);
    await this.line.end();
    await within(stopping, "the client to stop");
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.broker.close();
    await within(this.#client.stop(), "the client to stop");
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
