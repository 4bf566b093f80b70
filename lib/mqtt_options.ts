/**
 * Options of MQTT.js that pass through to it, by its names. They cross to the worker, so they are plain data; and only those that do not
 * touch what PersistMQ does itself.
 *
 * @module
 */
import { checkInteger, checkText, checkWord, readKeys, show } from "./checks.ts";
import { resolveMessage } from "./resolve_message.ts";

/** Text or bytes of a certificate or key, or several. */
export type TlsMaterial = string | Uint8Array | readonly (string | Uint8Array)[];

/** Version of TLS, as Node.js names it; a runtime may not speak the old ones. */
export type TlsVersion = "TLSv1" | "TLSv1.1" | "TLSv1.2" | "TLSv1.3";

/** A message that the broker publishes when the connection ends without a DISCONNECT. */
export interface Will {
  /** 1 to 65,535 bytes of UTF-8, without wildcards. */
  readonly topic: string;
  /** What is published, at most 65,535 bytes. */
  readonly payload: string | Uint8Array;
  /** Quality of Service. @default {0} */
  readonly qos?: 0 | 1 | 2;
  /** The broker keeps it as the topic's last value. @default {false} */
  readonly retain?: boolean;
}

/** Options of MQTT.js that pass through. */
export interface MqttOptions {
  /** Certificate authorities to trust, PEM. @default {those of the system} */
  readonly ca?: TlsMaterial;
  /** Certificate of this client, PEM. */
  readonly cert?: TlsMaterial;
  /** Private key of this client, PEM. */
  readonly key?: TlsMaterial;
  /** Certificate and key as PKCS#12. */
  readonly pfx?: TlsMaterial;
  /** Opens `key` or `pfx`. */
  readonly passphrase?: string;
  /** `false` trusts whoever answers: for a test bench only. @default {true} */
  readonly rejectUnauthorized?: boolean;
  /** Name to ask the server for, if it is not the host (SNI). */
  readonly servername?: string;
  /** Protocols to offer within TLS, such as `["x-amzn-mqtt-ca"]`. */
  readonly ALPNProtocols?: readonly string[];
  /** Ciphers in OpenSSL's notation. */
  readonly ciphers?: string;
  /** Least version of TLS. */
  readonly minVersion?: TlsVersion;
  /** Greatest version of TLS. */
  readonly maxVersion?: TlsVersion;
  /** Seconds without traffic after which the broker is asked whether it is there, 0 (never) to 65,535. @default {60} */
  readonly keepalive?: number;
  /** Milliseconds until CONNACK, 1 to 2,147,483,647. @default {30000} */
  readonly connectTimeout?: number;
  /** Published by the broker when the connection ends without a DISCONNECT. */
  readonly will?: Will;
  /** Options of the WebSocket, such as `{ headers: { … } }`. Plain data. */
  readonly wsOptions?: Readonly<Record<string, unknown>>;
}

const KEYS = [
  "ca",
  "cert",
  "key",
  "pfx",
  "passphrase",
  "rejectUnauthorized",
  "servername",
  "ALPNProtocols",
  "ciphers",
  "minVersion",
  "maxVersion",
  "keepalive",
  "connectTimeout",
  "will",
  "wsOptions",
] as const;

const TLS_VERSIONS = ["TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3"] as const satisfies readonly TlsVersion[];

/** What PersistMQ does itself, and where to say it. */
const OWNED: Readonly<Record<string, string>> = {
  clientId: "the client's option clientId sets it",
  clean: "PersistMQ keeps one session and decides when it begins anew",
  protocolVersion: "the client's option protocolVersion sets it",
  protocolId: "the client's option protocolVersion sets it",
  protocol: "connectAsync() takes it",
  host: "connectAsync() takes it",
  hostname: "connectAsync() takes it",
  port: "connectAsync() takes it",
  servers: "connectAsync() takes the broker",
  path: "connectAsync() takes it",
  username: "connectAsync() or the client's option credentials takes it",
  password: "connectAsync() or the client's option credentials takes it",
  reconnectPeriod: "the client's option reconnect sets it",
  reconnectOnConnackError: "the client's option reconnect sets it",
  manualConnect: "connectAsync() connects",
  resubscribe: "PersistMQ does not subscribe",
  outgoingStore: "PersistMQ's cache is the store",
  incomingStore: "PersistMQ's cache is the store",
  queueQoSZero: "PersistMQ's cache is the queue",
  messageIdProvider: "PersistMQ gives the packet ids",
  properties: "the client's option sessionExpirySeconds sets what can be set",
  timerVariant: "PersistMQ runs in a worker of its own",
};

