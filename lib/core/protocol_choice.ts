/**
 * Which MQTT version to speak with which broker: 5, and 3.1.1 only where 5 was refused, remembered in the cache.
 *
 * A refusal is CONNACK 0x01 or 0x84. Some brokers just close after CONNECT, and so does a bad link: after three such closes in a row 3.1.1 is
 * tried, and kept if it is taken. Once a day, with nothing in flight, 5 is tried again.
 *
 * @module
 */
import type { ProtocolVersion } from "./message.ts";
import { type Broker, type Disconnection, type Outbox, StoreError } from "./ports.ts";
import { ReasonCode } from "./reason_codes.ts";

const CLOSES_UNTIL_FALLBACK = 3;
const TRY_AGAIN_AFTER_MS = 24 * 60 * 60 * 1000;

/** Chooses, and remembers by broker. */
export class ProtocolChoice {
  readonly #outbox: Outbox;
  readonly #fixed: ProtocolVersion | undefined;
  #closeCount = 0;
  #wasRefused = false;
  /** Those written by this process, in case the disk did not take them. */
  readonly #notes = new Map<string, string>();
  /** The last choice rested on a note. */
  #isRemembered = false;

  /** `fixed`: the user's word, respected. */
  constructor(outbox: Outbox, fixed: ProtocolVersion | undefined) {
    this.#outbox = outbox;
    this.#fixed = fixed;
  }

  /** For the next connect. */
  choose(broker: Broker, epochMs: number, hasInFlight: boolean): ProtocolVersion {
    if (this.#fixed !== undefined) return this.#fixed;
    if (this.#wasRefused || this.#closeCount >= CLOSES_UNTIL_FALLBACK) return 4;
    const note = this.#notes.get(noteKey(broker)) ?? this.#attempt(() => this.#outbox.readNote(noteKey(broker))) ?? "";
    this.#isRemembered = note !== "";
    if (!this.#isRemembered) return 5;
    return hasInFlight || Math.abs(epochMs - Number(note)) < TRY_AGAIN_AFTER_MS ? 4 : 5;
  }

  /** CONNACK accepted us with this version. */
  onConnected(broker: Broker, version: ProtocolVersion, epochMs: number): void {
    if (this.#fixed === undefined) {
      if (version === 4 && (this.#wasRefused || this.#closeCount > 0)) this.#remember(broker, String(epochMs));
      if (version === 5 && this.#isRemembered) this.#remember(broker, "");
    }
    this.#wasRefused = false;
    this.#closeCount = 0;
  }

  /** Did this version fail in a way that asks for the other at once? */
  onFailed(version: ProtocolVersion, cause: Disconnection): boolean {
    if (this.#fixed !== undefined) return false;
    const isRefusal = cause.connackCode === 1 || cause.connackCode === ReasonCode.unsupportedProtocolVersion;
    if (version === 5 && isRefusal) {
      this.#wasRefused = true;
      return true;
    }
    const isClose = cause.during === "handshake" && cause.connackCode === undefined && (cause.by === "broker" || cause.by === "network");
    if (version === 4) this.reset(); // 3.1.1 was no better: begin again with 5
    else if (isClose) this.#closeCount++;
    else if (cause.during !== "connecting") this.#closeCount = 0;
    return false;
  }

  /** Another broker. */
  reset(): void {
    this.#closeCount = 0;
    this.#wasRefused = false;
  }

  #remember(broker: Broker, note: string): void {
    this.#notes.set(noteKey(broker), note);
    this.#attempt(() => this.#outbox.writeNote(noteKey(broker), note));
  }

  /** A failing disk shows at the next commit; for a note alone no connection is given up. */
  #attempt<T>(access: () => T): T | undefined {
    try {
      return access();
    } catch (error) {
      if (!(error instanceof StoreError)) throw error;
      return undefined;
    }
  }
}

function noteKey(broker: Broker): string {
  return `speaks 3.1.1: ${broker.host}:${broker.port}`;
}
