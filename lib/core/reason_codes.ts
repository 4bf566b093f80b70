/**
 * What the broker's reason codes mean for a publisher (OASIS MQTT 5.0, 2.4, 3.4.2.1, 3.5.2.1).
 *
 * @module
 */

/** From here on a code is an error, and in PUBACK or PUBREC ends the exchange [MQTT-4.4.0-2]. */
export const FIRST_ERROR_CODE = 0x80;

/** Reason codes that are told apart. */
export const ReasonCode = {
  unspecified: 0x80,
  implementationSpecific: 0x83,
  unsupportedProtocolVersion: 0x84,
  badUserNameOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  banned: 0x8a,
  badAuthenticationMethod: 0x8c,
  sessionTakenOver: 0x8e,
  topicNameInvalid: 0x90,
  packetIdInUse: 0x91,
  quotaExceeded: 0x97,
  payloadFormatInvalid: 0x99,
  useAnotherServer: 0x9c,
  connectionRateExceeded: 0x9f,
} as const;

/**
 * What to do about a refused PUBLISH.
 *
 * - `quarantine`: sending it again cannot help.
 * - `denied`: it is quarantined once another message passes; while none does, it is the login that lacks a right, not the message.
 * - `busy`: again later; says nothing against the message, so never counts as an attempt.
 * - `retry`: again later, a bounded number of times.
 * - `idInUse`: the broker holds this packet id for something else.
 */
export type Refusal = "quarantine" | "denied" | "busy" | "retry" | "idInUse";

/** For a code of at least {@linkcode FIRST_ERROR_CODE}. */
export function refusalOf(code: number): Refusal {
  switch (code) {
    case ReasonCode.topicNameInvalid:
    case ReasonCode.payloadFormatInvalid:
      return "quarantine";
    case ReasonCode.notAuthorized:
      return "denied";
    case ReasonCode.quotaExceeded:
      return "busy";
    case ReasonCode.packetIdInUse:
      return "idInUse";
    default:
      return "retry";
  }
}

const WORDS: Readonly<Record<number, string>> = {
  0x80: "unspecified error",
  0x83: "implementation specific error",
  0x87: "not authorized",
  0x90: "topic name invalid",
  0x91: "packet identifier in use",
  0x97: "quota exceeded",
  0x99: "payload format invalid",
};

/** For a person: `the broker refused it: not authorized (0x87)`. */
export function refusalReason(code: number): string {
  return `the broker refused it: ${WORDS[code] ?? "reason code"} (0x${code.toString(16)})`;
}
