/**
 * One connection to a broker, from the attempt to its end.
 *
 * @module
 */
import mqtt, { type IDisconnectPacket, type MqttClient, type Packet } from "mqtt";
import type { PacketId } from "../core/message.ts";
import type { Broker, ConnectRequest, PublishPacket, ServerInfo, TransportListener } from "../core/ports.ts";
import { readConnack } from "./mqtt_connack.ts";
import { PacketEncoder } from "./mqtt_encoder.ts";
import { WriteMeter } from "./mqtt_meter.ts";
import { clientOptions, connectTimeoutMs, keepAliveSeconds, type MqttTransportOptions } from "./mqtt_options.ts";
import { Pings } from "./mqtt_pings.ts";
import { type Cause, disconnectedByBroker, failedBySystem, protocolViolation, withoutSecrets } from "./mqtt_reasons.ts";

/** Grows over all connections of a transport. */
export interface ProgressGauge {
  /** By the operating system. */
  bytesTaken: number;
  /** Of all kinds. */
  packetsReceived: number;
}

/** DISCONNECT, normal, without properties: the same two bytes on 3.1.1 and on 5. */
const DISCONNECT = Uint8Array.of(0xe0, 0);

/** How long DISCONNECT, and what was written before it, may take on its way out; a dead link must not hold up a stop. */
const DISCONNECT_MS_MAX = 2_000;

/** What MQTT.js calls the errors of its two timers. */
const CONNECT_TIMED_OUT = "connack timeout";
const KEEP_ALIVE_TIMED_OUT = "Keepalive timeout";

const DISCONNECTED: Cause = { by: "client", reason: "disconnected" };

/**
 * MQTT.js holds the connection: TCP, TLS or WebSocket, CONNECT, keep-alive, AUTH. PUBLISH and PUBREL are written to its stream here, and
 * answers are heard as it parses them; of these exchanges it knows nothing.
 *
 * - `connecting`: until the network takes CONNECT.
 * - `handshake`: until CONNACK.
 * - `online`: packets go out and acknowledgements come in.
 * - `closing`: DISCONNECT is on its way out; acknowledgements still come in. Left when the connection is gone, or after a while.
 * - `over`: the listener is told, once, and hears no more.
 */
export class MqttConnection {
  readonly #request: ConnectRequest;
  readonly #options: MqttTransportOptions;
  readonly #listener: TransportListener;
  readonly #gauge: ProgressGauge;
  readonly #secrets: readonly (string | undefined)[];
  #mode: "connecting" | "handshake" | "online" | "closing" | "over" = "connecting";
  #client: MqttClient | undefined;
  #meter: WriteMeter | undefined;
  #pings: Pings | undefined;
  #encoder: PacketEncoder | undefined;
  #server: ServerInfo | undefined;
  #closeTimer: ReturnType<typeof setTimeout> | undefined;
  #hasWritten = false;
  #isAnswered = false;

  /** Begins to connect. */
  constructor(request: ConnectRequest, options: MqttTransportOptions, listener: TransportListener, gauge: ProgressGauge) {
    this.#request = request;
    this.#options = options;
    this.#listener = listener;
    this.#gauge = gauge;
    const { broker, credentials } = request;
    // A path may hold a token.
    this.#secrets = [credentials?.password, credentials?.username, broker.path, options.mqtt?.passphrase as string | undefined];
    try {
      this.#open();
    } catch (error) {
      this.#end({ ...failedBySystem(error, this.#secrets), by: "client" });
    }
  }

  /** The listener was told that it is over. */
  get isOver(): boolean {
    return this.#isAnswered;
  }

  /** Writes PUBLISH packets, in order. Ignored unless online. */
  publish(packets: readonly PublishPacket[]): void {
    this.#write(() => this.#encoder!.publish(packets));
  }

  /** Writes PUBREL packets, in order. Ignored unless online. */
  release(packetIds: readonly PacketId[]): void {
    this.#write(() => this.#encoder!.release(packetIds));
  }

