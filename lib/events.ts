/**
 * What a client says of itself: its status, and its events.
 *
 * @module
 */
import type { IdRange, Message, MessageId } from "./core/message.ts";
import type { Broker, Ledger, ServerInfo } from "./core/ports.ts";
import type { ConnectionStatus } from "./core/report.ts";

/** The cache as a state of its own; fields exist where they are true. */
export type CacheStatus =
  /** Nothing has been asked of it yet. */
  | { readonly state: "closed" }
  /** A worker is being started and opens it. */
  | { readonly state: "opening" }
  | {
    readonly state: "open";
    /** The folder, absolute. */
    readonly path: string;
    /** Random identity of this cache, 32 hexadecimal digits. */
    readonly identity: string;
    /** What a person should know, such as a check that could not be made. */
    readonly warnings: readonly string[];
  }
  /** It could not be opened; `willRetry`: it is tried again by itself, otherwise by the next `publish()` or `connectAsync()`. */
  | { readonly state: "failed"; readonly reason: string; readonly willRetry: boolean }
  | { readonly state: "stopped" };

/** One consistent moment of a client. */
export interface PersistStatus {
  /** Is there a connection to the broker? */
  readonly connected: boolean;
  /** The greatest MessageId among the delivered; 0 if none was, or the cache was not open yet. */
  readonly lastMid: MessageId;
  /** Messages stored and not yet delivered, without the quarantined ones; 0 while the cache was not open yet. */
  readonly cachedItems: number;
  /** Messages handed to `publish()` and not yet stored. */
  readonly queuedCount: number;
  /** What they count for, bytes; at most `queueBytesMax`. */
  readonly queuedBytes: number;
  /** The cache. */
  readonly cache: CacheStatus;
  /** The connection in detail. */
  readonly connection: ConnectionStatus;
  /** The broker that is, or is to be, connected. */
  readonly broker?: Broker;
  /** Durable lifetime counters of this cache: `accepted = delivered + quarantined + dropped + expired + purged + damaged + pending`. */
  readonly ledger?: Ledger;
  /** Exchanges open with the broker. */
  readonly inFlightCount: number;
  /** How many may be open; 0 while there is no connection. */
  readonly inFlightMax: number;
  /** Why nothing is sent although there is a connection and messages wait. */
  readonly waitingFor?: string;
  /** Wall clock when the oldest of the cached messages was stored, milliseconds since 1970. */
  readonly oldestPendingEpochMs?: number;
  /** Messages whose MQTT 5 properties were left out on 3.1.1. */
  readonly propertiesDroppedCount: number;
  /** Messages sent at a lower QoS than asked, or without RETAIN, because the broker allows no more. */
  readonly downgradedCount: number;
  /** The last failure of the disk, until it has recovered. */
  readonly storeError?: string;
  /** How often the worker had to be started again. */
  readonly workerRestartCount: number;
}

/** Detail of `connect`. */
export interface ConnectDetail {
  /** The broker connected to. */
  readonly broker: Broker;
  /** What its CONNACK said. */
  readonly server: ServerInfo;
}

/** Detail of `disconnect`. */
export interface DisconnectDetail {
  /** For a person. */
  readonly reason: string;
  /** Code of the operating system or runtime, such as `ECONNREFUSED`. */
  readonly code?: string;
  /** Reason code of the broker, if it gave one. */
  readonly reasonCode?: number;
  /** False: this attempt to connect had not succeeded. */
  readonly wasConnected: boolean;
  /** Another client with the same clientId has taken the session. */
  readonly isTakenOver: boolean;
  /** The broker did not accept the credentials. */
  readonly isLoginRefused: boolean;
  /** The next attempt, milliseconds from now; missing after `disconnect()` and `stop()`. */
  readonly retryInMs?: number;
}

/** Detail of `delivered`. */
export interface DeliveredDetail {
  /** First and last id of each run. */
  readonly ids: readonly IdRange[];
}

/** Detail of `refused`. */
export interface RefusedDetail {
  /** What the promise of `publish()` was rejected with. */
  readonly error: Error;
  /** `false`: not stored. `"unknown"`: the disk failed while storing, they may still be delivered. */
  readonly isStored: false | "unknown";
  /** The messages, to keep them elsewhere; empty if they were no valid messages. */
  readonly messages: readonly Message[];
}

