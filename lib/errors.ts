/**
 * What a caller may want to catch, and the way of errors across the thread: an Error loses its class over `postMessage`, so it travels as a
 * plain object and is made anew on the other side.
 *
 * @module
 */
import type { MessageId } from "./core/message.ts";
import type { Failure } from "./core/report.ts";

/** Base of what goes wrong with the cache: it cannot be opened, read or written. */
export class CacheError extends Error {
  /** Name of the class. */
  override readonly name: string = "CacheError";
  /** What is wrong, as a word for programs. */
  readonly code: string;
  /** `false`: the message was not stored. `"unknown"`: it may have been, and may still be delivered. */
  readonly isStored: false | "unknown";
  /** Says what could not be done and why. */
  constructor(message: string, options: ErrorOptions & { readonly code?: string; readonly isStored?: false | "unknown" } = {}) {
    super(message, options);
    this.code = options.code ?? "cache";
    this.isStored = options.isStored ?? false;
  }
}

/** There is no room for the message, on the disk or within the limits set. It was not stored. */
export class CacheFullError extends CacheError {
  /** Name of the class. */
  override readonly name: string = "CacheFullError";
}

/** Another client holds the cache; the message names it. */
export class CacheLockedError extends CacheError {
  /** Name of the class. */
  override readonly name: string = "CacheLockedError";
}

/** The client was stopped, or is stopping. */
export class StoppedError extends Error {
  /** Name of the class. */
  override readonly name: string = "StoppedError";
  /** Always `"stopped"`. */
  readonly code = "stopped";
}

/** A message will not be delivered, or can no longer be said to have been. */
export class DeliveryError extends Error {
  /** Name of the class. */
  override readonly name: string = "DeliveryError";
  /** The message's fate. */
  readonly code: "refused" | "quarantined" | "dropped" | "expired" | "purged" | "damaged" | "forgotten";
  /** Which message. */
  readonly id: MessageId;
  /** Reason code of the broker, if it gave one. */
  readonly reasonCode?: number;
  /** Says which message met which fate, and why. */
  constructor(
    message: string,
    options: ErrorOptions & { readonly code: DeliveryError["code"]; readonly id: MessageId; readonly reasonCode?: number },
  ) {
    super(message, options);
    this.code = options.code;
    this.id = options.id;
    if (options.reasonCode !== undefined) this.reasonCode = options.reasonCode;
  }
}

/** For `postMessage`. */
export function toWire(error: unknown): Failure {
  if (!(error instanceof Error)) return { name: "Error", message: String(error) };
  const { code, isStored } = error as { code?: unknown; isStored?: unknown };
  return {
    name: error.name,
    message: error.message,
    ...(typeof code === "string" ? { code } : {}),
    ...(isStored === false || isStored === "unknown" ? { isStored } : {}),
    ...(error.stack === undefined ? {} : { stack: error.stack }),
  };
}

/** From `postMessage`: of the class it had. */
export function fromWire(wire: Failure): Error {
  const options = {
    cause: wire.stack,
    ...(wire.code === undefined ? {} : { code: wire.code }),
    ...(wire.isStored === undefined ? {} : { isStored: wire.isStored }),
  };
  switch (wire.name) {
    case "CacheFullError":
      return new CacheFullError(wire.message, options);
    case "CacheLockedError":
      return new CacheLockedError(wire.message, options);
    case "CacheError":
      return new CacheError(wire.message, options);
    case "StoppedError":
      return new StoppedError(wire.message, options);
    case "TypeError":
      return new TypeError(wire.message, options);
    case "RangeError":
      return new RangeError(wire.message, options);
    default:
      return Object.assign(new Error(wire.message, options), { name: wire.name });
  }
}
