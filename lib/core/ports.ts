/**
 * What the core needs from the world. Every port is synchronous or fire-and-forget, so that a function's preconditions hold to its last line
 * and the simulator is a plain loop.
 *
 * @module
 */
import type { IdRange, Message, MessageId, NumberedMessage, PacketId, ProtocolVersion, QoS, StoredMessage } from "./message.ts";

/** Two clocks of two names. */
export interface Clock {
  /** Never steps back, counts from an arbitrary moment; for deadlines. */
  monotonicMs(): number;
  /** The wall clock; may jump; for what is stored or shown. */
  epochMs(): number;
}

/** Chance, seeded in the simulator. */
export interface Random {
  /** Uniform in [0, 1). */
  next(): number;
}

// ---------------------------------------------------------------------------------------------------------------- outbox

/**
 * Where a message is on its way, as far as a disk knows.
 *
 * - `sent`: PUBLISH may have left under `packetId`.
 * - `received`: PUBREC was seen (QoS 2); from here only PUBREL may leave.
 * - `requeued`: it was sent before, its exchange is over (session lost, refused for now); it goes again as new, before all that were never sent.
 */
export type Stage = "sent" | "received" | "requeued";

/** A message that was ever sent and has not reached its fate. Without its payload: bounded by the window. */
export interface Flight {
  readonly id: MessageId;
  /** As it was sent: a broker that takes less gets less, and a repeat must be the same packet. */
  readonly qos: QoS;
  readonly stage: Stage;
  /** 0 while `requeued`. */
  readonly packetId: PacketId;
  /** Order of first sending under the present session; resends keep it. */
  readonly sendNumber: number;
  /** Order in which PUBRECs came; 0 until `received`. PUBRELs leave in this order [MQTT-4.6.0-4]. */
  readonly receivedNumber: number;
  /** How often the broker refused it. */
  readonly attempts: number;
}

/** Whose session the packet ids belong to. `none`: the broker's session, if it has one, is to be discarded at the next connect. */
export type SessionOwner = { readonly state: "none" } | { readonly state: "established"; readonly broker: string };

/** How a message left the outbox. `refused` is an id that was given out but never stored. */
export type Fate = "delivered" | "quarantined" | "dropped" | "expired" | "purged" | "damaged" | "refused";

/** What becomes of an id, as far as the cache remembers. `unissued`: never given out here. `forgotten`: it had a fate, no longer known. */
export type FateOf = "pending" | Fate | "unissued" | "forgotten";

/** Durable lifetime counters: `accepted = delivered + quarantined + dropped + expired + purged + damaged + pending` at any moment. */
export interface Ledger {
  /** Ever stored. */
  readonly accepted: number;
  /** Taken over by the broker; at QoS 0, handed to a live connection. */
  readonly delivered: number;
  /** Set aside now. */
  readonly quarantined: number;
  /** Given up for want of room. */
  readonly dropped: number;
  /** Given up because their time was over. */
  readonly expired: number;
  /** Taken out by an operator. */
  readonly purged: number;
  /** Lost in a salvage. */
  readonly damaged: number;
  /** In the outbox, not quarantined: waiting or in flight. */
  readonly pending: number;
  /** Topic, payload and properties of the pending ones, in bytes. */
  readonly pendingBytes: number;
}

/** A message set aside. */
export interface QuarantinedMessage extends StoredMessage {
  /** Why, for a person. */
  readonly reason: string;
  /** Reason code of the broker, if it gave one. */
  readonly reasonCode?: number;
  /** How often the broker refused it. */
  readonly attempts: number;
  /** Wall clock when it was set aside, milliseconds since 1970; may be wrong, is only shown. */
  readonly quarantinedAtEpochMs: number;
}

/** One moment in both of the times that are stored. */
export interface Moment {
  /** Wall clock, milliseconds since 1970; may be wrong. */
  readonly epochMs: number;
  /** Time that this cache is known to have lived through, milliseconds; never steps back. Ages are differences of it. */
  readonly knownMs: number;
}