/** Detail of `quarantined`. */
export interface QuarantinedDetail {
  /** The messages set aside. */
  readonly ids: readonly MessageId[];
  /** For a person. */
  readonly reason: string;
  /** Reason code of the broker, if it gave one. */
  readonly reasonCode?: number;
}

/** Detail of `expired`. */
export interface ExpiredDetail {
  /** The messages that nobody wants any more, by their `messageExpiryInterval`. They were never sent. */
  readonly ids: readonly MessageId[];
}

/** Detail of `sessionlost`. */
export interface SessionLostDetail {
  /** Messages in flight that are sent again as new. */
  readonly requeuedCount: number;
  /** Of these, how many the broker may have had already. */
  readonly duplicatesPossibleCount: number;
}

/** Detail of `error`. */
export interface ErrorDetail {
  /** What is wrong. */
  readonly error: Error;
}

/** The events of a client, each a `CustomEvent` with this detail. */
export interface PersistClientEventMap {
  /** The broker has accepted a connection. */
  connect: CustomEvent<ConnectDetail>;
  /** A connection has ended, or an attempt has failed. */
  disconnect: CustomEvent<DisconnectDetail>;
  /** The broker has taken messages over. */
  delivered: CustomEvent<DeliveredDetail>;
  /** Messages handed to `publish()` were not stored: for those who do not wait for its promise. */
  refused: CustomEvent<RefusedDetail>;
  /** Messages were set aside, as the broker refuses them for good. */
  quarantined: CustomEvent<QuarantinedDetail>;
  /** Messages were left out because their time was over before they could be sent. */
  expired: CustomEvent<ExpiredDetail>;
  /** The broker has forgotten the session: what was in flight goes again as new. */
  sessionlost: CustomEvent<SessionLostDetail>;
  /** Something is wrong that the client goes on trying to get over. */
  error: CustomEvent<ErrorDetail>;
  /** The status has changed; at most ten times a second, but at once when the connection or the cache has changed state. */
  status: CustomEvent<PersistStatus>;
}

/** Hears one kind of event. What it throws is its own: the runtime reports it as an uncaught error. */
export type PersistClientListener<Type extends keyof PersistClientEventMap> =
  | ((event: PersistClientEventMap[Type]) => void)
  | { handleEvent(event: PersistClientEventMap[Type]): void };

/** How often `status` comes at most while only numbers change, milliseconds. */
const STATUS_INTERVAL_MS = 100;

/**
 * Events on their way to listeners: dispatched in a microtask of their own, after the state that they tell of is settled, as a listener may
 * call back or throw.
 */
export class EventQueue {
  readonly #target: EventTarget;
  readonly #createStatus: () => PersistStatus;
  #events: Event[] = [];
  #statusTimer: ReturnType<typeof setTimeout> | undefined;
  #statusMs = -Infinity;

  /** Dispatches to `target`; asks for the status when it is to be told. */
  constructor(target: EventTarget, createStatus: () => PersistStatus) {
    this.#target = target;
    this.#createStatus = createStatus;
  }

  /** One event. */
  add<Type extends keyof PersistClientEventMap>(type: Type, detail: PersistClientEventMap[Type]["detail"]): void {
    if (this.#events.push(new CustomEvent(type, { detail })) === 1) queueMicrotask(() => this.#dispatch());
  }

  /** The status has changed. `isUrgent`: in more than numbers. */
  changeStatus(isUrgent: boolean): void {
    const waitMs = isUrgent ? 0 : this.#statusMs + STATUS_INTERVAL_MS - performance.now();
    if (waitMs > 0) {
      this.#statusTimer ??= setTimeout(() => this.changeStatus(true), waitMs);
      return;
    }
    clearTimeout(this.#statusTimer);
    this.#statusTimer = undefined;
    this.#statusMs = performance.now();
    this.add("status", this.#createStatus());
  }

  #dispatch(): void {
    const events = this.#events;
    this.#events = [];
    for (const event of events) this.#target.dispatchEvent(event);
  }
}
