/**
 * When a ping is due, for a connection that is written to past MQTT.js.
 *
 * @module
 */
import type { MqttClient } from "mqtt";
import { type Passage, PING } from "./mqtt_passage.ts";

/** How exactly pings keep their distance from what was heard last; a timer moved at every packet would cost more than the packet. */
const ACCURACY_MS = 100;

/**
 * MQTT.js sends a ping when it has heard nothing for the keep-alive, and gives the connection up when it then hears nothing for half of it. It
 * must hear of two things: that any packet came in, and that a ping has to wait for what was sent before it: as long as a large message may
 * still be on its way, the silence says nothing. What merely goes out does not count, or a silent broker would go unnoticed.
 */
export class Pings {
  readonly #client: MqttClient;
  readonly #passage: Passage;
  #deferredAtMs = -Infinity;
  /** A ping is unanswered; MQTT.js is kept waiting until then. */
  #patientUntilMs: number | undefined;
  #timer: ReturnType<typeof setTimeout> | undefined;

  /** From before the client is connected. */
  constructor(client: MqttClient, passage: Passage) {
    this.#client = client;
    this.#passage = passage;
    client.on("packetsend", (packet) => {
      if (packet.cmd === "pingreq") this.#onSent();
    });
  }

  /** A packet came in. */
  onReceived(): void {
    this.stop();
    this.#defer();
  }

  /** The operating system has taken something: what was sent before the ping moves. */
  onTaken(): void {
    if (this.#patientUntilMs !== undefined) this.#bePatient();
  }

  /** The connection is over, or nothing is waited for. */
  stop(): void {
    this.#patientUntilMs = undefined;
    clearTimeout(this.#timer);
    this.#timer = undefined;
  }

  #onSent(): void {
    this.#passage.expect(PING);
    if (this.#patientUntilMs === undefined) this.#bePatient(); // otherwise one was sent before, and patience has an end
  }

  #bePatient(): void {
    const patience = this.#passage.patience();
    const usualMs = this.#client.keepalive * 500;
    this.#patientUntilMs = performance.now() + usualMs * patience;
    if (patience > 1 && this.#timer === undefined) this.#deferAfter(usualMs / 2);
  }

  #deferAfter(ms: number): void {
    this.#timer = setTimeout(() => {
      this.#timer = undefined;
      if (performance.now() >= this.#patientUntilMs!) return;
      this.#defer();
      this.#deferAfter(ms);
    }, ms);
  }

  #defer(): void {
    const nowMs = performance.now();
    if (nowMs - this.#deferredAtMs < ACCURACY_MS) return;
    this.#deferredAtMs = nowMs;
    this.#client.reschedulePing(true);
  }
}
