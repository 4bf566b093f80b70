/**
 * What the publisher is told and what it says: its options, the requests it takes, and one report per tick. Plain data, so that it can cross
 * a thread as it is.
 *
 * @module
 */
import type { Broker, Fate, FateOf, Ledger, ServerInfo } from "./ports.ts";
import type { IdRange, MessageId, NumberedMessage, ProtocolVersion } from "./message.ts";

/** An error as plain data: an Error would lose its class on the way to another thread. */
export interface Failure {
  /** Name of the error class. */
  readonly name: string;
  readonly message: string;
  readonly code?: string;
  readonly isStored?: false | "unknown";
  readonly stack?: string;
}

/** Options of the core. Times in milliseconds. */
export interface PublisherOptions {
  readonly clientId: string;
  readonly inFlightMax: "auto" | number;
  readonly ackTimeoutMs: number;
  /** `undefined`: 5, falling back to 4. */
  readonly protocolVersion: ProtocolVersion | undefined;
  readonly sessionExpirySeconds: number;
  /** Name of the group of brokers that share sessions; `undefined`: each broker its own. */
  readonly sessionGroup: string | undefined;
  readonly allowQos0: boolean;
  readonly retainFallback: boolean;
  readonly reconnect: ReconnectOptions;
  /** Ask the main thread for credentials before every connect. */
  readonly asksCredentials: boolean;
}

/** When to connect again. */
export interface ReconnectOptions {
  /** Least delay before a further attempt, milliseconds. @default {1000} */
  readonly delayMsMin: number;
  /** Greatest delay, milliseconds. @default {60000} */
  readonly delayMsMax: number;
  /** The first attempt after a start or a loss waits a random part of this, milliseconds. @default {0} */
  readonly firstSpreadMs: number;
  /** Delays start small again after a connection that held for so long, milliseconds. @default {10000} */
  readonly stableMs: number;
}

/** One `publish()` or `publishMany()`: all of it is stored, or nothing. Ids are consecutive. */
export type PublishRequest = readonly NumberedMessage[];

/** What became of one watched id. */
export interface FateReport {
  readonly id: MessageId;
  readonly fate: FateOf;
  /** Why, for quarantined ones. */
  readonly reason?: string;
  readonly reasonCode?: number;
}

/** A change that a person or a program may want to know of; each becomes an event of the client. */
export type PublisherEvent =
  | { readonly type: "connect"; readonly server: ServerInfo; readonly broker: Broker }
  /** `retryInMs` is missing after `disconnect()` and `stop()`. */
  | {
    readonly type: "disconnect";
    readonly reason: string;
    readonly code?: string;
    readonly reasonCode?: number;
    readonly wasConnected: boolean;
    /** Another client connected under the same client id. */
    readonly isTakenOver: boolean;
    readonly isLoginRefused: boolean;
    readonly retryInMs?: number;
  }
  | { readonly type: "quarantined"; readonly ids: readonly MessageId[]; readonly reason: string; readonly reasonCode?: number }
  /** Nobody wants these any more; they were never sent. */
  | { readonly type: "expired"; readonly ids: readonly MessageId[] }
  | { readonly type: "sessionlost"; readonly requeuedCount: number; readonly duplicatesPossibleCount: number }
  /** Something is wrong that the client goes on trying to get over; for a person. */
  | { readonly type: "error"; readonly error: Failure };

/** Connection as a state of its own; fields exist where they are true. Times are wall clock, milliseconds since 1970. */
export type ConnectionStatus =
  /** Before `connectAsync()` and after `disconnect()`. */
  | { readonly state: "idle"; readonly sinceEpochMs: number }
  | {
    readonly state: "offline";
    readonly sinceEpochMs: number;
    readonly retryAtEpochMs: number;
    readonly attempt: number;
    readonly reason: string;
  }
  | { readonly state: "connecting"; readonly sinceEpochMs: number; readonly attempt: number }
  | { readonly state: "online"; readonly sinceEpochMs: number; readonly server: ServerInfo }
  | { readonly state: "stopped"; readonly sinceEpochMs: number };

/** One consistent moment of the core. */
export interface PublisherStatus {
  readonly connection: ConnectionStatus;
  readonly broker?: Broker;
  readonly ledger: Ledger;
  readonly lastDeliveredId: MessageId;
  /** Exchanges open with the broker. */
  readonly inFlightCount: number;
  /** The window in force; 0 while offline. */
  readonly inFlightMax: number;
  /** Why nothing is sent although connected and messages wait. */
  readonly waitingFor?: string;
  /** Messages whose MQTT 5 properties were left out on 3.1.1. */
  readonly propertiesDroppedCount: number;
  /** Messages sent at a lower QoS than asked, or without RETAIN, because the broker allows no more. */
  readonly downgradedCount: number;
  readonly oldestPendingEpochMs?: number;
  /** The last failure of the store, until it has recovered. */
  readonly storeError?: string;
}

/** How many of the messages that a flush waited for met which fate. */
export type FlushCounts = Record<Exclude<Fate, "refused">, number>;

/** A flush has nothing left to wait for. */
export interface FlushReport {
  readonly flushId: number;
  readonly counts: Readonly<FlushCounts>;
}

/** What one tick has to say. */
export interface TickReport {
  /** Now on disk and synced. */
  readonly stored: readonly IdRange[];
  readonly refused: readonly { readonly ids: IdRange; readonly error: Failure }[];
  /** Taken over by the broker. */
  readonly delivered: readonly IdRange[];
  /** Of watched ids, and of all that ended other than delivered. */
  readonly fates: readonly FateReport[];
  readonly flushed: readonly FlushReport[];
  readonly events: readonly PublisherEvent[];
  readonly status: PublisherStatus;
}
