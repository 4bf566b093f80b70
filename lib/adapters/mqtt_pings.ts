/**
 * When a ping is due, for a connection that is written to past MQTT.js.
 *
 * @module
 */
import type { MqttClient } from "mqtt";

/** How exactly pings keep their distance from what was heard last; a timer moved at every packet would cost more than the packet. */
const ACCURACY_MS = 100;

/**
 * MQTT.js sends a ping when it has heard nothing for the keep-alive, and gives the connection up when it then hears nothing for half of it. It
 * must hear of two things: that any packet came in, and that a ping is not unanswered while it still waits behind a large message: as long as
 * that message moves, the broker is there. What merely goes out does not count, or a silent broker would go unnoticed.
 */
export class Pings {
  readonly #client: MqttClient;
  #bytesAhead = 0;
  #deferredAtMs = -Infinity;

  /** From before the client is connected. */
  constructor(client: MqttClient) {
    this.#client = client;
    client.on("packetsend", (packet) => {
      if (packet.cmd === "pingreq") this.#bytesAhead = client.stream.writableLength;
    });
  }

  /** A packet came in. */
  onReceived(): void {
    this.#defer();
  }

  /** The operating system has taken so many bytes. */
  onTaken(bytes: number): void {
    if (this.#bytesAhead === 0) return;
    this.#bytesAhead = Math.max(0, this.#bytesAhead - bytes);
    if (this.#bytesAhead > 0) this.#defer();
  }

  #defer(): void {
    const nowMs = performance.now();
    if (nowMs - this.#deferredAtMs < ACCURACY_MS) return;
    this.#deferredAtMs = nowMs;
    this.#client.reschedulePing(true);
  }
}
