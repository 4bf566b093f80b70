/**
 * PUBLISH and PUBREL as bytes: many packets become few writes, and a large payload travels without being copied.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { type IPublishPacket, writeToStream } from "mqtt-packet";
import type { PacketId, ProtocolVersion, PublishProperties } from "../core/message.ts";
import type { PublishPacket } from "../core/ports.ts";

/**
 * The most that is written at once. A write counts as progress when the operating system has taken the whole of it, so it must be small enough
 * to pass the slowest link well within a keep-alive or an acknowledgement time-out. It is also what a TLS record holds.
 */
const WRITE_BYTES_MAX = 16_384;

/** What small pieces are gathered in; more than the longest string MQTT knows. */
const BLOCK_BYTES = 65_536;

/** Gathers the small pieces that the codec writes, and hands on large ones as they are. */
class Gatherer {
  readonly #block = Buffer.allocUnsafeSlow(BLOCK_BYTES);
  #usedBytes = 0;
  #writes: Uint8Array[] = [];

  write(piece: string | Uint8Array): true {
    if (typeof piece === "string") this.#writeText(piece);
    else if (piece.length < BLOCK_BYTES) {
      this.#makeRoom(piece.length);
      this.#block.set(piece, this.#usedBytes);
      this.#usedBytes += piece.length;
    } else {
      this.#closeBlock();
      this.#push(piece);
    }
    return true;
  }

  /** This is how the codec says that it cannot encode something. */
  destroy(error: Error): void {
    throw error;
  }

  /** All that was written since the last call; nothing is left behind, also after a failure. */
  takeWrites(): Uint8Array[] {
    this.#closeBlock();
    const writes = this.#writes;
    this.#writes = [];
    return writes;
  }

  #writeText(text: string): void {
    // UTF-8 takes at most 3 bytes for each UTF-16 code unit: only a long text needs to be measured.
    if (text.length * 3 > BLOCK_BYTES - this.#usedBytes) this.#makeRoom(Buffer.byteLength(text));
    this.#usedBytes += this.#block.write(text, this.#usedBytes);
  }

  #makeRoom(bytes: number): void {
    if (bytes > BLOCK_BYTES) throw new RangeError(`a text of ${bytes} bytes is longer than MQTT allows`);
    if (bytes > BLOCK_BYTES - this.#usedBytes) this.#closeBlock();
  }

  #closeBlock(): void {
    this.#push(Buffer.from(this.#block.subarray(0, this.#usedBytes)));
    this.#usedBytes = 0;
  }

  #push(bytes: Uint8Array): void {
    for (let at = 0; at < bytes.length; at += WRITE_BYTES_MAX) this.#writes.push(bytes.subarray(at, at + WRITE_BYTES_MAX));
  }
}

/** Encodes for one protocol version. Throws if a packet cannot be encoded, which means that it was not checked before. */
export class PacketEncoder {
  readonly #protocolVersion: ProtocolVersion;
  readonly #sink = new Gatherer();
  readonly #stream = this.#sink as unknown as NodeJS.WritableStream;
  readonly #options: { readonly protocolVersion: ProtocolVersion };

  /** MQTT 5 has properties, 3.1.1 has none. */
  constructor(protocolVersion: ProtocolVersion) {
    this.#protocolVersion = protocolVersion;
    this.#options = { protocolVersion };
  }

  /** PUBLISH packets, in order, as bytes to be written one after the other. */
  publish(packets: readonly PublishPacket[]): Uint8Array[] {
    return this.#writes(() => {
      for (const packet of packets) {
        const properties = this.#protocolVersion === 5 ? toCodecProperties(packet.properties) : undefined;
        this.#encode({
          cmd: "publish",
          topic: packet.topic,
          // The codec only measures it and hands it on, which any bytes will do for.
          payload: packet.payload as Buffer,
          qos: packet.qos,
          dup: packet.dup,
          retain: packet.retain,
          ...(packet.qos === 0 ? {} : { messageId: packet.packetId }),
          ...(properties === undefined ? {} : { properties }),
        });
      }
    });
  }

  /** PUBREL packets, in order. */
  release(packetIds: readonly PacketId[]): Uint8Array[] {
    return this.#writes(() => {
      for (const messageId of packetIds) this.#encode({ cmd: "pubrel", messageId, reasonCode: 0 });
    });
  }

  #writes(encode: () => void): Uint8Array[] {
    try {
      encode();
    } catch (error) {
      this.#sink.takeWrites();
      throw error;
    }
    return this.#sink.takeWrites();
  }

  #encode(packet: Parameters<typeof writeToStream>[0]): void {
    if (!writeToStream(packet, this.#stream, this.#options)) throw new Error(`the codec refused a ${packet.cmd} packet`);
  }
}

type CodecProperties = NonNullable<IPublishPacket["properties"]>;

/** Own keys with a value only: the codec writes nothing at all for a packet with an empty set of user properties. */
function toCodecProperties(properties: PublishProperties | undefined): CodecProperties | undefined {
  if (properties === undefined) return undefined;
  const result: CodecProperties = {};
  if (properties.payloadFormatIndicator !== undefined) result.payloadFormatIndicator = properties.payloadFormatIndicator;
  if (properties.messageExpiryInterval !== undefined) result.messageExpiryInterval = properties.messageExpiryInterval;
  if (properties.contentType !== undefined) result.contentType = properties.contentType;
  if (properties.responseTopic !== undefined) result.responseTopic = properties.responseTopic;
  if (properties.correlationData !== undefined) result.correlationData = properties.correlationData as Buffer;
  const pairs = Object.entries(properties.userProperties ?? {}).filter(([, value]) => value.length > 0 || typeof value === "string");
  if (pairs.length > 0) {
    // Without a prototype, so that a property may be named `__proto__`.
    const userProperties: Record<string, string | string[]> = Object.create(null);
    for (const [name, value] of pairs) userProperties[name] = typeof value === "string" ? value : [...value];
    result.userProperties = userProperties;
  }
  return result;
}
