/**
 * Why there is no connection, in words for a person.
 *
 * @module
 */
import type { Disconnection } from "../core/ports.ts";

/** Who ended it and why; the transport adds how far it had come. */
export type Cause = Omit<Disconnection, "during">;

/** CONNACK return codes of 3.1.1 (1 to 5) and reason codes of MQTT 5 (OASIS MQTT 5.0, 3.2.2.2). */
const CONNACK_WORDS: Readonly<Record<number, string>> = {
  1: "it does not speak this version of MQTT",
  2: "it does not accept this client id",
  3: "the server is unavailable",
  4: "bad user name or password",
  5: "not authorized",
  0x80: "unspecified error",
  0x81: "it found CONNECT malformed",
  0x82: "it found a protocol error in CONNECT",
  0x83: "implementation specific error",
  0x84: "it does not speak this version of MQTT",
  0x85: "it does not accept this client id",
  0x86: "bad user name or password",
  0x87: "not authorized",
  0x88: "the server is unavailable",
  0x89: "the server is busy",
  0x8a: "this client is banned",
  0x8c: "bad authentication method",
  0x90: "it does not accept the topic of the will",
  0x95: "CONNECT is too large for it",
  0x97: "a quota is exceeded",
  0x99: "it does not accept the payload format of the will",
  0x9a: "it does not support retained messages",
  0x9b: "it does not support the QoS of the will",
  0x9c: "use another server",
  0x9d: "the server has moved",
  0x9f: "connecting too often",
};

/** DISCONNECT reason codes (OASIS MQTT 5.0, 3.14.2.1). */
const DISCONNECT_WORDS: Readonly<Record<number, string>> = {
  0x00: "normal disconnection",
  0x80: "unspecified error",
  0x81: "it found a packet malformed",
  0x82: "it found a protocol error",
  0x83: "implementation specific error",
  0x87: "not authorized",
  0x89: "the server is busy",
  0x8b: "the server is shutting down",
  0x8d: "keep-alive timed out",
  0x8e: "session taken over by another connection with this client id",
  0x8f: "it does not accept a topic filter",
  0x90: "it does not accept a topic name",
  0x93: "more messages were in flight than it takes",
  0x94: "it does not accept a topic alias",
  0x95: "a packet is too large for it",
  0x96: "messages come too fast for it",
  0x97: "a quota is exceeded",
  0x98: "an administrator ended it",
  0x99: "it does not accept a payload format",
  0x9a: "it does not support retained messages",
  0x9b: "it does not support the QoS",
  0x9c: "use another server",
  0x9d: "the server has moved",
  0x9e: "it does not support shared subscriptions",
  0x9f: "connecting too often",
  0xa0: "the longest time for a connection is over",
  0xa1: "it does not support subscription identifiers",
  0xa2: "it does not support wildcard subscriptions",
};

