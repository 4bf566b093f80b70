/**
 * Calls of `publish()` and `publishMany()`, good and wrong ones mixed, as plain data; how they are made, and what must come of them.
 *
 * @module
 */
import assert from "node:assert/strict";
import fc from "fast-check";
import type { MessageInput, PersistClient } from "../../mod.ts";
import { type ExpectedMessage, expectMessage, giveMessage, goodMessage, type MessagePlan } from "./messages.ts";
import { anyTopic } from "./texts.ts";
import { topicNameOf } from "./text_oracle.ts";

/** One message that must be refused. */
export type WrongPlan =
  | { readonly wrong: "topic"; readonly topic: string }
  | { readonly wrong: keyof typeof WRONG_PARTS; readonly topic: "wrong" };

/** What makes a message wrong, whatever else is right. */
const WRONG_PARTS = {
  "no payload": () => ({ payload: undefined }),
  "an object as payload": () => ({ payload: { volts: 230 } }),
  "half a character in the payload": () => ({ payload: "\ud83d" }),
  "a payload that is elsewhere": () => {
    const payload = new Uint8Array(8);
    structuredClone(payload, { transfer: [payload.buffer] });
    return { payload };
  },
  "QoS 3": () => ({ qos: 3 }),
  "retain 1": () => ({ retain: 1 }),
  "an unknown option": () => ({ qoS: 1 }),
  "an unknown property": () => ({ properties: { topicAlias: 1 } }),
  "user properties in a Map": () => ({ properties: { userProperties: new Map([["a", "b"]]) } }),
  "half a character in a property": () => ({ properties: { contentType: "\udc00" } }),
  "a wildcard in the response topic": () => ({ properties: { responseTopic: "a/+" } }),
} as const;

/** One call. */
export type CallPlan =
  | { readonly call: "publish"; readonly message: MessagePlan | WrongPlan }
  | { readonly call: "publishMany"; readonly messages: readonly (MessagePlan | WrongPlan)[] };

const wrongMessage: fc.Arbitrary<WrongPlan> = fc.oneof(
  anyTopic.filter((topic) => topicNameOf(topic) === undefined).map((topic) => ({ wrong: "topic" as const, topic })),
  fc.constantFrom(...Object.keys(WRONG_PARTS) as (keyof typeof WRONG_PARTS)[]).map((wrong) => ({ wrong, topic: "wrong" as const })),
);

const anyMessage = fc.oneof(
  { weight: 6, arbitrary: goodMessage({ isPlain: true }) },
  { weight: 1, arbitrary: wrongMessage },
);

/** Calls with messages that every broker takes, and with wrong ones. */
export const anyCall: fc.Arbitrary<CallPlan> = fc.oneof(
  { weight: 4, arbitrary: fc.record({ call: fc.constant("publish" as const), message: anyMessage }) },
  { weight: 1, arbitrary: fc.record({ call: fc.constant("publishMany" as const), messages: fc.array(anyMessage, { maxLength: 5 }) }) },
);

interface GivenInput {
  readonly input: MessageInput;
  spoil(): void;
}

function give(plan: MessagePlan | WrongPlan): GivenInput {
  if ("wrong" in plan) {
    const part = plan.wrong === "topic" ? {} : WRONG_PARTS[plan.wrong]();
    return { input: { topic: plan.topic, payload: "", ...part } as MessageInput, spoil() {} };
  }
  const { topic, payload, options, spoil } = giveMessage(plan);
  const input = { topic, payload, ...options };
  return {
    input,
    spoil() {
      spoil();
      Object.assign(input, { topic: "spoilt", payload: "spoilt", qos: 0, retain: true });
    },
  };
}

/** Makes the call, ruins at once all that it was given, and gives the promise. */
function makeCall(client: PersistClient, plan: CallPlan): Promise<number | number[]> {
  const given = (plan.call === "publish" ? [plan.message] : plan.messages).map(give);
  const inputs = given.map(({ input }) => input);
  const { topic, payload, ...options } = inputs[0] ?? { topic: "", payload: "" };
  const outcome = plan.call === "publish" ? client.publish(topic, payload, options) : client.publishMany(inputs);
  for (const { spoil } of given) spoil();
  inputs.splice(0);
  return outcome;
}

/** The messages that must arrive, in order. */
export function expectCalls(plans: readonly CallPlan[]): ExpectedMessage[] {
  return plans.filter(isGood).flatMap((plan) => plan.call === "publish" ? [plan.message] : plan.messages)
    .map((message) => expectMessage(message as MessagePlan));
}

/** Must it be taken? One wrong message spoils all that were to be stored with it. */
function isGood(plan: CallPlan): boolean {
  return (plan.call === "publish" ? [plan.message] : plan.messages).every((message) => !("wrong" in message));
}

/** What came of a call, as plain data: its ids, or its error. */
export type Outcome = number | readonly number[] | { readonly name: string; readonly message: string };

/** Makes all calls in one turn; resolves when each has an outcome. */
export async function makeCalls(client: PersistClient, plans: readonly CallPlan[]): Promise<Outcome[]> {
  const failure = ({ name, message }: Error): Outcome => ({ name, message });
  return await Promise.all(plans.map((plan) => makeCall(client, plan).catch(failure)));
}

/** Fails unless each good call was taken, under the ids that follow, and each wrong one was not. */
export function checkOutcomes(plans: readonly CallPlan[], outcomes: readonly Outcome[], firstId: number): void {
  let id = firstId;
  for (const [index, plan] of plans.entries()) {
    const outcome = outcomes[index]!;
    const what = `call ${index}`;
    if (isGood(plan)) {
      assert.deepEqual(outcome, plan.call === "publish" ? id++ : plan.messages.map(() => id++), what);
    } else {
      assert.ok(typeof outcome === "object" && "message" in outcome, `${what} is refused`);
      assert.match(outcome.name, /^(TypeError|RangeError)$/, what);
      assert.match(outcome.message, /^Cannot publish.*: ./, what);
    }
  }
}
