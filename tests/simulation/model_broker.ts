/**
 * A broker as far as a publisher can tell one from another: when it hands a QoS 2 message on, how it takes a repeat, what it allows, and whether
 * it remembers. Messages carry their number as payload, so what it delivers can be counted.
 */
import type { PublishPacket, ServerInfo } from "../../lib/core/ports.ts";
import type { MessageId, PacketId, ProtocolVersion, QoS } from "../../lib/core/message.ts";

export interface BrokerOptions {
  /** Method A of the standard hands a QoS 2 message on at PUBLISH, method B at PUBREL. */
  deliversAt: "publish" | "release";
  speaks: readonly ProtocolVersion[];
  /** How a version that is not spoken is refused. */
  refusesBy: "connack" | "close";
  receiveMaximum: number;
  maximumQoS: QoS;
  retainAvailable: boolean;
  maximumPacketSize: number;
  /** A repeat of a QoS 2 PUBLISH is answered with 0x91 (MQTT 5). */
  answersInUse: boolean;
  /** A packet id that comes with another message is no repeat to it. */
  comparesContent: boolean;
  /** Says "session present" = 0 even where it kept one. */
  deniesSession: boolean;
  /** Reason code for a PUBLISH; 0: fine. */
  judge: (id: MessageId, packet: PublishPacket) => number;
  /** CONNACK code for the next connect; 0: welcome. */
  admits: (version: ProtocolVersion, username: string | undefined) => number;
}

export const BROKER_DEFAULTS: BrokerOptions = {
  deliversAt: "release",
  speaks: [4, 5],
  refusesBy: "connack",
  receiveMaximum: 20,
  maximumQoS: 2,
  retainAvailable: true,
  maximumPacketSize: 268_435_460,
  answersInUse: false,
  comparesContent: false,
  deniesSession: false,
  judge: () => 0,
  admits: () => 0,
};

interface BrokerSession {
  /** QoS 2 packet ids that wait for PUBREL. */
  readonly held: Map<PacketId, MessageId>;
  readonly isTransient: boolean;
}

export type Answer = {
  readonly packet: "PUBACK" | "PUBREC" | "PUBCOMP";
  readonly packetId: PacketId;
  readonly reasonCode: number;
};

/** A message's number over all caches of a device, from its payload. */
export function serialOf(payload: Uint8Array): number {
  return Number(new TextDecoder().decode(payload));
}

export class ModelBroker {
  readonly options: BrokerOptions;
  /** In the order they were handed on to subscribers. */
  readonly delivered: MessageId[] = [];
  /** Every PUBLISH that came in, in order. */
  readonly seen: { readonly id: MessageId; readonly packet: PublishPacket }[] = [];
  /** A client connects and finds no session: what it has in flight may come twice from here on. */
  onSessionAbsent: (clientId: string) => void = () => {};
  onSessionPresent: (clientId: string) => void = () => {};
  /**
   * A message came under a packet id that stands for another one here: taken for a repeat, it is gone. Told only where that is the broker's own
   * fault: it holds ids that were finished long ago, or belonged to another cache, because it came back older or denied having kept them.
   */
  onSwallowed: (serial: number) => void = () => {};
  readonly #sessions = new Map<string, BrokerSession>();
  #wasRolledBack = false;
  #saved = new Map<string, BrokerSession>();

  constructor(options: Partial<BrokerOptions> = {}) {
    this.options = { ...BROKER_DEFAULTS, ...options };
  }

  connect(
    clientId: string,
    version: ProtocolVersion,
    isClean: boolean,
  ): ServerInfo {
    if (isClean) this.#sessions.delete(clientId);
    const sessionPresent = this.#sessions.has(clientId) &&
      !this.options.deniesSession;
    if (sessionPresent) this.onSessionPresent(clientId);
    else {
      this.#wasRolledBack = false;
      this.onSessionAbsent(clientId);
    }
    if (!this.#sessions.has(clientId)) {
      this.#sessions.set(clientId, {
        held: new Map(),
        isTransient: version === 4 && isClean,
      });
    }
    const { receiveMaximum, maximumQoS, retainAvailable, maximumPacketSize } = this.options;
    const is5 = version === 5;
    return {
      sessionPresent,
      protocolVersion: version,
      receiveMaximum: is5 ? receiveMaximum : 65_535,
      maximumQoS: is5 ? maximumQoS : 2,
      retainAvailable: is5 ? retainAvailable : true,
      maximumPacketSize: is5 ? maximumPacketSize : 268_435_460,
      keepAliveSeconds: 60,
      sessionExpirySeconds: is5 ? 2_592_000 : Infinity,
    };
  }

  disconnect(clientId: string): void {
    if (this.#sessions.get(clientId)?.isTransient) {
      this.#sessions.delete(clientId);
    }
  }

  hasSession(clientId: string): boolean {
    return this.#sessions.has(clientId);
  }

  /** It was killed, or its memory of this client ran out. */
  loseSessions(): void {
    this.#sessions.clear();
  }

  /** Saves its sessions now and then, as some do; `comeBack()` is a start from what was saved. */
  save(): void {
    this.#saved = new Map([...this.#sessions].map(([clientId, session]) => [clientId, { ...session, held: new Map(session.held) }]));
  }

  comeBack(): void {
    this.#wasRolledBack = true;
    this.#sessions.clear();
    for (const [clientId, session] of this.#saved) this.#sessions.set(clientId, { ...session, held: new Map(session.held) });
  }

  /** Messages that it holds and has not handed on: lost with the session. */
  heldIds(clientId: string): readonly MessageId[] {
    return this.options.deliversAt === "publish" ? [] : [...this.#sessions.get(clientId)?.held.values() ?? []];
  }

  takePublish(
    clientId: string,
    packet: PublishPacket,
    version: ProtocolVersion,
  ): Answer | undefined {
    const id = serialOf(packet.payload);
    this.seen.push({ id, packet });
    const session = this.#sessions.get(clientId);
    const reasonCode = version === 5 ? this.options.judge(id, packet) : 0;
    if (packet.qos === 0) {
      if (reasonCode === 0) this.delivered.push(id);
      return undefined;
    }
    if (packet.qos === 1) {
      if (reasonCode < 0x80) this.delivered.push(id);
      return { packet: "PUBACK", packetId: packet.packetId, reasonCode };
    }
    const heldId = session?.held.get(packet.packetId);
    if (heldId !== undefined && (heldId === id || !this.options.comparesContent)) {
      if (heldId !== id && (this.#wasRolledBack || this.options.deniesSession)) this.onSwallowed(id);
      return {
        packet: "PUBREC",
        packetId: packet.packetId,
        reasonCode: version === 5 && this.options.answersInUse ? 0x91 : 0,
      };
    }
    if (reasonCode >= 0x80) {
      return { packet: "PUBREC", packetId: packet.packetId, reasonCode };
    }
    session?.held.set(packet.packetId, id);
    if (this.options.deliversAt === "publish") this.delivered.push(id);
    return { packet: "PUBREC", packetId: packet.packetId, reasonCode };
  }

  /** Also for an id it does not know: PUBCOMP, as brokers do. */
  takeRelease(clientId: string, packetId: PacketId): Answer {
    const held = this.#sessions.get(clientId)?.held;
    const id = held?.get(packetId);
    held?.delete(packetId);
    if (id !== undefined && this.options.deliversAt === "release") {
      this.delivered.push(id);
    }
    return { packet: "PUBCOMP", packetId, reasonCode: 0 };
  }
}
