/**
 * Payloads of every kind: as plain data, as `publish()` is given them, as bytes that must arrive.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import fc from "fast-check";
import type { Payload } from "../../mod.ts";
import { anyCharacter } from "./texts.ts";
import { utf8Of } from "./text_oracle.ts";

const VIEWS = [
  Uint8Array,
  Uint8ClampedArray,
  Int8Array,
  Int16Array,
  Uint16Array,
  Int32Array,
  Uint32Array,
  Float32Array,
  Float64Array,
  BigInt64Array,
  BigUint64Array,
] as const;
type ViewName = "Buffer" | "DataView" | (typeof VIEWS)[number]["name"];

/** A payload as plain data. */
export type PayloadPlan =
  | { readonly kind: "null" }
  | { readonly kind: "text"; readonly text: string }
  | { readonly kind: "number"; readonly value: number }
  | { readonly kind: "bigint"; readonly value: bigint }
  | { readonly kind: "buffer"; readonly isShared: boolean; readonly isResizable: boolean; readonly bytes: readonly number[] }
  /** The part of a buffer behind `before` bytes and in front of `after` more. */
  | {
    readonly kind: "view";
    readonly view: ViewName;
    readonly isShared: boolean;
    readonly before: number;
    readonly bytes: readonly number[];
    readonly after: number;
  };

/** As `publish()` is given it, and how the caller ruins it afterwards. */
export interface GivenPayload {
  readonly payload: Payload;
  spoil(): void;
}

/** Bytes as plain data. */
export const bytes = (maxLength: number) => fc.array(fc.nat(255), { maxLength });
const viewName = fc.constantFrom<ViewName>("Buffer", "DataView", ...VIEWS.map(({ name }) => name));

/** All that may be published. */
export const anyPayload: fc.Arbitrary<PayloadPlan> = fc.oneof(
  fc.record({ kind: fc.constant("null" as const) }),
  fc.record({ kind: fc.constant("text" as const), text: fc.string({ unit: fc.oneof(anyCharacter, fc.constant("\0")), maxLength: 60 }) }),
  fc.record({ kind: fc.constant("number" as const), value: fc.double({ noNaN: true, noDefaultInfinity: true }) }),
  fc.record({ kind: fc.constant("bigint" as const), value: fc.bigInt() }),
  fc.record({ kind: fc.constant("buffer" as const), isShared: fc.boolean(), isResizable: fc.boolean(), bytes: bytes(100) }),
  fc.record({
    kind: fc.constant("view" as const),
    view: viewName,
    isShared: fc.boolean(),
    before: fc.constantFrom(0, 8, 64),
    bytes: bytes(20).map((each) => [...each, ...new Array<number>((8 - each.length % 8) % 8).fill(0)]),
    after: fc.constantFrom(0, 8, 64),
  }),
);

/** The bytes that must arrive. */
export function payloadBytes(plan: PayloadPlan): Uint8Array {
  if (plan.kind === "null") return new Uint8Array(0);
  if (plan.kind === "text") return utf8Of(plan.text)!;
  if (plan.kind === "number" || plan.kind === "bigint") return utf8Of(`${plan.value}`)!;
  return Uint8Array.from(plan.bytes);
}

/** For `publish()`. */
export function makePayload(plan: PayloadPlan): GivenPayload {
  if (plan.kind === "null") return { payload: null, spoil() {} };
  if (plan.kind === "text") return { payload: plan.text, spoil() {} };
  if (plan.kind === "number" || plan.kind === "bigint") return { payload: plan.value, spoil() {} };
  const before = plan.kind === "view" ? plan.before : 0;
  const after = plan.kind === "view" ? plan.after : 0;
  const byteCount = before + plan.bytes.length + after;
  const isResizable = plan.kind === "buffer" && plan.isResizable;
  const buffer = makeBuffer(byteCount, plan.isShared, isResizable);
  const all = new Uint8Array(buffer);
  all.fill(0xee);
  all.set(plan.bytes, before);
  const payload = plan.kind === "buffer" ? buffer : makeView(plan.view, buffer, before, plan.bytes.length);
  return {
    payload,
    spoil() {
      all.fill(0xdd);
      if (buffer instanceof SharedArrayBuffer) return;
      if (isResizable) buffer.resize(0);
      else structuredClone(buffer, { transfer: [buffer] });
    },
  };
}

function makeBuffer(byteCount: number, isShared: boolean, isResizable: boolean): ArrayBuffer | SharedArrayBuffer {
  const options = isResizable ? { maxByteLength: byteCount + 8 } : undefined;
  return isShared ? new SharedArrayBuffer(byteCount, options) : new ArrayBuffer(byteCount, options);
}

function makeView(name: ViewName, buffer: ArrayBuffer | SharedArrayBuffer, at: number, byteCount: number): ArrayBufferView {
  if (name === "Buffer") return Buffer.from(buffer as ArrayBuffer, at, byteCount);
  if (name === "DataView") return new DataView(buffer, at, byteCount);
  const View = VIEWS.find((each) => each.name === name)!;
  return new View(buffer as ArrayBuffer, at, byteCount / View.BYTES_PER_ELEMENT);
}
