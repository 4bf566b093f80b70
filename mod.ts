/**
 * Reliable MQTT publishing: each message is made durable on the device and handed to the broker exactly as often as its QoS says, however often
 * the link, the broker, the process or the power goes away. Runs on Deno and Bun.
 *
 * @example Publish, and wait until the broker has everything
 * ```ts
 * import { PersistClient } from "@persistmq/persistmq";
 *
 * await using client = new PersistClient({ clientId: "testclient", cachePath: "./cache" });
 * await client.connectAsync({ host: "localhost" });
 * for (let i = 0; i < 20; i++) await client.publish("dt/blah", `Test message ${i}`);
 * await client.flush();
 * ```
 *
 * @module
 */
export type { Broker } from "./lib/core/ports.ts";
export type { BrokerAddress } from "./lib/address.ts";
export { CacheError } from "./lib/errors.ts";
export { CacheFullError } from "./lib/errors.ts";
export { CacheLockedError } from "./lib/errors.ts";
export type { CacheStatus } from "./lib/events.ts";
export type { ConnectDetail } from "./lib/events.ts";
export type { ConnectionStatus } from "./lib/core/report.ts";
export type { ConnectOptions } from "./lib/address.ts";
export type { Credentials } from "./lib/core/ports.ts";
export type { DeliveredDetail } from "./lib/events.ts";
export { DeliveryError } from "./lib/errors.ts";
export type { DisconnectDetail } from "./lib/events.ts";
export type { ErrorDetail } from "./lib/events.ts";
export type { Fate } from "./lib/core/ports.ts";
export type { ExpiredDetail } from "./lib/events.ts";
export type { FlushCounts } from "./lib/core/report.ts";
export type { IdRange } from "./lib/core/message.ts";
export type { Ledger } from "./lib/core/ports.ts";
export type { LogLevel } from "./lib/log.ts";
export type { LogOptions } from "./lib/log.ts";
export type { LogRecord } from "./lib/log.ts";
export type { Message } from "./lib/core/message.ts";
export type { MessageId } from "./lib/core/message.ts";
export type { MessageInput } from "./lib/resolve_message.ts";
export type { MessageOptions } from "./lib/resolve_message.ts";
export type { MqttOptions } from "./lib/mqtt_options.ts";
export type { NumberedMessage } from "./lib/core/message.ts";
export type { Payload } from "./lib/resolve_message.ts";
export { PersistClient } from "./lib/client.ts";
export type { PersistClientEventMap } from "./lib/events.ts";
export type { PersistClientListener } from "./lib/events.ts";
export type { PersistClientOptions } from "./lib/options.ts";
export type { PersistStatus } from "./lib/events.ts";
export type { ProtocolVersion } from "./lib/core/message.ts";
export type { PublishOptions } from "./lib/client.ts";
export type { PublishProperties } from "./lib/core/message.ts";
export type { PublishWaitOptions } from "./lib/client.ts";
export type { QoS } from "./lib/core/message.ts";
export type { QuarantinedDetail } from "./lib/events.ts";
export type { QuarantinedMessage } from "./lib/core/ports.ts";
export type { QuarantinedOptions } from "./lib/client.ts";
export type { ReconnectOptions } from "./lib/core/report.ts";
export type { RefusedDetail } from "./lib/events.ts";
export type { ServerInfo } from "./lib/core/ports.ts";
export type { SessionLostDetail } from "./lib/events.ts";
export type { StopOptions } from "./lib/client.ts";
export { StoppedError } from "./lib/errors.ts";
export type { StoredMessage } from "./lib/core/message.ts";
export type { TlsMaterial } from "./lib/mqtt_options.ts";
export type { TlsVersion } from "./lib/mqtt_options.ts";
export type { WaitOptions } from "./lib/client.ts";
export type { Will } from "./lib/mqtt_options.ts";
export type { WorkerLike } from "./lib/worker_link.ts";
