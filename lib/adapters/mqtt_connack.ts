/**
 * Reads CONNACK: what the broker allows, or why it refuses.
 *
 * @module
 */
import type { IConnackPacket } from "mqtt-packet";
import type { ConnectRequest, ServerInfo } from "../core/ports.ts";
import { type Cause, protocolViolation, refusedByBroker } from "./mqtt_reasons.ts";

/** MQTT's own limit: 1 byte of type, 4 of length, and what 4 bytes of length can say. */
const PACKET_BYTES_MAX = 268_435_460;
const RECEIVE_MAXIMUM_DEFAULT = 65_535;
/** Session Expiry Interval that means never (OASIS MQTT 5.0, 3.1.2.11.2). */
const NEVER_EXPIRES = 0xffff_ffff;

/** What CONNACK answers. */
export interface ConnackContext {
  /** What was asked for. */
  readonly request: ConnectRequest;
  /** As asked for. */
  readonly keepAliveSeconds: number;
  /** The broker's Reason String, without secrets; empty if there is none. */
  readonly text: string;
}

/** What the broker allows, with MQTT's defaults where it said nothing; or why there is no connection. */
export function readConnack(
  packet: IConnackPacket,
  { request, keepAliveSeconds, text }: ConnackContext,
): { readonly server: ServerInfo } | { readonly cause: Cause } {
  const { protocolVersion } = request;
  const code = protocolVersion === 5 ? packet.reasonCode : packet.returnCode;
  const properties = protocolVersion === 5 ? packet.properties ?? {} : {};
  // The codec makes a list of a property that came twice, so the types are looked at before anything is made of them.
  if (typeof code !== "number") return { cause: protocolViolation("CONNACK has no code") };
  if (code !== 0) return { cause: refusedByBroker(code, text) };
  const {
    receiveMaximum = RECEIVE_MAXIMUM_DEFAULT,
    maximumQoS = 2,
    retainAvailable = true,
    maximumPacketSize = PACKET_BYTES_MAX,
    serverKeepAlive = keepAliveSeconds,
    sessionExpiryInterval = request.sessionExpirySeconds,
  } = properties;
  // A broker is not to name 2, the default, as Maximum QoS; one that does so means no harm.
  const isLawful = isWhole(receiveMaximum, 1) && (maximumQoS === 0 || maximumQoS === 1 || maximumQoS === 2) &&
    typeof retainAvailable === "boolean" && isWhole(maximumPacketSize, 1) && isWhole(serverKeepAlive, 0) &&
    isWhole(sessionExpiryInterval, 0);
  if (!isLawful) return { cause: protocolViolation("CONNACK has a property with a value that it must not have") };
  if (request.cleanStart && packet.sessionPresent) {
    return { cause: protocolViolation("CONNACK says that a session is present although a clean start was asked for") };
  }
  return {
    server: {
      sessionPresent: packet.sessionPresent === true,
      protocolVersion,
      receiveMaximum,
      maximumQoS,
      retainAvailable,
      maximumPacketSize: Math.min(maximumPacketSize, PACKET_BYTES_MAX),
      keepAliveSeconds: serverKeepAlive,
      sessionExpirySeconds: protocolVersion === 5 && sessionExpiryInterval !== NEVER_EXPIRES ? sessionExpiryInterval : Infinity,
    },
  };
}

function isWhole(value: unknown, min: number): value is number {
  return Number.isInteger(value) && (value as number) >= min;
}
