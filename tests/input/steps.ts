/**
 * What a program may do with a client, in any order, and what must come of it: a model of the client that knows no more than what is promised.
 *
 * The model's broker takes small messages and refuses large ones for good. Each call is tracked until it has settled, and its outcome must be
 * lawful: allowed by what the model knows.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import { DeliveryError, type MessageInput, type PersistClient, type PublishOptions, StoppedError } from "../../mod.ts";
import { within } from "../support/deadline.ts";
import { checkStatus } from "./lawful_status.ts";

/** The greatest packet that the broker takes. */
export const PACKET_BYTES_MAX = 500;

/** What the program does next. `isAwaited`: and waits for it, where it must come to an end. */
export type Step =
  | {
    readonly step: "publish";
    readonly isLarge: boolean;
    readonly qos: 0 | 1 | 2;
    readonly until: "stored" | "delivered";
    readonly isAwaited: boolean;
  }
  | { readonly step: "publishMany"; readonly count: number; readonly isAwaited: boolean }
  | { readonly step: "publishWrong" }
  | { readonly step: "connectAsync" | "disconnect" | "connected" | "flush" | "quarantined" | "stop"; readonly isAwaited: boolean }
  | { readonly step: "delivered"; readonly which: number; readonly isAwaited: boolean }
  | { readonly step: "requeue" | "purge"; readonly which: readonly number[]; readonly isAwaited: boolean };

const isAwaited = fc.boolean();
/** Messages are named by how long ago they were published; 0 is the next one, which there is not yet. */
const which = fc.nat(12);

const plainStep = fc.constantFrom("connectAsync", "disconnect", "connected", "flush", "quarantined");

/** Any. */
export const anyStep: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      step: fc.constant("publish" as const),
      isLarge: fc.nat(4).map((each) => each === 0),
      qos: fc.constantFrom(0, 1, 2),
      until: fc.constantFrom("stored", "delivered"),
      isAwaited,
    }),
  },
  { weight: 2, arbitrary: fc.record({ step: fc.constant("publishMany" as const), count: fc.integer({ min: 1, max: 5 }), isAwaited }) },
  { weight: 1, arbitrary: fc.constant({ step: "publishWrong" as const }) },
  { weight: 8, arbitrary: fc.record({ step: plainStep, isAwaited }) },
  { weight: 2, arbitrary: fc.record({ step: fc.constant("delivered" as const), which, isAwaited }) },
  {
    weight: 3,
    arbitrary: fc.record({
      step: fc.constantFrom("requeue", "purge"),
      which: fc.array(which, { maxLength: 4 }),
      isAwaited,
    }),
  },
  { weight: 1, arbitrary: fc.record({ step: fc.constant("stop" as const), isAwaited }) },
);

/** What is known of a message. */
export interface ModelMessage {
  readonly id: number;
  readonly qos: 0 | 1 | 2;
  readonly isLarge: boolean;
  /** `publish()` has said so. */
  isStored: boolean;
  isPurged: boolean;
}

type Outcome = { readonly value: unknown } | { readonly error: unknown };

/** A call that was made. */
interface Tracked {
  readonly name: string;
  outcome: Outcome | undefined;
  readonly settled: Promise<void>;
}

/** Drives one client, and knows what it must do. */
export class Model {
  readonly messages: ModelMessage[] = [];
  readonly #client: PersistClient;
  readonly #port: number;
  readonly #topic: string;
  readonly #calls: Tracked[] = [];
  #wish: "none" | "online" | "offline" = "none";
  #isStopped = false;

  constructor(client: PersistClient, port: number, topic: string) {
    this.#client = client;
    this.#port = port;
    this.#topic = topic;
  }

