/**
 * Good messages as PUBLISH packets of both versions: read again by a stranger and by the codec's own parser, and as long as the core reckons.
 *
 * @module
 */
import assert from "node:assert/strict";
import { Buffer } from "node:buffer";
import { describe, test } from "node:test";
import fc from "fast-check";
import { type IPublishPacket, type Packet, parser } from "mqtt-packet";
import { PacketEncoder } from "../../lib/adapters/mqtt_encoder.ts";
import type { Message, PublishProperties } from "../../lib/core/message.ts";
import type { PublishPacket } from "../../lib/core/ports.ts";
import { publishPacketBytes } from "../../lib/core/server_limits.ts";
import { resolveMessage } from "../../lib/resolve_message.ts";
import { TEST_MS_MAX } from "../support/deadline.ts";
import { asExpected } from "./carried.ts";
import { assertSame, type ExpectedMessage, giveMessage, goodMessage } from "./messages.ts";
import { decodePublish, PacketReader } from "./publish_bytes.ts";
import { runs } from "./replay.ts";

const RUN_COUNT = 1_000;
const LENGTH_RUN_COUNT = 150;

interface PacketPlan {
  readonly packetId: number;
  readonly dup: boolean;
}

const packetPlan = fc.record({ packetId: fc.integer({ min: 1, max: 65_279 }), dup: fc.boolean() });

const packet = fc.tuple(goodMessage(), packetPlan).map(([plan, rest]): [message: Message, rest: PacketPlan] => {
  const { topic, payload, options } = giveMessage(plan);
  return [resolveMessage(topic, payload, options).message, rest];
});

/** Lengths where the remaining length takes one more byte, or where packets are gathered and cut for writing. */
const oddLength = fc.tuple(fc.constantFrom(128, 16_384, 32_768, 65_536, 131_072, 2_097_152), fc.integer({ min: -30, max: 10 }))
  .map(([length, more]) => length + more);

function toPacket(message: Message, { packetId, dup }: PacketPlan): PublishPacket {
  return message.qos === 0 ? { ...message, packetId: 0, dup: false } : { ...message, packetId, dup };
}

/** What the codec's own parser reads. */
function parse(bytes: Uint8Array, protocolVersion: 4 | 5): IPublishPacket[] {
  const read: Packet[] = [];
  const packets = parser({ protocolVersion }).on("packet", (packet: Packet) => read.push(packet)).on("error", (error: Error) => {
    throw error;
  });
  packets.parse(Buffer.from(bytes));
  return read as IPublishPacket[];
}

/** The parser forgets an empty value when another of the same name follows: there only a stranger can tell. */
function isParserFit({ properties }: Message): boolean {
  return Object.values(properties?.userProperties ?? {}).every((value) => typeof value === "string" || !value.includes(""));
}

function parsedAsMessage({ topic, payload, qos, retain, properties }: IPublishPacket): ExpectedMessage {
  return asExpected({
    topic,
    payload: payload as Buffer,
    qos,
    retain,
    ...(properties === undefined ? {} : { properties: properties as PublishProperties }),
  });
}

for (const protocolVersion of [4, 5] as const) {
  describe(`A PUBLISH of version ${protocolVersion}`, () => {
    // One for all, as on a connection: what one call leaves behind would come to light in the next.
    const encoder = new PacketEncoder(protocolVersion);

    function check(packets: readonly PublishPacket[]): void {
      const bytes = Buffer.concat(encoder.publish(packets));
      const frames = new PacketReader().add(bytes);
      assert.equal(frames.reduce((sum, frame) => sum + frame.length, 0), bytes.length, "there is nothing else");
      assert.equal(frames.length, packets.length);
      const parsed = parse(bytes, protocolVersion);
      assert.equal(parsed.length, packets.length);
      for (const [index, given] of packets.entries()) {
        const expected = asExpected(protocolVersion === 5 ? given : withoutProperties(given));
        const what = `packet ${index}`;
        const read = decodePublish(frames[index]!, protocolVersion);
        assertSame(read as ExpectedMessage, expected, what);
        assert.deepEqual([read.packetId, read.dup], [given.packetId, given.dup], what);
        assert.equal(publishPacketBytes(given, protocolVersion === 5), frames[index]!.length, `${what}: its length is known beforehand`);
        const again = parsed[index]!;
        assert.deepEqual([again.messageId ?? 0, again.dup], [given.packetId, given.dup], what);
        if (isParserFit(given)) assertSame(parsedAsMessage(again), expected, `${what} as the codec reads it`);
      }
    }

    test(`is read as it was meant: ${RUN_COUNT} times several messages`, { timeout: TEST_MS_MAX }, () => {
      fc.assert(
        fc.property(fc.array(packet, { maxLength: 8 }), (packets) => check(packets.map(([message, plan]) => toPacket(message, plan)))),
        runs(RUN_COUNT),
      );
    });

    test("is read as it was meant around each length that is a turning point", { timeout: TEST_MS_MAX }, () => {
      const packets = fc.array(fc.tuple(packet, fc.option(oddLength)), { minLength: 1, maxLength: 3 });
      fc.assert(
        fc.property(packets, (given) => {
          check(given.map(([[message, plan], length]) => {
            const payload = length === null ? message.payload : new Uint8Array(length).map((_, index) => index % 251);
            return toPacket({ ...message, payload }, plan);
          }));
        }),
        runs(LENGTH_RUN_COUNT),
      );
    });
  });
}

function withoutProperties({ topic, payload, qos, retain }: Message): Message {
  return { topic, payload, qos, retain };
}