  /** Says DISCONNECT and closes. */
  disconnect(): void {
    if (this.#mode === "connecting" || this.#mode === "handshake") this.#end(DISCONNECTED);
    if (this.#mode !== "online") return;
    this.#mode = "closing";
    this.#client!.stream.end(DISCONNECT);
    // The broker closes when it has read it. To close before would reset the connection if something unread has come in, and a reset can
    // overtake what is on its way.
    this.#closeTimer = setTimeout(() => this.#end(DISCONNECTED), DISCONNECT_MS_MAX);
  }

  /** Closes at once. */
  abort(): void {
    this.#end({ by: "client", reason: "connection given up" });
  }

  /** Handed over and not yet taken by the operating system. */
  bufferedBytes(): number {
    return this.#mode === "online" || this.#mode === "closing" ? this.#client!.stream.writableLength : 0;
  }

  #open(): void {
    const obstacle = missingPermission(this.#request.broker);
    if (obstacle !== undefined) return this.#end(obstacle);
    const client = this.#client = mqtt.connect(clientOptions(this.#options, this.#request));
    const stream = client.stream;
    this.#pings = new Pings(client);
    this.#meter = new WriteMeter(stream as ConstructorParameters<typeof WriteMeter>[0], (bytes) => this.#taken(bytes));
    // Packets are gathered here; the network is not to wait for more.
    (stream as { setNoDelay?: (noDelay: boolean) => void }).setNoDelay?.(true);
    stream.on("secureConnect", () => this.#becomeHandshake());
    stream.on("error", (error: Error) => this.#lost(() => failedBySystem(error, this.#secrets)));
    stream.on("end", () => this.#lost(() => this.#closed()));
    client.on("close", () => this.#lost(() => this.#closed()));
    client.on("error", (error) => this.#failed(error));
    client.on("connect", () => this.#connected());
    client.on("packetreceive", (packet) => this.#received(packet));
  }

  #write(encode: () => readonly Uint8Array[]): void {
    if (this.#mode !== "online") return;
    let writes: readonly Uint8Array[];
    try {
      writes = encode();
    } catch (error) {
      return this.#end({ by: "client", reason: `cannot encode a packet: ${(error as Error).message}` });
    }
    // Set before, as the system may take the bytes within the call.
    if (writes.length > 0) this.#hasWritten = true;
    for (const bytes of writes) this.#client!.stream.write(bytes);
  }

  #taken(bytes: number): void {
    this.#gauge.bytesTaken += bytes;
    // A TLS stream takes CONNECT before it has verified the broker, though it sends it only afterwards.
    if (this.#request.broker.protocol !== "mqtts") this.#becomeHandshake();
    this.#pings!.onTaken(bytes);
    if (this.#hasWritten && this.bufferedBytes() === 0) queueMicrotask(() => this.#drained());
  }

  #drained(): void {
    if (this.#mode !== "online" || !this.#hasWritten || this.bufferedBytes() > 0) return;
    this.#hasWritten = false;
    this.#listener.onDrained();
  }

  #becomeHandshake(): void {
    if (this.#mode === "connecting") this.#mode = "handshake";
  }

  #connected(): void {
    if (this.#mode === "over" || this.#server === undefined) return;
    this.#mode = "online";
    this.#encoder = new PacketEncoder(this.#request.protocolVersion);
    this.#meter!.writeOneByOne();
    this.#listener.onConnected(this.#server);
  }

  #received(packet: Packet): void {
    this.#gauge.packetsReceived++;
    if (this.#mode === "over") return;
    this.#pings!.onReceived();
    if (this.#server === undefined && packet.cmd !== "connack" && packet.cmd !== "auth") {
      return this.#end(protocolViolation(`it answered CONNECT with ${packet.cmd.toUpperCase()}`));
    }
    switch (packet.cmd) {
      case "puback":
      case "pubrec":
      case "pubcomp":
        return this.#acknowledged(packet);
      case "connack": {
        const text = this.#foreignText(packet.properties?.reasonString);
        const answer = readConnack(packet, { request: this.#request, keepAliveSeconds: keepAliveSeconds(this.#options), text });
        if ("cause" in answer) return this.#end(answer.cause);
        this.#server = answer.server;
        // MQTT.js does not obey the broker's wish for pings if it was told to send none.
        if (this.#client!.options.keepalive === 0) this.#client!.options.keepalive = answer.server.keepAliveSeconds;
        return;
      }
      case "disconnect":
        return this.#disconnected(packet);
      case "connect":
      case "subscribe":
      case "unsubscribe":
      case "pingreq":
        return this.#end(protocolViolation(`it sent ${packet.cmd.toUpperCase()}`));
      default:
        // Between MQTT.js and the broker alone, such as a PUBLISH for a subscription that an earlier program left in the session.
    }
  }

  #acknowledged(packet: Extract<Packet, { cmd: "puback" | "pubrec" | "pubcomp" }>): void {
    const { cmd, messageId, length = 0 } = packet;
    // The codec reads on into the next packet if this one is too short.
    const isWhole = this.#request.protocolVersion === 5 ? length >= 2 : length === 2;
    if (!isWhole || !messageId || messageId < 0) return this.#end(protocolViolation(`it sent a malformed ${cmd.toUpperCase()}`));
    if (this.#mode !== "online" && this.#mode !== "closing") {
      return this.#end(protocolViolation(`it sent ${cmd.toUpperCase()} before anything was published`));
    }
    const reasonCode = packet.reasonCode ?? 0;
    if (cmd === "puback") this.#listener.onAcknowledged(messageId, reasonCode);
    else if (cmd === "pubrec") this.#listener.onReceived(messageId, reasonCode);
    else this.#listener.onCompleted(messageId, reasonCode);
  }

  #disconnected({ reasonCode = 0, properties }: IDisconnectPacket): void {
    if (this.#request.protocolVersion === 5) this.#end(disconnectedByBroker(reasonCode, this.#foreignText(properties?.reasonString)));
    else this.#end(protocolViolation("it sent DISCONNECT, which is the client's alone in MQTT 3.1.1"));
  }

  /** What the broker writes for a person; it may know our secrets. */
  #foreignText(text: unknown): string {
    return typeof text === "string" ? withoutSecrets(text, this.#secrets) : "";
  }

  /** MQTT.js is not content: with the network, which is a code of the system's, with the time, or with what the broker sent. */
  #failed(error: Error & { readonly code?: unknown }): void {
    if (error.message === CONNECT_TIMED_OUT) {
      const ms = connectTimeoutMs(this.#options);
      const what = this.#mode === "connecting" ? "no connection" : "no answer to CONNECT";
      this.#end({ by: "timeout", reason: `${what} within ${ms} ms` });
    } else if (error.message === KEEP_ALIVE_TIMED_OUT) {
      this.#end({ by: "timeout", reason: `nothing heard from the broker, nor an answer to a ping, in ${this.#client!.keepalive * 1.5} s` });
    } else if (typeof error.code === "string" || this.#mode === "connecting") {
      this.#lost(() => failedBySystem(error, this.#secrets));
    } else if (this.#server === undefined) {
      this.#end({
        by: "protocol",
        reason: `this is no MQTT broker, or not one that speaks ${this.#request.broker.protocol}: ${error.message}`,
      });
    } else {
      this.#end(protocolViolation(error.message));
    }
  }

  #closed(): Cause {
    if (this.#mode === "connecting") return { by: "network", reason: "connection closed while it was being opened" };
    if (this.#mode === "handshake") return { by: "broker", reason: "broker closed the connection instead of answering CONNECT" };
    return { by: "broker", reason: "broker closed the connection" };
  }

  /** The network is gone, but what came in before is still being heard, packet by packet, until the next turn of the event loop. */
  #lost(why: () => Cause): void {
    setTimeout(() => this.#end(why()), 0);
  }

  /** The first cause is the one that counts; while closing, it is that we wanted to. */
  #end(cause: Cause): void {
    if (this.#mode === "over") return;
    const during = this.#mode === "closing" ? "online" : this.#mode;
    const answer = this.#mode === "closing" ? DISCONNECTED : cause;
    this.#mode = "over";
    clearTimeout(this.#closeTimer);
    this.#client?.end(true);
    queueMicrotask(() => {
      this.#isAnswered = true;
      this.#listener.onDisconnected({ during, ...answer });
    });
  }
}

/** Deno refuses without an error that anyone could hear, so it is asked before, and not in a way that would ask the user. */
function missingPermission({ host, port }: Broker): Cause | undefined {
  const deno = (globalThis as { Deno?: { permissions: { querySync(descriptor: { name: "net"; host: string }): { state: string } } } }).Deno;
  const address = `${host.includes(":") ? `[${host}]` : host}:${port}`;
  if (deno === undefined || deno.permissions.querySync({ name: "net", host: address }).state === "granted") return undefined;
  return { by: "client", reason: `Deno may not use the network: start it with --allow-net=${address}`, code: "NotCapable" };
}
