/**
 * The transport over MQTT.js keeps the contract, over TCP, TLS and WebSocket, on both protocol versions.
 *
 * @module
 */
import { after, before, describe } from "node:test";
import { createMqttTransport } from "../../lib/adapters/mqtt_transport.ts";
import type { ProtocolVersion } from "../../lib/core/message.ts";
import type { Broker } from "../../lib/core/ports.ts";
import { type RunningBroker, testTransport } from "../contracts/transport.ts";
import { Certificates, opensslMissing } from "../support/certificates.ts";
import { Mosquitto, mosquittoMissing } from "../support/mosquitto.ts";
import { ObedientBroker } from "../support/obedient_broker.ts";
import { freePort } from "../support/sockets.ts";
import { WebSocketGateway } from "../support/websocket_gateway.ts";

/** Mosquitto, without its default limits. */
const WITHOUT_LIMITS = "max_inflight_messages 0\nmax_queued_messages 0\n";

function address(protocol: Broker["protocol"], port: number): Broker {
  return { protocol, host: "127.0.0.1", port, ...(protocol === "ws" ? { path: "/mqtt" } : {}) };
}

async function startObedient(): Promise<RunningBroker> {
  const broker = await ObedientBroker.start();
  return { address: address("mqtt", broker.port), close: () => broker.close() };
}

async function startMosquitto(config = "", protocol: Broker["protocol"] = "mqtt"): Promise<RunningBroker> {
  const broker = await Mosquitto.start({ config: WITHOUT_LIMITS + config, isPersistent: false });
  return { address: address(protocol, broker.port), close: () => broker.close() };
}

/** Whatever speaks TCP also speaks WebSocket through a gateway. */
async function overWebSocket(broker: RunningBroker): Promise<RunningBroker> {
  const gateway = await WebSocketGateway.start(broker.address.port);
  return {
    address: address("ws", gateway.port),
    close: async () => {
      await broker.close();
      await gateway.close();
    },
  };
}

function testMqttTransport(
  name: string,
  protocolVersion: ProtocolVersion,
  startBroker: () => Promise<RunningBroker>,
  { protocol = "mqtt" as Broker["protocol"], skip = false as string | false, mqtt = () => ({}) as Record<string, unknown> } = {},
): void {
  testTransport(`${name}, MQTT ${protocolVersion === 5 ? "5" : "3.1.1"}`, {
    protocolVersion,
    skip,
    startBroker,
    createTransport: (clientId, listener) => createMqttTransport({ clientId, mqtt: mqtt() }, listener),
    freeAddress: async () => address(protocol, await freePort()),
  });
}

const withoutMosquitto = mosquittoMissing();

for (const protocolVersion of [4, 5] as const) {
  testMqttTransport("a broker that takes everything", protocolVersion, startObedient);
  testMqttTransport("such a broker over WebSocket", protocolVersion, async () => overWebSocket(await startObedient()), { protocol: "ws" });
  testMqttTransport("mosquitto", protocolVersion, startMosquitto, { skip: withoutMosquitto });
  testMqttTransport("mosquitto over WebSocket", protocolVersion, async () => overWebSocket(await startMosquitto()), {
    protocol: "ws",
    skip: withoutMosquitto,
  });
}

describe("with certificates", { skip: opensslMissing() }, () => {
  let certificates: Certificates;
  let config: string;
  before(() => {
    certificates = new Certificates();
    const { cert, key } = certificates.sign("broker", "DNS:localhost,IP:127.0.0.1");
    config = `certfile ${cert}\nkeyfile ${key}\n`;
  });
  after(() => certificates?.remove());
  for (const protocolVersion of [4, 5] as const) {
    testMqttTransport("mosquitto over TLS", protocolVersion, () => startMosquitto(config, "mqtts"), {
      protocol: "mqtts",
      skip: withoutMosquitto,
      mqtt: () => ({ ca: certificates.authority }),
    });
  }
});
