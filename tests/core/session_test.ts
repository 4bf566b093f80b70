import { strict as assert } from "node:assert";
import { describe, it } from "node:test";
import { PACKET_ID_MAX } from "../../lib/core/message.ts";
import { Session } from "../../lib/core/session.ts";
import type { Flight } from "../../lib/core/ports.ts";

function flight(id: number, packetId: number, fields: Partial<Flight> = {}): Flight {
  return { id, qos: 2, stage: "sent", packetId, sendNumber: id, receivedNumber: 0, attempts: 0, ...fields };
}

describe("Session", () => {
  it("gives out packet ids in a cycle from 1 to 65,279 and skips those in use", () => {
    const session = new Session([flight(1, 1), flight(2, PACKET_ID_MAX)], PACKET_ID_MAX - 1);
    assert.equal(session.nextPacketId(PACKET_ID_MAX - 1), 2, "65,279 and 1 are in use");
    assert.equal(session.nextPacketId(2), 3);
  });

  it("has no packet id left when all are in use", () => {
    const flights = Array.from({ length: PACKET_ID_MAX }, (_, index) => flight(index + 1, index + 1));
    assert.equal(new Session(flights, 5).freePacketIdCount, 0);
    assert.throws(() => new Session(flights, 5).nextPacketId(5), /a packet id is free/);
  });

  it("holds a packet id until the commit that ends its exchange", () => {
    const session = new Session([], 0);
    session.start();
    session.open(7, 1, 1, 1, 0);
    session.finish(session.find(1)!);
    assert.equal(session.find(1), undefined);
    assert.equal(session.onWireCount, 0, "it holds no room in the window");
    assert.equal(session.nextPacketId(0), 2, "but it holds its id");
    session.free([1]);
    assert.equal(session.nextPacketId(0), 1);
  });

  it("resumes with PUBRELs in the order of the PUBRECs and PUBLISHes in the order first sent", () => {
    const session = new Session([
      flight(1, 11, { sendNumber: 4 }),
      flight(2, 12, { stage: "received", sendNumber: 1, receivedNumber: 9 }),
      flight(3, 13, { sendNumber: 2 }),
      flight(4, 14, { stage: "received", sendNumber: 3, receivedNumber: 8 }),
    ], 14);
    session.resume();
    assert.deepEqual(session.toRelease.map(({ packetId }) => packetId), [14, 12]);
    assert.deepEqual(session.toResend.map(({ packetId }) => packetId), [13, 11]);
    assert.equal(session.onWireCount, 2, "what goes on with PUBREL fills the window at once");
  });

  it("returns what was unfinished in send order when the session is lost, and keeps the cursor", () => {
    const session = new Session([flight(5, 3, { sendNumber: 2 }), flight(4, 9, { sendNumber: 1 })], 9);
    assert.deepEqual(session.lose().map(({ id }) => id), [4, 5]);
    assert.equal(session.cursor, 9);
    assert.equal(session.openCount, 0);
    assert.equal(session.nextPacketId(session.cursor), 10);
  });

  it("does not use a retired packet id until the session is discarded", () => {
    const session = new Session([], 0);
    session.retire(1);
    assert.equal(session.nextPacketId(0), 2);
    session.lose();
    assert.equal(session.nextPacketId(0), 1);
  });

  it("refuses to write an exchange twice on a live connection", () => {
    const session = new Session([], 0);
    session.start();
    session.open(1, 1, 2, 1, 0);
    assert.throws(() => session.open(2, 1, 2, 2, 0), /a packet id is given to one message at a time/);
    assert.throws(() => session.start(), /a new connection carries nothing yet/);
  });
});
