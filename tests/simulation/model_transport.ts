/**
 * A connection in virtual time: packets take a while, in order; a cut loses what is on the way in both directions, wherever it is.
 */
import type { ConnectRequest, Disconnection, PublishPacket, Transport, TransportListener } from "../../lib/core/ports.ts";
import type { PacketId } from "../../lib/core/message.ts";
import type { Agenda } from "./agenda.ts";
import type { Answer, ModelBroker } from "./model_broker.ts";
import type { WireWatch } from "./wire_watch.ts";

/** Settings of the line; may change while it runs. */
export interface Line {
  latencyMs: number;
  /** Connects fail. */
  isDown: boolean;
  /** Everything sent vanishes, and nothing says so. */
  isBlackhole: boolean;
  /** The broker's CONNACK is lost and the connection closed. */
  losesConnack: boolean;
}

export class ModelTransport implements Transport {
  readonly #agenda: Agenda;
  readonly #clientId: string;
  readonly #listener: TransportListener;
  readonly #brokerAt: (host: string) => ModelBroker;
  readonly #line: Line;
  readonly #watch: WireWatch;
  /** Counts connections: what belongs to an earlier one is of no effect. */
  #generation = 0;
  #request: ConnectRequest | undefined;
  #isOnline = false;
  #isDead = false;
  #progress = 0;

  constructor(
    world: {
      agenda: Agenda;
      line: Line;
      watch: WireWatch;
      brokerAt: (host: string) => ModelBroker;
    },
    clientId: string,
    listener: TransportListener,
  ) {
    this.#agenda = world.agenda;
    this.#line = world.line;
    this.#watch = world.watch;
    this.#brokerAt = world.brokerAt;
    this.#clientId = clientId;
    this.#listener = listener;
  }

  /** The process is gone: nothing it would hear matters any more. */
  kill(): void {
    this.#leaveBroker();
    this.#isDead = true;
    this.#generation++;
  }

  /** The line breaks here and now. */
  cut(): void {
    if (this.#request === undefined) return;
    const during = this.#isOnline ? "online" : "handshake";
    this.#close({ during, by: "network", reason: "connection reset" });
  }

  get isConnected(): boolean {
    return this.#isOnline;
  }

  connect(request: ConnectRequest): void {
    if (this.#request !== undefined) {
      throw new Error("Cannot connect: there is a connection");
    }
    this.#request = request;
    const generation = ++this.#generation;
    const refuse = (cause: Disconnection) =>
      this.#agenda.after(
        this.#line.latencyMs,
        () => this.#closeIf(generation, cause),
      );
    if (this.#line.isBlackhole) {
      this.#agenda.after(
        30_000,
        () =>
          this.#closeIf(generation, {
            during: "connecting",
            by: "timeout",
            reason: "connect timed out",
          }),
      );
      return;
    }
    if (this.#line.isDown) {
      return refuse({
        during: "connecting",
        by: "network",
        reason: "connection refused",
        code: "ECONNREFUSED",
      });
    }
    const broker = this.#brokerAt(request.broker.host);
    if (!broker.options.speaks.includes(request.protocolVersion)) {
      const reason = "the broker does not speak this version";
      const connackCode = broker.options.refusesBy === "connack" ? { connackCode: request.protocolVersion === 5 ? 0x84 : 1 } : {};
      return refuse({
        during: "handshake",
        by: "broker",
        reason,
        ...connackCode,
      });
    }
    const connackCode = broker.options.admits(
      request.protocolVersion,
      request.credentials?.username,
    );
    if (connackCode !== 0) {
      return refuse({
        during: "handshake",
        by: "broker",
        reason: "the broker refused the login",
        connackCode,
      });
    }
    this.#agenda.after(this.#line.latencyMs, () => {
      if (generation !== this.#generation) return;
      const server = broker.connect(
        this.#clientId,
        request.protocolVersion,
        request.cleanStart,
      );
      if (this.#line.losesConnack) {
        return this.#close({
          during: "handshake",
          by: "network",
          reason: "connection reset",
        });
      }
      this.#watch.onConnect(server.sessionPresent);
      this.#agenda.after(this.#line.latencyMs, () => {
        if (generation !== this.#generation) return;
        this.#isOnline = true;
        this.#progress++;
        this.#watch.onHeard();
        this.#listener.onConnected(server);
      });
    });
  }

  publish(packets: readonly PublishPacket[]): void {
    if (!this.#isOnline) return;
    const { broker, version } = this.#peer();
    for (const packet of packets) {
      this.#watch.onPublish(
        packet,
        version === 5 ? broker.options.receiveMaximum : 65_535,
        version === 5 ? broker.options.maximumQoS : 2,
      );
      this.#send(() => broker.takePublish(this.#clientId, packet, version));
    }
  }

  release(packetIds: readonly PacketId[]): void {
    if (!this.#isOnline) return;
    const { broker } = this.#peer();
    for (const packetId of packetIds) {
      this.#watch.onRelease(packetId);
      this.#send(() => broker.takeRelease(this.#clientId, packetId));
    }
  }

  disconnect(): void {
    const generation = this.#generation;
    if (this.#request === undefined) return;
    this.#isOnline = false;
    this.#agenda.after(
      this.#line.latencyMs,
      () =>
        this.#closeIf(generation, {
          during: "online",
          by: "client",
          reason: "disconnected",
        }),
    );
  }

  abort(): void {
    const generation = this.#generation;
    if (this.#request === undefined) return;
    this.#isOnline = false;
    this.#agenda.after(
      0,
      () =>
        this.#closeIf(generation, {
          during: "online",
          by: "client",
          reason: "aborted",
        }),
    );
  }

  bufferedBytes(): number {
    return 0;
  }

  progress(): number {
    return this.#progress;
  }

  #peer() {
    return {
      broker: this.#brokerAt(this.#request!.broker.host),
      version: this.#request!.protocolVersion,
    };
  }

  /** There and, with the answer, back. Order is kept: every packet takes equally long. */
  #send(deliver: () => Answer | undefined): void {
    const generation = this.#generation;
    if (this.#line.isBlackhole) return;
    this.#agenda.after(this.#line.latencyMs, () => {
      if (generation !== this.#generation || this.#line.isBlackhole) return;
      const answer = deliver();
      if (answer === undefined) return;
      this.#agenda.after(this.#line.latencyMs, () => {
        if (
          generation !== this.#generation || this.#line.isBlackhole ||
          !this.#isOnline
        ) return;
        this.#progress++;
        this.#watch.onAnswer(answer);
        if (answer.packet === "PUBACK") {
          this.#listener.onAcknowledged(answer.packetId, answer.reasonCode);
        } else if (answer.packet === "PUBREC") {
          this.#listener.onReceived(answer.packetId, answer.reasonCode);
        } else this.#listener.onCompleted(answer.packetId, answer.reasonCode);
      });
    });
  }

  #closeIf(generation: number, cause: Disconnection): void {
    if (generation === this.#generation && this.#request !== undefined) {
      this.#close(cause);
    }
  }

  #close(cause: Disconnection): void {
    this.#leaveBroker();
    this.#generation++;
    this.#request = undefined;
    this.#isOnline = false;
    if (!this.#isDead) this.#listener.onDisconnected(cause);
  }

  #leaveBroker(): void {
    if (this.#request !== undefined) {
      this.#brokerAt(this.#request.broker.host).disconnect(this.#clientId);
    }
  }
}