/** All of one tick's work. Applied in the order of the fields. */
export interface OutboxBatch {
  /** When this is; appended rows carry it, and it is kept as {@linkcode Outbox.lastMoment}. */
  readonly at: Moment;
  /** New rows; ids increase and are at least {@linkcode Outbox.nextMessageId}; ids skipped get the fate `refused`. */
  readonly append?: readonly NumberedMessage[];
  /** Ends every exchange at once: flights in `sent` and `received` become `requeued`, keeping their send order. */
  readonly freePacketIds?: boolean;
  /** Durable before the PUBLISH leaves. Ids may be among `append`, waiting, or `requeued`. */
  readonly sent?: readonly { readonly id: MessageId; readonly packetId: PacketId; readonly sendNumber: number; readonly qos: QoS }[];
  /** PUBREC seen; durable before PUBREL leaves. */
  readonly received?: readonly { readonly id: MessageId; readonly receivedNumber: number }[];
  /** Refused for now: the exchange is over, the message goes again as new. */
  readonly requeued?: readonly { readonly id: MessageId; readonly attempts: number }[];
  /** Rows that reached their fate. */
  readonly removed?: readonly { readonly id: MessageId; readonly fate: "delivered" | "dropped" | "expired" | "purged" }[];
  readonly quarantined?: readonly {
    readonly id: MessageId;
    readonly reason: string;
    readonly reasonCode?: number;
    readonly attempts: number;
  }[];
  /** Replaces whose session it is. */
  readonly session?: SessionOwner;
  /** The last packet id given out; kept through every loss of session. */
  readonly packetIdCursor?: PacketId;
}

/** What went wrong in a store. `full`: no room, nothing of the batch was stored. `failed`: anything else; the batch's outcome is unknown. */
export type StoreErrorKind = "full" | "failed";

/** Thrown by an {@linkcode Outbox}. */
export class StoreError extends Error {
  /** Name of the class. */
  override readonly name: string = "StoreError";
  /** What went wrong. */
  readonly kind: StoreErrorKind;
  /** Says what failed. */
  constructor(kind: StoreErrorKind, message: string, options?: ErrorOptions) {
    super(message, options);
    this.kind = kind;
  }
}

/**
 * The durable queue. Synchronous and atomic: when `commit()` returns, the batch survives a power cut (with `durability: "power-loss"`); when it
 * throws a {@linkcode StoreError} of kind `full` nothing of it was stored, of kind `failed` its outcome is unknown: `reopen()` and read again.
 */
export interface Outbox {
  commit(batch: OutboxBatch): void;
  /** Drops all that is known in memory and reads the disk again. Throws a StoreError while it cannot. */
  reopen(): void;
  /** The least id that `append` takes. */
  nextMessageId(): MessageId;
  session(): SessionOwner;
  packetIdCursor(): PacketId;
  /** In send order. At most a window's worth. */
  flights(): readonly Flight[];
  /** Messages never sent, by id, after `afterId`: at most `countMax` and, but for the first, `bytesMax`. */
  readQueued(afterId: MessageId, countMax: number, bytesMax: number): readonly StoredMessage[];
  /** These messages, in the order of `ids`; a missing one is left out. */
  read(ids: readonly MessageId[]): readonly StoredMessage[];
  /** Kept, never counted. */
  ledger(): Ledger;
  /** The greatest id among the delivered; 0 if none was. */
  lastDeliveredId(): MessageId;
  /** Of the last commit. */
  lastMoment(): Moment;
  fateOf(id: MessageId): FateOf;
  /** Is any message up to this id still pending? */
  hasPendingThrough(id: MessageId): boolean;
  /** By id, after `afterId`, at most `countMax`. */
  readQuarantined(afterId: MessageId, countMax: number): readonly QuarantinedMessage[];
  /** Back to the queue under their own ids; those not quarantined are left out. The ones put back. */
  requeueQuarantined(ids: readonly MessageId[], at: Moment): readonly MessageId[];
  /** Takes pending messages that were never sent, and quarantined ones, out for good (fate `purged`). The ones taken out. */
  purge(ids: readonly MessageId[], at: Moment): readonly MessageId[];
  /** Small facts kept beside the queue, such as the protocol version that a broker speaks. */
  readNote(key: string): string | undefined;
  writeNote(key: string, value: string): void;
  /** When the oldest pending message was stored. */
  oldestPendingEpochMs(): number | undefined;
  close(): void;
}

// ------------------------------------------------------------------------------------------------------------- transport

/** One broker, as an address. */
export interface Broker {
  /** `mqtts` and `wss` are encrypted. */
  readonly protocol: "mqtt" | "mqtts" | "ws" | "wss";
  /** Name or IP address. */
  readonly host: string;
  /** 1 to 65,535. */
  readonly port: number;
  /** Path of a WebSocket URL. */
  readonly path?: string;
}

