/**
 * Counts what the operating system takes from a stream.
 *
 * @module
 */
import type { Writable } from "node:stream";

type Done = (error?: Error | null) => void;

/** What Node's streams call to have bytes written: TCP, TLS and WebSocket streams all provide it. */
interface Writer {
  _write(chunk: Uint8Array, encoding: BufferEncoding, done: Done): void;
  _writev?: ((chunks: readonly { readonly chunk: Uint8Array; readonly encoding: BufferEncoding }[], done: Done) => void) | undefined;
}

/** A stream whose writes are counted. */
export class WriteMeter {
  readonly #writer: Writer;

  /** Reports each write once the operating system has taken all of it, after the stream has done its own accounts. */
  constructor(stream: Writable, onTaken: (bytes: number) => void) {
    const writer = this.#writer = stream as unknown as Writer;
    const { _write: write, _writev: writeMany } = writer;
    // A stream that is still opening calls itself again with the same chunk: only the first call is the write.
    let isWriting = false;
    const measure = (bytes: number, done: Done): Done => {
      isWriting = true;
      return (error) => {
        isWriting = false;
        done(error);
        if (!error) onTaken(bytes);
      };
    };
    writer._write = (chunk, encoding, done) => write.call(writer, chunk, encoding, isWriting ? done : measure(chunk.length, done));
    if (writeMany) {
      writer._writev = (chunks, done) =>
        writeMany.call(writer, chunks, isWriting ? done : measure(chunks.reduce((sum, { chunk }) => sum + chunk.length, 0), done));
    }
  }

  /**
   * From now on the stream writes chunk by chunk, as it was given them, instead of joining all that waits into one write: a long queue then
   * shows its progress on a slow link, and nothing is copied.
   */
  writeOneByOne(): void {
    this.#writer._writev = undefined;
  }
}
