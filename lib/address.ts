/**
 * Where a broker is: a URL or an object becomes a {@linkcode Broker}, and credentials are taken out of it, so that they never reach a log,
 * an error or the status.
 *
 * @module
 */
import type { Broker, Credentials } from "./core/ports.ts";
import { checkInteger, checkText, checkWord, FIELD_BYTES_MAX, readKeys, show, utf8ByteCount } from "./checks.ts";

/** How to reach a broker. */
export interface BrokerAddress {
  /** Name or IP address. */
  readonly host: string;
  /** 1 to 65,535. @default {1883, or 8883 for mqtts, 80 for ws, 443 for wss} */
  readonly port?: number;
  /** `mqtts` and `wss` are encrypted. @default {"mqtt"} */
  readonly protocol?: "mqtt" | "mqtts" | "ws" | "wss";
  /** Path of a WebSocket, such as `/mqtt`; only with `ws` and `wss`. @default {"/"} */
  readonly path?: string;
}

/** What `connectAsync()` takes besides the address. */
export interface ConnectOptions {
  /** User name. Not together with one in the URL or with the option `credentials`. */
  readonly username?: string;
  /** Password, at most 65,535 bytes of UTF-8; never stored, never shown. Only with a user name, which may be empty. */
  readonly password?: string;
}

const DEFAULT_PORTS = { mqtt: 1883, mqtts: 8883, ws: 80, wss: 443 } as const;

const PROTOCOLS = ["mqtt", "mqtts", "ws", "wss"] as const;

const FORMS = `an address is a URL such as "mqtt://broker.local" or an object such as { host: "broker.local" }`;

/** Checks an address. `hasCredentialsOption`: the client asks its `credentials` option, so there must be no others. */
export function resolveAddress(
  address: unknown,
  options: unknown,
  hasCredentialsOption: boolean,
): { readonly broker: Broker; readonly credentials: Credentials | undefined } {
  const action = "Cannot connect";
  if (Array.isArray(address)) throw new TypeError(`${action}: a list of brokers is not supported; ${FORMS}`);
  const isUrl = typeof address === "string" || address instanceof URL;
  const { broker, credentials } = isUrl ? fromUrl(String(address)) : { broker: fromObject(address, action), credentials: undefined };
  const named = resolveCredentials(readKeys(options, ["username", "password"], action, "the options"), action);
  if (credentials !== undefined && named !== undefined) {
    throw new TypeError(`${action}: there are credentials in the URL and in the options, one of them is too many`);
  }
  if (hasCredentialsOption && (credentials ?? named) !== undefined) {
    throw new TypeError(`${action}: the client has the option credentials, so connectAsync() takes none`);
  }
  return { broker, credentials: credentials ?? named };
}

/** Checks what a user's `credentials()` gave, or what was named in options. `undefined` if there is nothing in it. */
export function resolveCredentials(given: Partial<Record<keyof Credentials, unknown>>, action: string): Credentials | undefined {
  const { username, password } = given;
  if (username !== undefined) checkText(username, "username", action);
  if (password !== undefined) checkPassword(password, username !== undefined, action);
  if (username === undefined && password === undefined) return undefined;
  return {
    ...(username === undefined ? {} : { username: username as string }),
    ...(password === undefined ? {} : { password: password as string }),
  };
}

/** Says nothing of what it is. */
function checkPassword(password: unknown, hasUsername: boolean, action: string): void {
  if (typeof password !== "string") throw new TypeError(`${action}: password is not a string`);
  if (!password.isWellFormed()) throw new TypeError(`${action}: password has half of a surrogate pair, which UTF-8 cannot carry`);
  if (utf8ByteCount(password) > FIELD_BYTES_MAX) {
    throw new RangeError(`${action}: password has more than ${FIELD_BYTES_MAX} bytes of UTF-8`);
  }
  // MQTT 3.1.1 forbids it [MQTT-3.1.2-22], and the codec writes none on MQTT 5 either.
  if (!hasUsername) throw new TypeError(`${action}: there is a password but no username; an empty one, "", will do`);
}

