/**
 * What acknowledgements and connections have decided and no commit has written yet. It survives a full disk: then it waits, and grows by no more
 * than the window.
 *
 * @module
 */
import type { MessageId, PacketId } from "./message.ts";
import type { OutboxBatch, SessionOwner } from "./ports.ts";
import type { Exchange } from "./session.ts";

/** A message to be set aside. */
export interface ToQuarantine {
  readonly id: MessageId;
  readonly reason: string;
  readonly reasonCode?: number;
  readonly attempts: number;
}

/** One batch in the making. */
export class Work {
  /** PUBREC came: PUBREL may leave after the commit. */
  received: Exchange[] = [];
  /** Refused for now: after the commit they go to the lanes, but for the denied ones, which wait with the refusals. */
  requeued: { readonly exchange: Exchange; readonly attempts: number; readonly isDenied: boolean }[] = [];
  delivered: MessageId[] = [];
  quarantined: ToQuarantine[] = [];
  /** Packet ids of exchanges that the commit ends. */
  freed: PacketId[] = [];
  isSessionLost = false;
  owner: SessionOwner | undefined;
  /** When the first of `delivered` was noted; Infinity if there is none. */
  deliveredSinceMs = Infinity;

  deliver(exchange: Exchange, nowMs: number): void {
    this.delivered.push(exchange.id);
    this.freed.push(exchange.packetId);
    this.deliveredSinceMs = Math.min(this.deliveredSinceMs, nowMs);
  }

  /** The session is gone: what was to be marked on its exchanges no longer has any meaning. Fates stand. */
  loseSession(): void {
    this.received = [];
    this.requeued = [];
    this.freed = [];
    this.isSessionLost = true;
  }

  /** Nothing that anybody waits for: removing a delivered row needs no sync of its own. */
  get canWait(): boolean {
    return this.received.length === 0 && this.requeued.length === 0 && this.quarantined.length === 0 && !this.isSessionLost &&
      this.owner === undefined;
  }

  get isEmpty(): boolean {
    return this.canWait && this.delivered.length === 0;
  }

  toBatch(): Omit<OutboxBatch, "at"> {
    return {
      freePacketIds: this.isSessionLost,
      received: this.received.map(({ id, receivedNumber }) => ({ id, receivedNumber })),
      requeued: this.requeued.map(({ exchange, attempts }) => ({ id: exchange.id, attempts })),
      removed: this.delivered.map((id) => ({ id, fate: "delivered" as const })),
      quarantined: this.quarantined,
      ...(this.owner === undefined ? {} : { session: this.owner }),
    };
  }
}
