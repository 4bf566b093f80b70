/**
 * The connection is cut after every single byte of an exchange at QoS 2, from CONNECT to PUBCOMP, on the way up and on the way down.
 */
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { TEST_MS_MAX } from "../support/deadline.ts";
import { mosquittoMissing } from "../support/mosquitto.ts";
import { breakAfter, type Direction } from "../support/relay.ts";
import { Network } from "./network_line.ts";

/** The least that these come to without names and properties: CONNECT, PUBLISH, PUBREL; CONNACK, PUBREC, PUBCOMP. */
const BYTES_MIN: Readonly<Record<Direction, number>> = { up: 14 + 6 + 4, down: 4 + 4 + 4 };

describe("A message at QoS 2 arrives once", { skip: mosquittoMissing() }, () => {
  let network: Network;
  before(async () => network = await Network.start());
  after(() => network?.close());

  for (const protocolVersion of [4, 5] as const) {
    for (const direction of ["up", "down"] as const) {
      for (const how of ["cut", "reset"] as const) {
        const name = `on MQTT ${protocolVersion === 5 ? "5" : "3.1.1"}, through a ${how} after any byte on the way ${direction}`;
        test(name, { timeout: TEST_MS_MAX }, async () => {
          const line = await network.open({ protocolVersion, qos: 2 });
          const { relay, client, disconnects } = line;
          let bytes = 0;
          while (relay.counts.cuts + relay.counts.resets === bytes) {
            await client.disconnect();
            await line.publish([`${++bytes}`.padStart(3, "0")]);
            relay.treat({ [direction]: breakAfter(bytes, how) });
            await line.connect();
            await line.flush();
            await relay.restore();
          }
          await network.fence();
          line.check();
          assert(bytes > BYTES_MIN[direction], `the whole exchange was swept: ${bytes} bytes`);
          // It connected again after each; the break after the last byte of all it may not have felt before it was told to disconnect.
          const feltCount = disconnects.filter(({ retryInMs }) => retryInMs !== undefined).length;
          assert(feltCount >= bytes - 2, `the client felt ${feltCount} of ${bytes - 1} breaks`);
          await client.stop();
        });
      }
    }
  }
});
