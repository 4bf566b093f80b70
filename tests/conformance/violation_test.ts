/**
 * What a broker must not send. The client closes, as the standard demands, or reads past it where nothing speaks against it; either way it goes on
 * and loses nothing.
 */
import assert from "node:assert/strict";
import { describe, test } from "node:test";
import { counted, hex, int16, type Letter, text, type Wire } from "./bytes.ts";
import { Device } from "./device.ts";
import { eachVersion, scenarios } from "./scenario.ts";

const { both, only } = scenarios();

/** In flight in every scenario: one of each kind, the last with PUBREC and PUBREL behind it. */
const LETTERS: Letter[] = [{ qos: 1, payload: "a" }, { qos: 2, payload: "b" }, { qos: 2, payload: "c" }];

type Say = (wire: Wire, packetIds: readonly [q1: number, q2: number, released: number]) => string;
type Row = readonly [what: string, say: Say];

/** Sends the letters; PUBACK, PUBREC and PUBCOMP are withheld, in this order. */
async function open(device: Device): Promise<[number, number, number]> {
  const [a, b, c] = await device.send(...LETTERS);
  device.line.send(device.wire.pubrec(c!));
  await device.line.expect(device.wire.pubrel(c!));
  return [a!, b!, c!];
}

/** All is resumed on the next connection, which the client makes by itself. */
async function expectResumed(device: Device, [a, b, c]: readonly [number, number, number]): Promise<void> {
  const { wire } = device;
  const line = await device.online();
  await line.expect(wire.pubrel(c), wire.publish(LETTERS[0]!, a, true), wire.publish(LETTERS[1]!, b, true));
}

async function finish(device: Device, [a, b, c]: readonly [number, number, number]): Promise<void> {
  const { line, wire } = device;
  line.send(wire.puback(a), wire.pubrec(b), wire.pubcomp(c));
  await line.expect(wire.pubrel(b));
  line.send(wire.pubcomp(b));
  await device.pending(0);
}

/** A success in any of its forms: MQTT 5 lets the sender leave out what says nothing. */
async function expectAnswer({ line, version }: Device, type: string, packetId: number): Promise<void> {
  const bytes = (await line.next()).bytes.toString("hex");
  const short = `${type}02${int16(packetId)}`;
  const forms = version === 5 ? [short, `${type}03${int16(packetId)}00`, `${type}04${int16(packetId)}0000`] : [short];
  assert.ok(forms.includes(bytes), `${bytes} is one of ${forms}`);
}

/** Each row on a connection of its own: the client closes, says whose fault it is, and resumes. */
function closesAt(rows: readonly Row[]): (device: Device) => Promise<void> {
  return async (device) => {
    const packetIds = await open(device);
    for (const [what, say] of rows) {
      try {
        device.line.send(say(device.wire, packetIds));
        await device.line.end();
        const { reason } = await device.heard("disconnect", ({ reason }) => reason.startsWith("the broker "));
        assert.match(reason, /^the broker (broke the protocol:|sent) /);
        await expectResumed(device, packetIds);
      } catch (error) {
        if (error instanceof Error) error.message = `${what}: ${error.message}`;
        throw error;
      }
    }
    await finish(device, packetIds);
  };
}