/** Codes of the operating system, and of TLS in Node's names, which both runtimes use. */
const SYSTEM_WORDS: Readonly<Record<string, readonly [by: Disconnection["by"], words: string]>> = {
  ECONNREFUSED: ["network", "connection refused"],
  ENOTFOUND: ["network", "host not found"],
  EAI_AGAIN: ["network", "the host name cannot be looked up at present"],
  EHOSTUNREACH: ["network", "host unreachable"],
  EHOSTDOWN: ["network", "host is down"],
  ENETUNREACH: ["network", "network unreachable"],
  ENETDOWN: ["network", "network is down"],
  EADDRNOTAVAIL: ["network", "no local address to connect from"],
  ECONNABORTED: ["network", "connection aborted"],
  ETIMEDOUT: ["timeout", "timed out"],
  // Whoever closes a connection with unread data resets it: mostly it is the broker that does so.
  ECONNRESET: ["broker", "connection reset by the broker"],
  EPIPE: ["broker", "connection reset by the broker"],
  ERR_SOCKET_CLOSED: ["broker", "broker closed the connection"],
  EMFILE: ["client", "too many open files"],
  ENFILE: ["client", "too many open files on this machine"],
  EACCES: ["client", "the operating system does not permit the connection"],
  EPERM: ["client", "the operating system does not permit the connection"],
  CERT_HAS_EXPIRED: ["network", "TLS: the broker's certificate has expired; is the clock right?"],
  CERT_NOT_YET_VALID: ["network", "TLS: the broker's certificate is not valid yet; is the clock right?"],
  ERR_TLS_CERT_ALTNAME_INVALID: ["network", "TLS: the broker's certificate is for another host"],
  DEPTH_ZERO_SELF_SIGNED_CERT: ["network", "TLS: the broker's certificate is self-signed"],
  SELF_SIGNED_CERT_IN_CHAIN: ["network", "TLS: the broker's certificate comes from an unknown authority"],
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: ["network", "TLS: the broker's certificate comes from an unknown authority"],
  UNABLE_TO_GET_ISSUER_CERT: ["network", "TLS: the broker's certificate comes from an unknown authority"],
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: ["network", "TLS: the broker's certificate comes from an unknown authority"],
  CERT_REVOKED: ["network", "TLS: the broker's certificate was revoked"],
  ERR_SSL_WRONG_VERSION_NUMBER: ["network", "TLS: the broker does not speak TLS on this port"],
  EPROTO: ["network", "TLS: the handshake failed"],
};

/** The broker answered CONNECT with a refusal. */
export function refusedByBroker(code: number, text: string): Cause {
  return { by: "broker", reason: `refused by the broker: ${withText(CONNACK_WORDS[code] ?? `code ${code}`, text)}`, connackCode: code };
}

/** The broker sent DISCONNECT. */
export function disconnectedByBroker(code: number, text: string): Cause {
  return { by: "broker", reason: `broker disconnected: ${withText(DISCONNECT_WORDS[code] ?? `code ${code}`, text)}`, disconnectCode: code };
}

/** The broker sent what MQTT forbids. */
export function protocolViolation(what: string): Cause {
  return { by: "protocol", reason: `the broker broke the protocol: ${what}` };
}

/** The socket, TLS or the WebSocket failed. Texts of unknown errors are shown without the given secrets. */
export function failedBySystem(error: unknown, secrets: readonly (string | undefined)[]): Cause {
  const { code, message } = Object(error) as { code?: unknown; message?: unknown };
  const text = typeof message === "string" ? message : String(error);
  // EPROTO is all that some streams say of it.
  const name = code === "EPROTO" && text.includes("WRONG_VERSION_NUMBER") ? "ERR_SSL_WRONG_VERSION_NUMBER" : code;
  const known = typeof name === "string" ? SYSTEM_WORDS[name] : undefined;
  const codeIfAny = typeof code === "string" ? { code } : {};
  if (known !== undefined) return { by: known[0], reason: known[1], ...codeIfAny };
  // The HTTP parser could make nothing of the answer.
  if (typeof code === "string" && code.startsWith("HPE_")) {
    return { by: "network", reason: "the server does not speak WebSocket on this port", code };
  }
  const status = /^Unexpected server response: (\d+)$/.exec(text)?.[1];
  if (status !== undefined) return { by: "network", reason: `the WebSocket was refused with HTTP status ${status}` };
  return { by: "network", reason: withoutSecrets(text, secrets), ...codeIfAny };
}

/** Foreign text for a person: on one line, of bounded length, each secret in it replaced by `***`. */
export function withoutSecrets(text: string, secrets: readonly (string | undefined)[]): string {
  let result = text;
  // A single character is no secret, and may be anywhere.
  for (const secret of secrets) if (secret !== undefined && secret.length > 1) result = result.replaceAll(secret, "***");
  // deno-lint-ignore no-control-regex
  return result.replaceAll(/[\u0000-\u001f\u007f-\u009f]+/g, " ").slice(0, FOREIGN_TEXT_LENGTH_MAX);
}

function withText(words: string, text: string): string {
  return text === "" ? words : `${words} (${text})`;
}

const FOREIGN_TEXT_LENGTH_MAX = 300;
