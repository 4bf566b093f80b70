import assert from "node:assert/strict";
import { beforeEach, describe, test } from "node:test";
import { Passage, PING } from "../../lib/adapters/mqtt_passage.ts";

const KIB = 1024;
const MIB = 1024 * KIB;

describe("Passage", () => {
  let passage: Passage;
  beforeEach(() => {
    passage = new Passage();
    passage.begin();
  });

  /** One packet that is answered. */
  function send(packetId: number, bytes: number): void {
    passage.sent(bytes);
    passage.expect(packetId);
  }

  test("A large message that nothing answers asks for patience as well, until something shows that it has arrived", () => {
    passage.sent(MIB);
    assert.equal(passage.patience(), 3);
    send(1, 0);
    assert.equal(passage.patience(), 3);
    passage.answered(1);
    assert.equal(passage.patience(), 1);
  });

  test("Small messages that are answered ask for no patience, however many there are", () => {
    assert.equal(passage.patience(), 1);
    for (let packetId = 1; packetId <= 1_000; packetId++) send(packetId, 10 * KIB);
    assert.equal(passage.patience(), 1, "the next answer is to the first of them");
    for (let packetId = 1; packetId <= 1_000; packetId++) {
      passage.answered(packetId);
      assert.equal(passage.patience(), 1);
    }
  });

  test("A large message asks for patience by its size, until it is answered", () => {
    send(1, 512 * KIB);
    assert.equal(passage.patience(), 2);
    passage.answered(1);
    assert.equal(passage.patience(), 1);
    send(2, MIB);
    assert.equal(passage.patience(), 3);
  });

  test("It asks for no more than what can be on its way unseen", () => {
    send(1, 100 * MIB);
    assert.equal(passage.patience(), 17);
  });

  test("A small message behind a large one waits for it, whether the large one is answered itself or not", () => {
    passage.sent(MIB); // QoS 0
    send(1, 0);
    assert.equal(passage.patience(), 3);
    passage.answered(1);
    assert.equal(passage.patience(), 1);
    send(2, MIB);
    send(3, 100);
    assert.equal(passage.patience(), 3);
  });

  test("A large message behind small ones counts when it is the next", () => {
    send(1, 100);
    send(2, MIB);
    assert.equal(passage.patience(), 1);
    passage.answered(1);
    assert.equal(passage.patience(), 3);
  });

  test("An answer shows that everything sent before has arrived, also what is not answered yet", () => {
    send(1, MIB);
    send(2, 100);
    passage.answered(2);
    assert.equal(passage.patience(), 1);
  });

  test("A ping waits behind what was sent, too, and its answer shows as much; a second ping changes nothing", () => {
    passage.sent(MIB);
    passage.expect(PING);
    assert.equal(passage.patience(), 3);
    passage.sent(2 * MIB);
    passage.expect(PING);
    assert.equal(passage.patience(), 3);
    passage.answered(PING);
    assert.equal(passage.patience(), 5, "more was sent after the ping that was answered");
    passage.answered(PING);
    assert.equal(passage.patience(), 5);
  });

  test("An answer that nothing was waiting for shows nothing", () => {
    send(1, MIB);
    passage.answered(7);
    passage.answered(PING);
    assert.equal(passage.patience(), 3);
  });

  test("PUBREL is waited for anew under the same packet id", () => {
    send(1, 100);
    passage.answered(1);
    passage.sent(MIB);
    send(1, 0);
    assert.equal(passage.patience(), 3);
    passage.answered(1);
    assert.equal(passage.patience(), 1);
  });

  test("A new connection carries nothing yet", () => {
    send(1, MIB);
    passage.begin();
    assert.equal(passage.patience(), 1);
    passage.answered(1);
    send(2, MIB);
    assert.equal(passage.patience(), 3);
  });

  test("Each connection given up over a large message doubles the patience for it, to a limit, until something is answered", () => {
    for (const patience of [3, 6, 12, 24, 48, 48]) {
      passage.begin();
      send(1, MIB);
      assert.equal(passage.patience(), patience);
      passage.givenUp();
    }
    passage.begin();
    send(1, 100);
    assert.equal(passage.patience(), 1, "what is small has no need of it");
    passage.answered(1);
    send(2, MIB);
    assert.equal(passage.patience(), 3);
  });

  test("A connection given up over small messages teaches nothing", () => {
    send(1, 100);
    passage.givenUp();
    passage.begin();
    send(1, MIB);
    assert.equal(passage.patience(), 3);
  });
});
