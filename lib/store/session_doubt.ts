/**
 * Whether the cache can still say whose session it has. If what it remembers may be older than what the broker knows, a packet id that looks free
 * here may be in use there, and the broker would take the next message under it for a repeat. Then the session is nobody's: the broker's is
 * discarded at the next connect, and what was in flight goes again.
 *
 * @module
 */
import type { Outbox } from "../core/ports.ts";

/** What is known of this opening. */
export interface Opening {
  /** Another one after each start of the machine. */
  readonly bootId: string | undefined;
  /** Of the database: a copy has another one. */
  readonly inode: number | undefined;
  /** Is every commit synced? */
  readonly isSynced: boolean;
}

/** Note: since which boot commits were not synced; empty if all are. */
const UNSYNCED_SINCE_BOOT = "store/unsynced-since-boot";
const INODE = "store/inode";

/** Looks at how the cache was opened before, gives up the session if in doubt, and notes how it is opened now. */
export function disownIfInDoubt(outbox: Outbox, { bootId, inode, isSynced }: Opening, warnings: string[]): void {
  const unsyncedSince = outbox.readNote(UNSYNCED_SINCE_BOOT) ?? "";
  const isUndone = unsyncedSince !== "" && unsyncedSince !== bootId;
  const isCopy = outbox.readNote(INODE) !== String(inode);
  if ((isUndone || isCopy) && outbox.session().state !== "none") {
    outbox.commit({ at: outbox.lastMoment(), session: { state: "none" } });
    const why = isCopy
      ? "It is a copy, or was restored"
      : 'It was written with durability "process-crash" before this start of the machine';
    warnings.push(`The cache may be older than what the broker knows. ${why}: messages that were in flight may arrive twice`);
  }
  if (isCopy) outbox.writeNote(INODE, String(inode));
  const unsynced = isSynced ? "" : bootId ?? "unknown";
  if (unsynced !== unsyncedSince) {
    outbox.writeNote(UNSYNCED_SINCE_BOOT, unsynced);
    // Opening syncs all that was written: this note must outlive what is not.
    outbox.reopen();
  }
}
