/**
 * The transport over MQTT.js.
 *
 * @module
 */
import { assert } from "../core/assert.ts";
import type { Transport, TransportListener } from "../core/ports.ts";
import { MqttConnection, type ProgressGauge } from "./mqtt_connection.ts";
import type { MqttTransportOptions } from "./mqtt_options.ts";

export type { MqttTransportOptions } from "./mqtt_options.ts";

/** Each `connect()` makes a new connection; what is left of one that has ended reaches nobody. */
export function createMqttTransport(options: MqttTransportOptions, listener: TransportListener): Transport {
  const gauge: ProgressGauge = { bytesTaken: 0, packetsReceived: 0 };
  let connection: MqttConnection | undefined;
  return {
    connect(request) {
      assert(connection === undefined || connection.isOver, "there is no connection when one is asked for");
      connection = new MqttConnection(request, options, listener, gauge);
    },
    publish: (packets) => connection?.publish(packets),
    release: (packetIds) => connection?.release(packetIds),
    disconnect: () => connection?.disconnect(),
    abort: () => connection?.abort(),
    bufferedBytes: () => connection?.bufferedBytes() ?? 0,
    progress: () => gauge.bytesTaken + gauge.packetsReceived,
  };
}
