/**
 * What the recorded device publishes: numbered messages, the whole of which follows from the number.
 *
 * @module
 */
import type { QoS } from "../../../lib/core/message.ts";
import { encodeReading } from "../../support/workload.ts";

/** One in so many is large: larger than what becomes a file of its own. */
const LARGE_EVERY = 25;
const LARGE_BYTES = 150_000;

/** Mostly exactly once. */
export function qosOf(number: number): QoS {
  return number % 10 === 3 ? 0 : number % 5 === 1 ? 1 : 2;
}

/** The payload. */
export function payloadOf(number: number): string {
  const reading = encodeReading(number);
  return number % LARGE_EVERY === 7 ? reading.padEnd(LARGE_BYTES, `${number} `) : reading;
}

/** A payload that was never published. */
export class AlteredMessageError extends Error {
  override readonly name = "AlteredMessageError";
}

/** The number of a message with this payload. Throws an AlteredMessageError if no message has it. */
export function numberOf(payload: Uint8Array): number {
  const text = new TextDecoder().decode(payload);
  const number = Number(/^\{"number":(\d+),/.exec(text)?.[1] ?? NaN);
  if (text !== payloadOf(number)) throw new AlteredMessageError(`Cannot find a message with the payload ${text.slice(0, 80)}`);
  return number;
}
