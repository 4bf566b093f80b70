/**
 * When to connect next. A fleet that lost its broker must not come back as one wave, a wrong password must not become a flood, and a device
 * alone with a short break must be back within a second.
 *
 * Delays double from a base to a cap with every failure in a row and are drawn at random: from nothing up for plain losses (full jitter), from
 * half up where the broker asked for patience. They start small again only after a connection that held for `stableMs`.
 *
 * @module
 */
import type { Disconnection, Random } from "./ports.ts";
import type { ReconnectOptions } from "./report.ts";
import { ReasonCode } from "./reason_codes.ts";

/** What kind of patience a failure asks for. */
export type Patience = "loss" | "busy" | "login" | "takenOver";

const BUSY_DELAY_MS = { min: 10_000, max: 300_000 };
const LOGIN_DELAY_MS = { min: 120_000, max: 900_000 };
const TAKEN_OVER_DELAY_MS = { min: 30_000, max: 900_000 };
const DOUBLINGS_MAX = 20;

/** Which of the broker's answers ask for which patience. 3.1.1 return codes are 3, 4 and 5. */
export function patienceFor(cause: Disconnection): Patience {
  switch (cause.connackCode ?? cause.disconnectCode) {
    case 4:
    case 5:
    case ReasonCode.badUserNameOrPassword:
    case ReasonCode.notAuthorized:
    case ReasonCode.badAuthenticationMethod:
    case ReasonCode.banned:
      return "login";
    case 3:
    case ReasonCode.serverUnavailable:
    case ReasonCode.serverBusy:
    case ReasonCode.quotaExceeded:
    case ReasonCode.connectionRateExceeded:
      return "busy";
    case ReasonCode.sessionTakenOver:
      return "takenOver";
    default:
      return "loss";
  }
}

/** Counts failures and draws delays. */
export class Reconnect {
  readonly #options: ReconnectOptions;
  readonly #random: Random;
  #failureCount = 0;
  #takenOverCount = 0;

  /** Starts without failures. */
  constructor(options: ReconnectOptions, random: Random) {
    this.#options = options;
    this.#random = random;
  }

  /** Failures in a row. */
  get failureCount(): number {
    return this.#failureCount;
  }

  /** Before the very first attempt. */
  firstDelayMs(): number {
    return this.#options.firstSpreadMs * this.#random.next();
  }

  /** After a failed attempt, or the loss of a connection that was online for `onlineMs`. */
  delayMsAfter(cause: Disconnection, onlineMs: number): number {
    const wasStable = cause.during === "online" && onlineMs >= this.#options.stableMs;
    const patience = patienceFor(cause);
    if (wasStable) this.#failureCount = 0;
    // Two devices with one client id throw each other out, however long each connection held: this count outlives stability.
    this.#takenOverCount = patience === "takenOver" ? this.#takenOverCount + 1 : wasStable ? 0 : this.#takenOverCount;
    const failureCount = patience === "takenOver" ? this.#takenOverCount - 1 : this.#failureCount;
    this.#failureCount++;
    const { delayMsMin, delayMsMax, firstSpreadMs } = this.#options;
    switch (patience) {
      case "loss": {
        const spreadMs = cause.during === "online" && failureCount === 0 ? firstSpreadMs : 0;
        return this.#random.next() * Math.max(spreadMs, this.#ceilingMs(delayMsMin, delayMsMax, failureCount));
      }
      case "busy":
        return this.#patientDelayMs(BUSY_DELAY_MS, failureCount);
      case "login":
        return this.#patientDelayMs(LOGIN_DELAY_MS, failureCount);
      case "takenOver":
        return this.#patientDelayMs(TAKEN_OVER_DELAY_MS, failureCount);
    }
  }

  #ceilingMs(minMs: number, maxMs: number, failureCount: number): number {
    return Math.min(maxMs, minMs * 2 ** Math.min(failureCount, DOUBLINGS_MAX));
  }

  #patientDelayMs(range: { readonly min: number; readonly max: number }, failureCount: number): number {
    const ceilingMs = this.#ceilingMs(range.min, range.max, failureCount);
    return ceilingMs / 2 + this.#random.next() * ceilingMs / 2;
  }
}
