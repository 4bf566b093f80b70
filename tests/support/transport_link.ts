/**
 * The MQTT.js transport on one end, a script on the other.
 *
 * @module
 */
import { createMqttTransport, type MqttTransportOptions } from "../../lib/adapters/mqtt_transport.ts";
import type { ProtocolVersion } from "../../lib/core/message.ts";
import type { ConnectRequest, ServerInfo, Transport } from "../../lib/core/ports.ts";
import { ScriptedBroker, type ScriptedPeer } from "./scripted_broker.ts";
import { TransportProbe } from "./transport_probe.ts";

/** Both ends; both are gone when the test is. */
export class TransportLink implements AsyncDisposable {
  readonly probe: TransportProbe = new TransportProbe();
  readonly transport: Transport;
  readonly broker: ScriptedBroker;
  readonly #protocolVersion: ProtocolVersion;

  private constructor(broker: ScriptedBroker, protocolVersion: ProtocolVersion, options: Partial<MqttTransportOptions>) {
    this.broker = broker;
    this.#protocolVersion = protocolVersion;
    this.transport = createMqttTransport({ clientId: "device", ...options }, this.probe);
  }

  static async create(protocolVersion: ProtocolVersion, options: Partial<MqttTransportOptions> = {}): Promise<TransportLink> {
    return new TransportLink(await ScriptedBroker.start(), protocolVersion, options);
  }

  request(more: Partial<ConnectRequest> = {}): ConnectRequest {
    return {
      broker: { protocol: "mqtt", host: "127.0.0.1", port: this.broker.port },
      protocolVersion: this.#protocolVersion,
      cleanStart: false,
      sessionExpirySeconds: 600,
      ...more,
    };
  }

  /** Begins to connect; the peer has not read CONNECT yet. */
  connect(more: Partial<ConnectRequest> = {}): Promise<ScriptedPeer> {
    this.transport.connect(this.request(more));
    return this.broker.accept();
  }

  /** Connects, and the broker agrees. */
  async online(more: Partial<ConnectRequest> = {}): Promise<{ readonly peer: ScriptedPeer; readonly server: ServerInfo }> {
    const peer = await this.connect(more);
    await peer.acceptSession();
    return { peer, server: await this.probe.next("connected") };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.transport.abort();
    await this.broker.close();
  }
}
