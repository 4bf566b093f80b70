/**
 * Which MQTT version to speak with which broker: 5, and 3.1.1 only where 5 was refused, remembered in the cache.
 *
 * A refusal is CONNACK 0x01 or 0x84. Some brokers just close after CONNECT, and so does a bad link, or a port forwarder whose broker is down: after
 * three such closes in a row 3.1.1 is tried, and kept if it is taken. With a broker that has spoken 5 it takes ten times as many, and it is not
 * kept. Once a day, with nothing in flight, 5 is tried again.
 *
 * @module
 */
import type { ProtocolVersion } from "./message.ts";
import { type Broker, type Disconnection, type Outbox, StoreError } from "./ports.ts";
import { ReasonCode } from "./reason_codes.ts";

const CLOSES_UNTIL_FALLBACK = 3;
const CLOSES_UNTIL_FALLBACK_AFTER_5 = 30;
const TRY_AGAIN_AFTER_MS = 24 * 60 * 60 * 1000;

/** What is remembered of a broker: that it speaks 5, or since when it is known to speak only 3.1.1. */
type Knowledge = { readonly version: 5 } | { readonly version: 4; readonly sinceEpochMs: number };

/** Chooses, and remembers by broker. */
export class ProtocolChoice {
  readonly #outbox: Outbox;
  readonly #fixed: ProtocolVersion | undefined;
  /** What this process has seen itself, in case the disk did not take it. */
  readonly #seen = new Map<string, Knowledge>();
  #closeCount = 0;
  #wasRefused = false;

  /** `fixed`: the user's word, respected. */
  constructor(outbox: Outbox, fixed: ProtocolVersion | undefined) {
    this.#outbox = outbox;
    this.#fixed = fixed;
  }

  /** For the next connect. */
  choose(broker: Broker, epochMs: number, hasInFlight: boolean): ProtocolVersion {
    if (this.#fixed !== undefined) return this.#fixed;
    if (this.#wasRefused) return 4;
    const known = this.#recall(broker);
    if (this.#closeCount >= (known?.version === 5 ? CLOSES_UNTIL_FALLBACK_AFTER_5 : CLOSES_UNTIL_FALLBACK)) return 4;
    if (known?.version !== 4) return 5;
    return hasInFlight || Math.abs(epochMs - known.sinceEpochMs) < TRY_AGAIN_AFTER_MS ? 4 : 5;
  }

  /** CONNACK accepted us with this version. */
  onConnected(broker: Broker, version: ProtocolVersion, epochMs: number): void {
    if (this.#fixed === undefined) {
      const known = this.#recall(broker);
      if (version === 5 && known?.version !== 5) this.#remember(broker, { version: 5 });
      const isNews = this.#wasRefused || (this.#closeCount > 0 && known?.version !== 5);
      if (version === 4 && isNews) this.#remember(broker, { version: 4, sinceEpochMs: epochMs });
    }
    this.reset();
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

  #recall(broker: Broker): Knowledge | undefined {
    const seen = this.#seen.get(noteKey(broker));
    if (seen !== undefined) return seen;
    const [version, sinceEpochMs] = this.#attempt(() => this.#outbox.readNote(noteKey(broker)))?.split(" since ") ?? [];
    if (version === "5") return { version: 5 };
    return version === "4" ? { version: 4, sinceEpochMs: Number(sinceEpochMs) } : undefined;
  }

  #remember(broker: Broker, knowledge: Knowledge): void {
    this.#seen.set(noteKey(broker), knowledge);
    const note = knowledge.version === 5 ? "5" : `4 since ${knowledge.sinceEpochMs}`;
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
  return `mqtt version: ${broker.host}:${broker.port}`;
}
