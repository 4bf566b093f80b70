/**
 * The transport over MQTT.js.
 *
 * @module
 */
import { assert } from "../core/assert.ts";
import type { Transport, TransportListener } from "../core/ports.ts";
import { type Gauges, MqttConnection } from "./mqtt_connection.ts";
import type { MqttTransportOptions } from "./mqtt_options.ts";
import { Passage } from "./mqtt_passage.ts";

export type { MqttTransportOptions } from "./mqtt_options.ts";

/** Each `connect()` makes a new connection; what is left of one that has ended reaches nobody. */
export function createMqttTransport(options: MqttTransportOptions, listener: TransportListener): Transport {
  const gauges: Gauges = { bytesTaken: 0, packetsReceived: 0, passage: new Passage() };
  let connection: MqttConnection | undefined;
  return {
    connect(request) {
      assert(connection === undefined || connection.isOver, "there is no connection when one is asked for");
      connection = new MqttConnection(request, options, listener, gauges);
    },
    publish: (packets) => connection?.publish(packets),
    release: (packetIds) => connection?.release(packetIds),
    disconnect: () => connection?.disconnect(),
    abort: () => connection?.abort(),
    bufferedBytes: () => connection?.bufferedBytes() ?? 0,
    progress: () => gauges.bytesTaken + gauges.packetsReceived,
    patience: () => gauges.passage.patience(),
  };
}