describe("The client closes", () => {
  test(
    "[MQTT-4.13.1-1] [3.1.1 MQTT-4.8.0-1] at an acknowledgement that does not fit the exchange",
    both(closesAt([
      ["PUBACK for QoS 2", (wire, [, b]) => wire.puback(b)],
      ["PUBCOMP for QoS 1", (wire, [a]) => wire.pubcomp(a)],
      ["PUBREC for QoS 1", (wire, [a]) => wire.pubrec(a)],
      ["PUBCOMP before PUBREC", (wire, [, b]) => wire.pubcomp(b)],
      ["PUBACK after PUBREC", (wire, [, , c]) => wire.puback(c)],
    ])),
  );

  test(
    "[MQTT-4.13.1-1] [3.1.1 MQTT-4.8.0-1] [MQTT-2.2.1-5] [3.1.1 MQTT-2.3.1-6] at an acknowledgement that is malformed",
    both(closesAt([
      ["PUBACK without a packet id", () => "4000"],
      ["PUBACK with half a packet id", (_, [a]) => `4001 ${int16(a).slice(0, 2)}`],
      ["PUBACK without a packet id, and the next packet right behind it", (wire, [a]) => `4000${wire.puback(a)}`],
      ["PUBREC with half a packet id, and the next packet right behind it", (wire, [, b]) => `5001 00${wire.pubrec(b)}`],
      ["PUBACK for packet id 0", () => "4002 0000"],
      ["PUBREC for packet id 0", () => "5002 0000"],
      ["PUBCOMP for packet id 0", () => "7002 0000"],
    ])),
  );

  test(
    "[MQTT-4.13.1-1] [MQTT-3.4.2-1] [MQTT-3.5.2-1] [MQTT-3.7.2-1] at a reason code that the packet cannot have, and at properties that it cannot have",
    only(
      5,
      closesAt([
        ["PUBACK with 0x92", (wire, [a]) => wire.puback(a, 0x92)],
        ["PUBACK with 0x01", (wire, [a]) => wire.puback(a, 1)],
        ["PUBREC with 0x8e", (wire, [, b]) => wire.pubrec(b, 0x8e)],
        ["PUBCOMP with 0x87", (wire, [, , c]) => wire.pubcomp(c, 0x87)],
        ["PUBACK with an unknown property", (_, [a]) => `4006 ${int16(a)} 00 02 7f00`],
        ["PUBACK with property 0", (_, [a]) => `4006 ${int16(a)} 00 02 0000`],
      ]),
    ),
  );

  test(
    "[3.1.1 MQTT-4.8.0-1] [3.1.1 MQTT-2.2.2-2] at what only version 5 has",
    only(
      4,
      closesAt([
        ["PUBACK with a reason code", (wire, [a]) => wire.puback(a, 0)],
        ["PUBREC with a reason code and properties", (_, [, b]) => `5004 ${int16(b)} 00 00`],
        ["DISCONNECT from the broker", () => "e000"],
        ["AUTH", () => "f000"],
      ]),
    ),
  );

  test(
    "[MQTT-2.1.3-1] [3.1.1 MQTT-2.2.2-2] at flags that are reserved for another value",
    both(closesAt(
      ["41", "42", "44", "48", "51", "5f", "71", "78"].map((type): Row => [
        `acknowledgement ${type}`,
        (_, [a, b, c]) => `${type}02 ${int16({ 4: a, 5: b, 7: c }[type[0]!]!)}`,
      ]),
    )),
  );

  test(
    "[MQTT-2.1.3-1] [MQTT-3.3.1-4] [3.1.1 MQTT-2.2.2-2] [3.1.1 MQTT-3.3.1-4] at other packets with such flags, and at QoS 3",
    both(closesAt([
      ["PINGRESP d1", () => "d100"],
      ["SUBACK 92", () => "9203 0001 00"],
      ["UNSUBACK b2", () => "b202 0001"],
      ["PUBREL 60", () => "6002 0001"],
      ["PUBREL 63", () => "6302 0001"],
      ["PUBLISH at QoS 3", (wire) => `36${counted(`0001 78 0001 ${wire.version === 5 ? "00" : ""} 79`.replaceAll(" ", ""))}`],
    ])),
  );

  test(
    "[MQTT-4.13.1-1] [3.1.1 MQTT-4.8.0-1] [MQTT-3.2.0-2] at packets that only a client sends, at reserved types, at a second CONNACK",
    both(closesAt([
      ["a second CONNACK", (wire) => wire.connack({ isPresent: true })],
      ["CONNECT", (wire) => wire.connect({ isClean: false })],
      ["SUBSCRIBE", (wire) => `82${counted(`0001 ${wire.version === 5 ? "00" : ""} 0001 61 00`.replaceAll(" ", ""))}`],
      ["UNSUBSCRIBE", (wire) => `a2${counted(`0001 ${wire.version === 5 ? "00" : ""} 0001 61`.replaceAll(" ", ""))}`],
      ["PINGREQ", () => "c000"],
      ["type 0", () => "0000"],
      ["type 0 with content", () => "0f03 010203"],
      ["type 15", () => "f002 1800"],
    ])),
  );

  test(
    "[MQTT-4.13.1-1] [3.1.1 MQTT-4.8.0-1] [MQTT-1.5.5-1] at a length without end, and at what is no MQTT at all",
    both(closesAt([
      ["five bytes of length in PUBACK", () => "40 ffffffff01"],
      ["five bytes of length in PINGRESP", () => "d0 8080808000"],
      ["zeros", () => "00".repeat(64)],
      ["ones", () => "ff".repeat(64)],
      ["a web server", () => hex("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")],
      ["text", () => hex("hello there, this is not MQTT at all, and goes on for a while\n".repeat(20))],
    ])),
  );

  test(
    "[MQTT-3.2.2-17] [MQTT-3.3.2-11] [MQTT-4.12.0-6] at a PUBLISH with a topic alias that was never allowed, and at AUTH that was never asked for",
    only(
      5,
      closesAt([
        ["a topic alias", () => "3008 0001 78 03 23 0001 79"],
        ["a topic alias alone", () => "3006 0000 03 23 0001"],
        ["AUTH", () => "f000"],
        ["AUTH with a method", () => `f0${counted(`18${counted(`15${text("x")}`)}`)}`],
      ]),
    ),
  );

  test(
    "[3.1.1 MQTT-1.5.3-2] [3.1.1 MQTT-3.3.2-2] [MQTT-1.5.4-2] [MQTT-3.3.2-2] [MQTT-4.7.3-1] at a PUBLISH whose topic is none",
    both(closesAt(
      ["0003 61 00 62", "0000", "0001 23", "0003 61 2f 2b"].map((topic): Row => [
        `topic ${topic}`,
        (wire) => `30${counted(`${topic} ${wire.version === 5 ? "00" : ""} 79`.replaceAll(" ", ""))}`,
      ]),
    )),
  );
});

