import { strict as assert } from "node:assert";
import { Buffer } from "node:buffer";
import { describe, it } from "node:test";
import mqttPacket from "mqtt-packet";
import type { Message, StoredMessage } from "../../lib/core/message.ts";
import type { ServerInfo } from "../../lib/core/ports.ts";
import { fitToServer, publishPacketBytes, utf8Bytes } from "../../lib/core/server_limits.ts";

const server: ServerInfo = {
  sessionPresent: false,
  protocolVersion: 5,
  receiveMaximum: 20,
  maximumQoS: 2,
  retainAvailable: true,
  maximumPacketSize: 268_435_460,
  keepAliveSeconds: 60,
  sessionExpirySeconds: 60,
};
const none = { allowQos0: false, retainFallback: false };
const now = { epochMs: 0, knownMs: 100_000 };

function stored(fields: Partial<StoredMessage> = {}): StoredMessage {
  const payload = new TextEncoder().encode("payload");
  return { id: 1, topic: "t", payload, qos: 2, retain: false, storedAtEpochMs: 0, storedAtKnownMs: 40_000, ...fields };
}

/** The codec takes only Buffers for bytes. */
function wireProperties(properties: NonNullable<Message["properties"]>) {
  const { correlationData, ...rest } = properties;
  return correlationData === undefined ? rest : { ...rest, correlationData: Buffer.from(correlationData) };
}

describe("publishPacketBytes()", () => {
  const messages: Message[] = [
    stored(),
    stored({ qos: 0 }),
    stored({ topic: "ä/€/😀/\u{7ff}\u{800}", qos: 1 }),
    stored({ payload: new Uint8Array(200_000) }),
    stored({ payload: new Uint8Array(3_000_000) }),
    stored({
      properties: {
        payloadFormatIndicator: true,
        messageExpiryInterval: 60,
        contentType: "text/plain; ä",
        responseTopic: "answer/€",
        correlationData: new Uint8Array(300),
        userProperties: { one: "1", many: ["a", "b", "ü"], empty: "" },
      },
    }),
  ];
  for (const [index, message] of messages.entries()) {
    it(`agrees with the codec on both versions, message ${index}`, () => {
      for (const protocolVersion of [4, 5] as const) {
        const { properties, ...plain } = message;
        const buffers = mqttPacket.generate(
          {
            cmd: "publish",
            topic: plain.topic,
            payload: Buffer.from(plain.payload),
            qos: plain.qos,
            retain: plain.retain,
            dup: false,
            messageId: 1,
            ...(protocolVersion === 5 && properties !== undefined ? { properties: wireProperties(properties) as never } : {}),
          },
          { protocolVersion },
        );
        assert.equal(publishPacketBytes(message, protocolVersion === 5), buffers.length);
      }
    });
  }
});

describe("utf8Bytes()", () => {
  it("counts as the encoder does", () => {
    for (const text of ["", "abc", "ä", "€", "😀", "a\u{7f}\u{80}\u{7ff}\u{800}\u{ffff}\u{10ffff}"]) {
      assert.equal(utf8Bytes(text), new TextEncoder().encode(text).length, JSON.stringify(text));
    }
  });
});

describe("fitToServer()", () => {
  it("sends what the broker takes as it is", () => {
    const fit = fitToServer(stored(), server, none, now, false);
    assert.equal(fit.to, "send");
    assert.equal(fit.to === "send" && fit.isDowngraded, false);
  });

  it("takes the time in the cache off the expiry interval", () => {
    const fit = fitToServer(stored({ properties: { messageExpiryInterval: 90 } }), server, none, now, false);
    assert.equal(fit.to === "send" && fit.message.properties?.messageExpiryInterval, 30);
  });

  it("lets a message expire on both versions, but never one that was sent", () => {
    const message = stored({ properties: { messageExpiryInterval: 60 } });
    assert.equal(fitToServer(message, server, none, now, false).to, "expired");
    assert.equal(fitToServer(message, { ...server, protocolVersion: 4 }, none, now, false).to, "expired");
    const again = fitToServer(message, server, none, now, true);
    assert.equal(again.to === "send" && again.message.properties?.messageExpiryInterval, 1);
  });

  it("lowers QoS 2 to 1 and says so, and holds at a broker that takes only QoS 0 unless that is allowed", () => {
    const lowered = fitToServer(stored(), { ...server, maximumQoS: 1 }, none, now, false);
    assert.ok(lowered.to === "send" && lowered.message.qos === 1 && lowered.isDowngraded);
    assert.equal(fitToServer(stored(), { ...server, maximumQoS: 0 }, none, now, false).to, "hold");
    const allowed = fitToServer(stored(), { ...server, maximumQoS: 0 }, { ...none, allowQos0: true }, now, false);
    assert.ok(allowed.to === "send" && allowed.message.qos === 0);
  });

  it("holds a retained message at a broker without retain unless the fallback is allowed", () => {
    const message = stored({ retain: true });
    assert.equal(fitToServer(message, { ...server, retainAvailable: false }, none, now, false).to, "hold");
    const allowed = fitToServer(message, { ...server, retainAvailable: false }, { ...none, retainFallback: true }, now, false);
    assert.ok(allowed.to === "send" && !allowed.message.retain && allowed.isDowngraded);
  });

  it("quarantines a packet that is one byte too large, and sends one that fits exactly", () => {
    const bytes = publishPacketBytes(stored(), true);
    assert.equal(fitToServer(stored(), { ...server, maximumPacketSize: bytes }, none, now, false).to, "send");
    const fit = fitToServer(stored(), { ...server, maximumPacketSize: bytes - 1 }, none, now, false);
    assert.ok(fit.to === "quarantine");
    assert.match(fit.reason, new RegExp(`at most ${bytes - 1} bytes, this one has ${bytes}`));
  });

  it("leaves MQTT 5 properties out on 3.1.1 and says so", () => {
    const fit = fitToServer(stored({ properties: { contentType: "x" } }), { ...server, protocolVersion: 4 }, none, now, false);
    assert.ok(fit.to === "send" && fit.message.properties === undefined && fit.arePropertiesDropped);
  });
});
