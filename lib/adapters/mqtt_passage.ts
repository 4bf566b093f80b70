/**
 * What has been handed over and is not known to have arrived. The operating systems on the way take megabytes at once and say nothing of what
 * they still hold: on a slow link the answer to a large message is minutes away although all of it seems to have left.
 *
 * @module
 */
import type { PacketId } from "../core/message.ts";

/** Names the answer to a ping; no packet of ours has this id. */
export const PING = 0;

/** Each time so much has yet to pass, patience grows by one: with the default time-out, links of 140 kbit/s and more pass. */
const BYTES_PER_PATIENCE = 524_288;
/**
 * The most that is thought to be on its way unseen, in the buffers of both systems and of whatever stands between them; what exceeds it is seen
 * to leave. With the default time-out a dead link is noticed within nine minutes even then; Linux itself takes a quarter of an hour.
 */
const BYTES_AHEAD_MAX = 16 * BYTES_PER_PATIENCE;
/** Less than this passes any link within the usual time. */
const LARGE_BYTES = 16_384;
/** The slowest link that is believed in has a sixteenth of the speed. */
const SLOWNESS_MAX = 16;

/** Of one connection after the other. */
export class Passage {
  #sentBytes = 0;
  /** Of these, known to have arrived. */
  #arrivedBytes = 0;
  /** Where the packets end that an answer is due to, in the order in which they were sent. */
  readonly #awaited = new Map<PacketId, number>();
  /** Doubles with each connection that was given up over a large message, until something is answered. */
  #slowness = 1;

  /** A new connection: nothing is on its way. */
  begin(): void {
    this.#sentBytes = this.#arrivedBytes = 0;
    this.#awaited.clear();
  }

  /** A message of about so many bytes was handed over. */
  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** The last packet handed over will be answered, by this name. */
  expect(answer: PacketId): void {
    // A second ping may be on its way; the answer that comes next is the first one's.
    if (answer !== PING || !this.#awaited.has(PING)) this.#awaited.set(answer, this.#sentBytes);
  }

  /** So everything that was sent before has arrived. */
  answered(answer: PacketId): void {
    const endsAt = this.#awaited.get(answer);
    if (endsAt === undefined) return;
    this.#awaited.delete(answer);
    this.#arrivedBytes = Math.max(this.#arrivedBytes, endsAt);
    this.#slowness = 1;
  }

  /** The connection was closed because no answer came. */
  givenUp(): void {
    if (this.#bytesAhead() >= LARGE_BYTES) this.#slowness = Math.min(SLOWNESS_MAX, this.#slowness * 2);
  }

  /** How many times the usual time the next answer may take, or the next sign that something moves; at least 1. */
  patience(): number {
    const bytes = this.#bytesAhead();
    return bytes < LARGE_BYTES ? 1 : this.#slowness * (1 + bytes / BYTES_PER_PATIENCE);
  }

  /** What has to arrive before the next answer can come, or before all has arrived that nothing answers. */
  #bytesAhead(): number {
    const [endsAt = this.#sentBytes] = this.#awaited.values();
    return Math.min(BYTES_AHEAD_MAX, Math.max(0, endsAt - this.#arrivedBytes));
  }
}