/** Checks; a copy that can cross to the worker. */
export function resolveMqttOptions(given: unknown, action: string): Readonly<Record<string, unknown>> {
  if (typeof given === "object" && given !== null) {
    for (const key of Object.keys(given)) {
      if (Object.hasOwn(OWNED, key)) throw new TypeError(`${action}: mqtt.${key} cannot be set, ${OWNED[key]}`);
    }
  }
  const options = readKeys(given, KEYS, action, "mqtt");
  if (options.keepalive !== undefined) checkInteger(options.keepalive, "mqtt.keepalive", 0, 65_535, action);
  if (options.connectTimeout !== undefined) checkInteger(options.connectTimeout, "mqtt.connectTimeout", 1, 2_147_483_647, action);
  if (options.rejectUnauthorized !== undefined && typeof options.rejectUnauthorized !== "boolean") {
    throw new TypeError(`${action}: mqtt.rejectUnauthorized is ${show(options.rejectUnauthorized)}, not true or false`);
  }
  if (options.passphrase !== undefined && typeof options.passphrase !== "string") {
    throw new TypeError(`${action}: mqtt.passphrase is not a string`);
  }
  for (const key of ["servername", "ciphers"] as const) {
    if (options[key] !== undefined) checkText(options[key], `mqtt.${key}`, action);
  }
  for (const key of ["minVersion", "maxVersion"] as const) {
    if (options[key] !== undefined) checkWord(options[key], `mqtt.${key}`, TLS_VERSIONS, action);
  }
  for (const key of ["ca", "cert", "key", "pfx"] as const) checkTlsMaterial(options[key], `mqtt.${key}`, action);
  const protocols = options.ALPNProtocols;
  if (protocols !== undefined && !(Array.isArray(protocols) && protocols.every((each) => typeof each === "string"))) {
    throw new TypeError(`${action}: mqtt.ALPNProtocols is not an array of strings`);
  }
  if (options.wsOptions !== undefined && (typeof options.wsOptions !== "object" || options.wsOptions === null)) {
    throw new TypeError(`${action}: mqtt.wsOptions is ${show(options.wsOptions)}, not an object`);
  }
  if (options.will !== undefined) options.will = resolveWill(options.will, action);
  const copy: Record<string, unknown> = {};
  for (const key of KEYS) {
    if (options[key] === undefined) continue;
    try {
      copy[key] = structuredClone(options[key]);
    } catch {
      throw new TypeError(`${action}: mqtt.${key} is not plain data, so it cannot cross to the worker`);
    }
  }
  return copy;
}

function checkTlsMaterial(value: unknown, name: string, action: string): void {
  const parts: readonly unknown[] = Array.isArray(value) ? value : [value];
  if (value !== undefined && !parts.every((part) => typeof part === "string" || part instanceof Uint8Array)) {
    throw new TypeError(`${action}: ${name} is neither text nor bytes nor an array of them`);
  }
}

function resolveWill(given: unknown, action: string): Will {
  const { topic, payload, qos = 0, retain } = readKeys(given, ["topic", "payload", "qos", "retain"], action, "mqtt.will");
  try {
    const { message } = resolveMessage(topic, payload, { qos, ...(retain === undefined ? {} : { retain }) });
    if (message.payload.byteLength > 65_535) throw new RangeError(`the payload has ${message.payload.byteLength} bytes, more than 65535`);
    return { topic: message.topic, payload: message.payload, qos: message.qos, retain: message.retain };
  } catch (error) {
    throw new TypeError(`${action}: mqtt.will is not a message: ${(error as Error).message}`, { cause: error });
  }
}
