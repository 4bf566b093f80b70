/**
 * What was accepted and is not stored yet. Requests are stored whole or not at all, in the order they came.
 *
 * @module
 */
import type { MessageId, NumberedMessage } from "./message.ts";
import type { PublishRequest } from "./report.ts";

/** A commit takes so many messages, or so many bytes, or one request that is larger. */
export const ARRIVALS_PER_COMMIT_MAX = 1_000;
/** See {@linkcode ARRIVALS_PER_COMMIT_MAX}. */
export const ARRIVED_BYTES_PER_COMMIT_MAX = 4 << 20;

/** First in, first out. */
export class Arrivals {
  #requests: PublishRequest[] = [];
  #lastId: MessageId = 0;

  get isEmpty(): boolean {
    return this.#requests.length === 0;
  }

  /** The greatest id that ever arrived. */
  get lastId(): MessageId {
    return this.#lastId;
  }

  push(requests: readonly PublishRequest[]): void {
    for (const request of requests) {
      if (request.length === 0) continue;
      this.#requests.push(request);
      this.#lastId = Math.max(this.#lastId, request.at(-1)!.id);
    }
  }

  /** Does a message up to this id wait here? Ids come in order, but for those that come again after a worker's death, which come first. */
  hasThrough(id: MessageId): boolean {
    return this.#requests.some((request) => request[0]!.id <= id);
  }

  /** What the next commit can take, or the whole next request. */
  take(): readonly NumberedMessage[] {
    const messages: NumberedMessage[] = [];
    let bytes = 0;
    let count = 0;
    for (const request of this.#requests) {
      const requestBytes = request.reduce((sum, { payload }) => sum + payload.length, 0);
      const isTooMuch = messages.length + request.length > ARRIVALS_PER_COMMIT_MAX || bytes + requestBytes > ARRIVED_BYTES_PER_COMMIT_MAX;
      if (count > 0 && isTooMuch) break;
      messages.push(...request);
      bytes += requestBytes;
      count++;
    }
    this.#requests.splice(0, count);
    return messages;
  }

  /** All of it, to be refused. */
  takeAll(): readonly NumberedMessage[] {
    return this.#requests.splice(0).flat();
  }
}
