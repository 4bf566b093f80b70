/**
 * What MQTT.js is told for one connection: it opens it, says CONNECT, keeps it alive, and nothing else.
 *
 * @module
 */
import type { IClientOptions } from "mqtt";
import type { ConnectRequest } from "../core/ports.ts";

/** What stays the same for all connections. */
export interface MqttTransportOptions {
  /** Names the session at the broker. */
  readonly clientId: string;
  /** Options of MQTT.js that pass through, by its names: TLS material, will, keepalive, WebSocket options. Plain data. */
  readonly mqtt?: Readonly<Record<string, unknown>>;
  /** From the call of `connect()` to CONNACK. @default {`mqtt.connectTimeout`, or 30000} */
  readonly connectTimeoutMs?: number;
}

const CONNECT_TIMEOUT_MS = 30_000;
const KEEP_ALIVE_SECONDS = 60;

/** MQTT.js hands a WebSocket only some of them. */
const TLS_OPTIONS = [
  "ca",
  "cert",
  "key",
  "pfx",
  "passphrase",
  "rejectUnauthorized",
  "servername",
  "ciphers",
  "minVersion",
  "maxVersion",
] as const;

/** Until CONNACK. */
export function connectTimeoutMs({ connectTimeoutMs, mqtt }: MqttTransportOptions): number {
  return connectTimeoutMs ?? mqtt?.connectTimeout as number | undefined ?? CONNECT_TIMEOUT_MS;
}

/** As asked for in CONNECT; the broker may decide otherwise. */
export function keepAliveSeconds({ mqtt }: MqttTransportOptions): number {
  return mqtt?.keepalive as number | undefined ?? KEEP_ALIVE_SECONDS;
}

/** New objects at each call, as MQTT.js changes what it is given. */
export function clientOptions(options: MqttTransportOptions, request: ConnectRequest): IClientOptions {
  const { broker, credentials, protocolVersion } = request;
  const given = options.mqtt as IClientOptions | undefined;
  const isWebSocket = broker.protocol === "ws" || broker.protocol === "wss";
  const tls = Object.fromEntries(
    TLS_OPTIONS.filter((name) => options.mqtt?.[name] !== undefined).map((name) => [name, options.mqtt?.[name]]),
  );
  return {
    ...given,
    ...(given?.will === undefined ? {} : { will: { ...given.will } }),
    ...(isWebSocket ? { wsOptions: { ...(broker.protocol === "wss" ? tls : {}), ...given?.wsOptions } } : {}),
    ...(isWebSocket && broker.path !== undefined ? { path: broker.path } : {}),
    ...(protocolVersion === 5 ? { properties: { ...given?.properties, sessionExpiryInterval: request.sessionExpirySeconds } } : {}),
    ...(credentials?.username === undefined ? {} : { username: credentials.username }),
    ...(credentials?.password === undefined ? {} : { password: credentials.password }),
    protocol: broker.protocol,
    // A WebSocket's address becomes a URL, where an IPv6 address stands in brackets.
    host: isWebSocket && broker.host.includes(":") ? `[${broker.host}]` : broker.host,
    port: broker.port,
    clientId: options.clientId,
    protocolId: "MQTT",
    protocolVersion,
    clean: request.cleanStart,
    keepalive: keepAliveSeconds(options),
    connectTimeout: connectTimeoutMs(options),
    reconnectPeriod: 0,
    resubscribe: false,
    // Done by the connection, not for every single acknowledgement.
    reschedulePings: false,
    // Otherwise it makes a buffer for each of the 65,536 packet ids, and is no faster.
    writeCache: false,
    queueQoSZero: false,
    // The other timers need a worker of their own, which not every runtime lets it have.
    timerVariant: "native",
    // Its log shows whole packets, CONNECT with its password among them.
    log: () => {},
  };
}
