/**
 * The bytes of buffers and views. One whose bytes are not there any more would pass for an empty one.
 *
 * @module
 */

/** Any method that all typed arrays share will do: each looks first whether the array lies within its buffer. */
const { keys: checkTypedArray } = Object.getPrototypeOf(Uint8Array.prototype) as Uint8Array;

/** The bytes where they are; `undefined` if the value is neither a buffer nor a view. `buffer` names it in errors. */
export function viewBytes(value: unknown, buffer: string, action: string): Uint8Array | undefined {
  if (value instanceof ArrayBuffer || value instanceof SharedArrayBuffer) {
    checkAttached(value, buffer, action);
    return new Uint8Array(value);
  }
  if (!ArrayBuffer.isView(value)) return undefined;
  checkAttached(value.buffer, buffer, action);
  try {
    // A view may lie outside its buffer, because that has shrunk. A DataView then does not tell its length, a typed array says 0.
    if (!(value instanceof DataView)) checkTypedArray.call(value as Uint8Array);
    return new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
  } catch (error) {
    throw new TypeError(`${action}: ${buffer} cannot be read`, { cause: error });
  }
}

function checkAttached(value: ArrayBufferLike, buffer: string, action: string): void {
  if (value instanceof ArrayBuffer && value.detached) {
    throw new TypeError(`${action}: ${buffer} is detached, its bytes were transferred elsewhere`);
  }
}