  async take(step: Step): Promise<void> {
    const tracked = this.#take(step);
    checkStatus(this.#client, this.messages.length);
    const mayWait = "isAwaited" in step && step.isAwaited && this.#mustSettle(step);
    if (mayWait) await within(tracked.settled, tracked.name);
    checkStatus(this.#client, this.messages.length);
  }

  /** Stops; by then every call must have come to its end. */
  async end(): Promise<void> {
    await this.take({ step: "stop", isAwaited: true });
    for (const call of this.#calls) await within(call.settled, `${call.name} to settle after stop()`);
    const client = this.#client;
    const after: (() => Promise<unknown>)[] = [
      () => client.publish(this.#topic, "late"),
      () => client.publish(this.#topic, "late", { until: "delivered" }),
      () => client.publishMany([{ topic: this.#topic, payload: "late" }]),
      () => client.connectAsync({ host: "127.0.0.1", port: this.#port }),
      () => client.disconnect(),
      () => client.connected(),
      () => client.flush(),
      () => client.delivered(1),
      () => client.quarantined(),
      () => client.requeue([1]),
      () => client.purge([1]),
    ];
    for (const call of after) await assert.rejects(within(call(), "a call after stop()"), StoppedError);
    await client.stop();
    const { cache, connection, connected, queuedCount } = client.getStatus();
    assert.deepEqual([cache.state, connection.state, connected, queuedCount], ["stopped", "stopped", false, 0]);
  }

  #take(step: Step): Tracked {
    const client = this.#client;
    switch (step.step) {
      case "publish":
        return this.#publish(step);
      case "publishMany": {
        const messages = this.#isStopped ? [] : Array.from({ length: step.count }, () => this.#addMessage(1, false));
        const ids = this.#isStopped ? Array.from({ length: step.count }, () => 0) : messages.map(({ id }) => id);
        const inputs: MessageInput[] = ids.map((id) => ({ topic: `${this.#topic}/${id}`, payload: String(id), qos: 1 }));
        return this.#track("publishMany()", client.publishMany(inputs), (value) => {
          assert.deepEqual(value, ids);
          for (const message of messages) message.isStored = true;
        });
      }
      case "publishWrong":
        return this.#track("publish() of what is wrong", client.publish("a/#", "x"), () => assert.fail("it is refused"), TypeError);
      case "connectAsync":
        if (!this.#isStopped) this.#wish = "online";
        return this.#track("connectAsync()", client.connectAsync({ host: "127.0.0.1", port: this.#port }), () => {});
      case "disconnect":
        if (!this.#isStopped && this.#wish === "online") this.#wish = "offline";
        return this.#track("disconnect()", client.disconnect(), () => {});
      case "connected":
        return this.#track("connected()", client.connected(), (server) => {
          assert.equal((server as { maximumPacketSize: number }).maximumPacketSize, PACKET_BYTES_MAX);
        }, this.#wish === "none" ? Error : StoppedError);
      case "flush":
        return this.#track("flush()", client.flush(), (counts) => {
          const sum = Object.values(counts as Record<string, number>).reduce((all, each) => all + each, 0);
          assert.ok(sum >= 0 && sum <= this.messages.length * 2, JSON.stringify(counts));
        }, this.#wish === "none" ? Error : StoppedError);
      case "delivered": {
        const id = this.#idOf(step.which);
        const message = this.messages[id - 1];
        const promise = client.delivered(id);
        if (message === undefined) return this.#track("delivered() of no message", promise, () => assert.fail("there is none"), RangeError);
        return this.#trackDelivery(`delivered(${id})`, promise, message, undefined);
      }
      case "quarantined":
        return this.#track("quarantined()", client.quarantined({ countMax: 1_000 }), (found) => {
          for (const { id, payload } of found as Awaited<ReturnType<PersistClient["quarantined"]>>) {
            const message = this.messages[id - 1];
            assert.ok(message?.isLarge, `message ${id} is one that the broker refuses`);
            assert.ok(payload.length > PACKET_BYTES_MAX);
          }
        });
      case "requeue":
      case "purge":
        return this.#change(step.step, [...new Set(step.which.map((each) => this.#idOf(each)))]);
      case "stop":
        this.#isStopped = true;
        return this.#track("stop()", client.stop(), () => {});
    }
  }

  #publish({ qos, isLarge, until }: Extract<Step, { step: "publish" }>): Tracked {
    const message = this.#isStopped ? undefined : this.#addMessage(qos, isLarge);
    const id = message?.id ?? 0;
    const options: PublishOptions = { qos, until };
    const payload = isLarge ? String(id).padEnd(2 * PACKET_BYTES_MAX) : String(id);
    const promise = this.#client.publish(`${this.#topic}/${id}`, payload, options);
    if (message !== undefined && until === "delivered") return this.#trackDelivery(`publish() of ${id}, delivered`, promise, message, id);
    return this.#track(`publish() of ${id}`, promise, (value) => {
      assert.equal(value, id);
      message!.isStored = true;
    });
  }

  #change(type: "requeue" | "purge", ids: readonly number[]): Tracked {
    const positive = ids.filter((id) => id > 0);
    // What was stored, and can never have been sent, is there.
    const mustGo = type === "purge" && this.#wish === "none"
      ? positive.filter((id) => this.messages[id - 1]?.isStored && !this.messages[id - 1]?.isPurged)
      : [];
    return this.#track(`${type}() of ${positive}`, this.#client[type](positive), (value) => {
      const changed = value as readonly number[];
      assert.deepEqual(mustGo.filter((id) => !changed.includes(id) && !this.messages[id - 1]!.isPurged), []);
      for (const id of changed) {
        const message = this.messages[id - 1];
        assert.ok(positive.includes(id) && message !== undefined && !message.isPurged, `message ${id} was there and was asked for`);
        if (type === "requeue") assert.ok(message.isLarge);
        else message.isPurged = true;
      }
    });
  }

  #addMessage(qos: 0 | 1 | 2, isLarge: boolean): ModelMessage {
    const message: ModelMessage = { id: this.messages.length + 1, qos, isLarge, isStored: false, isPurged: false };
    this.messages.push(message);
    return message;
  }

  #idOf(which: number): number {
    return Math.max(1, this.messages.length + 1 - which);
  }

  /** Does it come to its end by itself? Some calls wait for a connection that nobody wants. */
  #mustSettle(step: Step): boolean {
    const isOnline = this.#wish === "online" || this.#isStopped;
    switch (step.step) {
      case "publish":
        return step.until === "stored" || isOnline;
      case "connected":
      case "flush":
        return this.#wish !== "offline" || this.#isStopped;
      case "delivered":
        return isOnline || this.messages.length < this.#idOf(step.which);
      default:
        return true;
    }
  }

  #trackDelivery(name: string, promise: Promise<unknown>, message: ModelMessage, value: number | undefined): Tracked {
    return this.#track(name, promise, (actual) => {
      assert.equal(actual, value);
      assert.ok(!message.isLarge && !message.isPurged, "the broker can have it");
    }, (error) => {
      if (error instanceof StoppedError) return;
      assert.ok(error instanceof DeliveryError, String(error));
      assert.equal(error.id, message.id);
      if (error.code === "quarantined") assert.ok(message.isLarge);
      else assert.equal(error.code, "purged");
    });
  }

  /** `allowed`: what it may be rejected with; always also with a StoppedError once stop() was called. */
  #track(
    name: string,
    promise: Promise<unknown>,
    onValue: (value: unknown) => void,
    allowed: ErrorConstructor | typeof StoppedError | ((error: unknown) => void) = StoppedError,
  ): Tracked {
    const call: Tracked = {
      name,
      outcome: undefined,
      settled: promise.then(onValue, (error) => {
        if (this.#isStopped && error instanceof StoppedError) return;
        if (allowed === StoppedError || allowed === Error || allowed.prototype instanceof Error) {
          assert.ok(error instanceof (allowed as ErrorConstructor), `${name}: ${error}`);
        } else (allowed as (error: unknown) => void)(error);
        assert.ok(!(error instanceof StoppedError), `${name}: nobody has stopped it`);
      }),
    };
    // Looked at in the end, whoever waits for it before.
    call.settled.catch(() => {});
    this.#calls.push(call);
    return call;
  }
}
