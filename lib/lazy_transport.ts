/**
 * A transport whose code is loaded at the first `connect()`: the cache is open, and stores, before MQTT.js is, and also where it cannot be
 * loaded.
 *
 * @module
 */
import type { ConnectRequest, Disconnection, Transport, TransportListener } from "./core/ports.ts";

/** `load` resolves with what makes the transport. */
export function createLazyTransport(
  load: () => Promise<(listener: TransportListener) => Transport>,
  listener: TransportListener,
): Transport {
  let transport: Transport | undefined;
  /** The connect that waits for the code. */
  let waiting: ConnectRequest | undefined;

  const fail = (cause: Pick<Disconnection, "by" | "reason">) => {
    waiting = undefined;
    listener.onDisconnected({ during: "connecting", ...cause });
  };
  const connect = async (request: ConnectRequest) => {
    waiting = request;
    try {
      const create = await load();
      if (waiting !== request) return;
      transport = create(listener);
      waiting = undefined;
      transport.connect(request);
    } catch (error) {
      if (waiting === request) {
        fail({ by: "client", reason: `MQTT.js cannot be loaded: ${error instanceof Error ? error.message : error}` });
      }
    }
  };
  const giveUp = () => {
    if (waiting === undefined) return;
    const request = waiting;
    // Answers never come from within a call.
    queueMicrotask(() => waiting === request && fail({ by: "client", reason: "the connection was closed here" }));
  };
  return {
    connect: (request) => transport === undefined ? void connect(request) : transport.connect(request),
    publish: (packets) => transport?.publish(packets),
    release: (packetIds) => transport?.release(packetIds),
    disconnect: () => transport === undefined ? giveUp() : transport.disconnect(),
    abort: () => transport === undefined ? giveUp() : transport.abort(),
    bufferedBytes: () => transport?.bufferedBytes() ?? 0,
    progress: () => transport?.progress() ?? 0,
  };
}
