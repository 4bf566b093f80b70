/**
 * The exchanges under each packet id, as the packets that pass a relay show them; and blows that fall when one has come so far.
 *
 * @module
 */
import type { Packet } from "mqtt-packet";
import { type Direction, hold, type Relay, type Treatment } from "../support/relay.ts";
import { WireWatch } from "../support/wire_watch.ts";
import { decodeReading } from "../support/workload.ts";

/** How far the exchange under one packet id has come on the wire. */
interface Exchange {
  readonly number: number;
  /** `completed`: PUBCOMP has passed, and may have found nobody. */
  stage: "sent" | "received" | "released" | "completed";
}

const PUBREL_BYTE = 0x62;

/** Nothing gets through any more; calls when a PUBREL comes. */
function holdUntilRelease(call: () => void): Treatment {
  let isDue = true;
  return (chunk, flow) => {
    flow.keep(chunk);
    if (!isDue || chunk[0] !== PUBREL_BYTE) return;
    isDue = false;
    call();
  };
}

/** Watches one relay. */
export class KillExchanges {
  readonly watch: WireWatch;
  readonly #relay: Relay;
  readonly #exchanges = new Map<number, Exchange>();
  #onPacket: ((packet: Packet) => void) | undefined;

  constructor(relay: Relay) {
    this.#relay = relay;
    this.watch = new WireWatch(relay);
    this.watch.onPacket = (packet, direction) => {
      this.#take(packet, direction);
      this.#onPacket?.(packet);
    };
  }

  /** Of an exchange that the client knows to be received: has its PUBREL passed? */
  stageOf(packetId: number): "received" | "released" {
    const stage = this.#exchanges.get(packetId)?.stage;
    return stage === "released" || stage === "completed" ? "released" : "received";
  }

  /** Numbers of the readings whose exchange has come so far. */
  numbersIn(...stages: readonly Exchange["stage"][]): number[] {
    return [...this.#exchanges.values()].filter(({ stage }) => stages.includes(stage)).map(({ number }) => number);
  }

  /**
   * Strikes when the n-th exchange from now on has come so far, and sees to it that it goes no further: `sent` and `released` while the PUBLISH or
   * PUBREL passes to the broker, whose answers are held back; `received` when the client has sent a PUBREL, which is held back.
   */
  strikeAt(stage: "sent" | "received" | "released", nth: number, strike: () => void): void {
    if (stage === "received") this.#at("pubrec", nth, () => this.#relay.treat({ up: holdUntilRelease(strike) }));
    else {
      this.#at(stage === "sent" ? "publish" : "pubrel", nth, () => {
        this.#relay.treat({ down: hold });
        strike();
      });
    }
  }

  #at(cmd: Packet["cmd"], nth: number, act: () => void): void {
    let passed = 0;
    this.#onPacket = (packet) => {
      if (packet.cmd !== cmd || ++passed < nth) return;
      this.#onPacket = undefined;
      act();
    };
  }

  #take(packet: Packet, direction: Direction): void {
    if (packet.cmd === "connack" && !packet.sessionPresent) this.#exchanges.clear();
    if (packet.cmd === "publish" && direction === "up") {
      const number = decodeReading(packet.payload as Uint8Array);
      // The first PUBLISH of a repeat may have been lost before it came here.
      const isKnown = this.#exchanges.get(packet.messageId!)?.number === number;
      if (number !== undefined && !isKnown) this.#exchanges.set(packet.messageId!, { number, stage: "sent" });
    }
    const exchange = packet.messageId === undefined ? undefined : this.#exchanges.get(packet.messageId);
    if (exchange === undefined) return;
    if (packet.cmd === "pubrec" && exchange.stage === "sent") exchange.stage = "received";
    if (packet.cmd === "pubrel") exchange.stage = "released";
    if (packet.cmd === "pubcomp") exchange.stage = "completed";
  }
}