describe("Instead of CONNACK", () => {
  test(
    "[MQTT-3.2.0-1] [3.1.1 MQTT-3.2.0-1] the client closes at any other packet, sends nothing, and resumes on the next connection",
    both(async (device) => {
      const packetIds = await open(device);
      const { wire } = device;
      const answers = [
        wire.puback(packetIds[0]),
        wire.pubrec(packetIds[1]),
        wire.pubcomp(packetIds[2]),
        "d000",
        "2000",
        "2001 00",
        "2102 0000",
        wire.version === 5 ? "2003 0200 00" : "2002 0200",
        "20 ffffffff01",
        hex("220 mail.example ESMTP ready, at your service, whoever you may be\r\n"),
      ];
      device.line.cut();
      for (const answer of answers) {
        const line = await device.knocks();
        line.send(answer);
        await line.end();
      }
      await expectResumed(device, packetIds);
      await finish(device, packetIds);
    }),
  );

  test(
    "[MQTT-4.13.1-1] the client closes at a CONNACK whose properties MQTT 5 forbids",
    only(5, async (device) => {
      const packetIds = await open(device);
      device.line.cut();
      for (const properties of ["21 0000", "21 0001 21 0002", "24 03", "27 00000000", "ff 01", "00"]) {
        const line = await device.knocks();
        line.send(device.wire.connack({ isPresent: true, properties: properties.replaceAll(" ", "") }));
        await line.end();
      }
      await expectResumed(device, packetIds);
      await finish(device, packetIds);
    }),
  );
});