/** User name and password for one connect; never stored, never shown. */
export interface Credentials {
  /** At most 65,535 bytes of UTF-8. */
  readonly username?: string;
  /** Text; at most 65,535 bytes of UTF-8. */
  readonly password?: string;
}

/** How to connect. */
export interface ConnectRequest {
  readonly broker: Broker;
  readonly protocolVersion: ProtocolVersion;
  /** MQTT 5 Clean Start, 3.1.1 Clean Session. */
  readonly cleanStart: boolean;
  /** Session Expiry Interval to ask for, seconds; MQTT 5 only. */
  readonly sessionExpirySeconds: number;
  readonly credentials?: Credentials;
}

/** What CONNACK said, with the defaults of MQTT where it said nothing. */
export interface ServerInfo {
  /** The broker has kept the session. */
  readonly sessionPresent: boolean;
  /** The version that this connection speaks. */
  readonly protocolVersion: ProtocolVersion;
  /** 65,535 on 3.1.1. */
  readonly receiveMaximum: number;
  /** The greatest that the broker takes. */
  readonly maximumQoS: QoS;
  /** Does the broker take messages with RETAIN? */
  readonly retainAvailable: boolean;
  /** Bytes; 268,435,460 if the broker names none: MQTT's own limit. */
  readonly maximumPacketSize: number;
  /** Seconds in force. */
  readonly keepAliveSeconds: number;
  /** Seconds, as the server decided; Infinity: it never ends. */
  readonly sessionExpirySeconds: number;
}

/** A PUBLISH to write. */
export interface PublishPacket extends Message {
  /** 0 at QoS 0. */
  readonly packetId: PacketId;
  readonly dup: boolean;
}

/** Why there is no connection. */
export interface Disconnection {
  /**
   * How far it had come: `connecting` before CONNECT was written, `handshake` after it and before CONNACK, `online` after CONNACK.
   */
  readonly during: "connecting" | "handshake" | "online";
  /** Who ended it. `timeout`: keep-alive or connect time-out. `protocol`: the broker sent what MQTT forbids. */
  readonly by: "broker" | "network" | "timeout" | "protocol" | "client";
  /** For a person: `connection refused`, `broker closed the connection`. Without secrets. */
  readonly reason: string;
  /** Code of the operating system or runtime, such as `ECONNREFUSED`. */
  readonly code?: string;
  /** CONNACK return code (3.1.1: 1 to 5) or reason code (5: from 0x80). */
  readonly connackCode?: number;
  /** Reason code of the broker's DISCONNECT (MQTT 5). */
  readonly disconnectCode?: number;
}

/**
 * One connection at a time. Methods return at once and throw nothing; answers come to the listener, never from within a call; after
 * `onDisconnected` it is silent until the next `connect()`.
 */
export interface Transport {
  /** Answered by `onConnected` or `onDisconnected`. Only while there is no connection. */
  connect(request: ConnectRequest): void;
  /** Writes PUBLISH packets, in order. Ignored unless connected. */
  publish(packets: readonly PublishPacket[]): void;
  /** Writes PUBREL packets, in order. Ignored unless connected. */
  release(packetIds: readonly PacketId[]): void;
  /** Writes DISCONNECT (the session stays), closes, and answers with `onDisconnected` by `client`. */
  disconnect(): void;
  /** Closes at once without DISCONNECT: the peer is taken for dead. Answers with `onDisconnected` by `client`. */
  abort(): void;
  /** Handed over and not yet taken by the operating system, bytes. */
  bufferedBytes(): number;
  /** Grows with every byte that the operating system takes and every packet that arrives: no growth is no progress. */
  progress(): number;
}

/** Takes note and wakes; nothing else happens within these. */
export interface TransportListener {
  onConnected(server: ServerInfo): void;
  onDisconnected(cause: Disconnection): void;
  /** PUBACK. Reason code 0 on 3.1.1. */
  onAcknowledged(packetId: PacketId, reasonCode: number): void;
  /** PUBREC. */
  onReceived(packetId: PacketId, reasonCode: number): void;
  /** PUBCOMP. */
  onCompleted(packetId: PacketId, reasonCode: number): void;
  /** `bufferedBytes()` has fallen to nothing after it had not. */
  onDrained(): void;
}

/** Ranges of ids, as reports carry them. */
export type IdRanges = readonly IdRange[];