/** For a person: without credentials. */
export function showBroker(broker: Broker): string {
  const host = broker.host.includes(":") ? `[${broker.host}]` : broker.host;
  return `${broker.protocol}://${host}:${broker.port}${broker.path ?? ""}`;
}

function fromObject(address: unknown, action: string): Broker {
  if (typeof address !== "object" || address === null) throw new TypeError(`${action} to ${show(address)}: ${FORMS}`);
  const given = readKeys(address, ["host", "port", "protocol", "path"], action, "the address");
  const host = checkHost(given.host, action);
  const protocol = checkWord(given.protocol ?? "mqtt", "protocol", PROTOCOLS, action);
  const port = checkInteger(given.port ?? DEFAULT_PORTS[protocol], "port", 1, 65_535, action);
  const path = given.path;
  if (path !== undefined) {
    checkText(path, "path", action);
    if (!isWebSocket(protocol)) throw new TypeError(`${action}: path is for the protocols ws and wss, not ${protocol}`);
    if (!(path as string).startsWith("/")) throw new TypeError(`${action}: path is ${show(path)}, which does not begin with "/"`);
  }
  return { protocol, host, port, ...(path === undefined ? {} : { path: path as string }) };
}

/** The host, an IPv6 address without its brackets. What belongs elsewhere would only fail much later, as a name that is not found. */
function checkHost(host: unknown, action: string): string {
  checkText(host, "host", action);
  if (!/^[^\s\p{Cc}/@?#]+$/u.test(host as string)) throw new TypeError(`${action}: host is not a name or an IP address; ${FORMS}`);
  return (host as string).replace(/^\[(.*)\]$/, "$1");
}

function fromUrl(text: string): { readonly broker: Broker; readonly credentials: Credentials | undefined } {
  const action = `Cannot connect to ${show(withoutCredentials(text))}`;
  let url: URL;
  try {
    url = new URL(text);
  } catch {
    // Its own error would show the URL with its password.
    throw new TypeError(`${action}: not a URL; ${FORMS}`);
  }
  const protocol = PROTOCOLS.find((each) => `${each}:` === url.protocol);
  if (protocol === undefined) throw new TypeError(`${action}: the protocol is none of ${PROTOCOLS.join(", ")}; ${FORMS}`);
  if (url.hostname === "") throw new TypeError(`${action}: there is no host in it`);
  if (url.hash !== "") throw new TypeError(`${action}: a broker's URL has no part after #`);
  if (!isWebSocket(protocol) && (url.search !== "" || !["", "/"].includes(url.pathname))) {
    throw new TypeError(`${action}: a path is for the protocols ws and wss, not ${protocol}`);
  }
  const port = checkInteger(url.port === "" ? DEFAULT_PORTS[protocol] : Number(url.port), "port", 1, 65_535, action);
  const path = url.pathname + url.search;
  const broker: Broker = {
    protocol,
    host: checkHost(decode(url.hostname, "the host", action), action),
    port,
    ...(isWebSocket(protocol) && path !== "/" ? { path } : {}),
  };
  const username = decode(url.username, "the user name", action);
  const password = decode(url.password, "the password", action);
  const credentials = username === "" && password === "" ? {} : { username, ...(password === "" ? {} : { password }) };
  return { broker, credentials: resolveCredentials(credentials, action) };
}

/** A part of a URL, without percent encoding. */
function decode(part: string, name: string, action: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    // Its own error may be shown with the part.
    throw new TypeError(`${action}: a % in ${name} is to be written as %25`);
  }
}

function isWebSocket(protocol: Broker["protocol"]): boolean {
  return protocol === "ws" || protocol === "wss";
}

function withoutCredentials(text: string): string {
  const at = text.lastIndexOf("@");
  if (at < 0) return text;
  const start = text.indexOf("//");
  return `${start < 0 || start > at ? "" : text.slice(0, start + 2)}…${text.slice(at)}`;
}