describe("The client reads past", () => {
  test(
    "[MQTT-2.2.1-5] [3.1.1 MQTT-2.3.1-6] acknowledgements for packet ids that it does not use: they end nothing and begin nothing",
    both(async (device) => {
      const { wire } = device;
      const [done] = await device.send({ qos: 1, payload: "done" });
      device.line.send(wire.puback(done!), wire.puback(done!), wire.pubrec(done!), wire.pubcomp(done!));
      const packetIds = await open(device);
      for (const packetId of [done!, packetIds[2] + 1, 30_000, 65_279, 65_280, 65_535]) {
        device.line.send(wire.puback(packetId), wire.pubrec(packetId), wire.pubcomp(packetId));
      }
      await device.fence();
      await device.pending(3);
      await finish(device, packetIds);
    }),
  );

  test(
    "[MQTT-4.3.3-11] [3.1.1 MQTT-4.3.3-2] PINGRESP, SUBACK and UNSUBACK that it never asked for; a PUBREL is answered",
    both(async (device) => {
      const packetIds = await open(device);
      const isFive = device.version === 5;
      device.line.send("d000", isFive ? "9004 ffff 00 00" : "9003 ffff 00", isFive ? "b004 ffff 00 00" : "b002 ffff", "6202 fffe");
      await expectAnswer(device, "70", 0xfffe);
      await device.fence();
      await device.pending(3);
      await finish(device, packetIds);
    }),
  );

  test(
    "[MQTT-4.5.0-2] [MQTT-4.3.2-4] [MQTT-4.3.3-8] [MQTT-4.3.3-11] [3.1.1 MQTT-4.5.0-2] [3.1.1 MQTT-4.3.2-2] [3.1.1 MQTT-4.3.3-2] " +
      "messages for subscriptions that an earlier program left in the session: acknowledged by their rules, under packet ids that are the broker's own",
    both(async (device) => {
      const packetIds = await open(device);
      const { line, wire } = device;
      // The broker's ids are not ours: these are the same.
      const [a, b] = packetIds;
      const stray: Letter = { qos: 1, payload: "stray", topic: "somebody/elses" };
      line.send(wire.publish({ ...stray, qos: 0 }), wire.publish(stray, a), wire.publish({ ...stray, qos: 2 }, b));
      await expectAnswer(device, "40", a);
      await expectAnswer(device, "50", b);
      line.send(`6202${int16(b)}`);
      await expectAnswer(device, "70", b);
      await device.fence();
      await device.pending(3);
      await finish(device, packetIds);
    }),
  );
});

describe("Broken off", () => {
  test(
    "[MQTT-4.4.0-1] [3.1.1 MQTT-4.4.0-1] in the midst of a packet: half an acknowledgement is none",
    both(async (device) => {
      const packetIds = await open(device);
      const { wire } = device;
      for (
        const half of ["40", "4002", `4002${int16(packetIds[0]).slice(0, 2)}`, "50ff", "30ff7f", wire.pubrec(packetIds[1]).slice(0, 6)]
      ) {
        device.line.send(half);
        device.line.endWriting();
        await device.line.end();
        await expectResumed(device, packetIds);
      }
      await finish(device, packetIds);
    }),
  );

  test(
    "[MQTT-4.13.1-1] by a packet of 256 MB that is announced and never comes: the client gives up a broker that brings it no further, and resumes",
    eachVersion(async (version) => {
      await using device = await Device.established(version, { ackTimeoutMs: 300 });
      const packetIds = await open(device);
      device.line.send("30 ffffff7f 0001 78");
      await device.line.end();
      assert.match((await device.heard("disconnect")).reason, /^no progress for 300 ms$/);
      await expectResumed(device, packetIds);
      await finish(device, packetIds);
      await device.settle();
    }),
  );
});
