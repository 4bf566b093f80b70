/**
 * The connection: when, where and as whom. It owns the transport's connect and disconnect; what goes over the connection is not its business.
 *
 * Modes:
 *
 * - `idle`: nobody asked for a connection. Entered at the start and by `disconnect()`; left by `connect()`.
 * - `offline`: waits for `retryAtMs`. Entered by `connect()`, a failed attempt or a loss; left when it is time.
 * - `authorizing`: waits for credentials from the main thread. Left when they come, or by time-out to `offline`.
 * - `connecting`: CONNECT is on its way. `discard` is the first of two connects, which asks the broker to forget a session that is not ours;
 *   `use` is the connection that will carry messages.
 * - `online`: CONNACK accepted us.
 * - `closing`: we ended it and wait for the transport to say so; then to `idle`, to the second connect, to another broker at once, or to
 *   `offline`.
 *
 * @module
 */
import { assert } from "./assert.ts";
import type { ProtocolVersion } from "./message.ts";
import type {
  Broker,
  Clock,
  ConnectRequest,
  Credentials,
  Disconnection,
  Outbox,
  Random,
  ServerInfo,
  SessionOwner,
  Transport,
} from "./ports.ts";
import { ProtocolChoice } from "./protocol_choice.ts";
import { patienceFor, Reconnect } from "./reconnect.ts";
import { ReasonCode } from "./reason_codes.ts";
import type { ConnectionStatus, Failure, PublisherEvent, PublisherOptions } from "./report.ts";

/** The transport has a time-out of its own, shorter; this one only guards against its silence. */
const CONNECT_TIMEOUT_MS = 60_000;
const CREDENTIALS_TIMEOUT_MS = 30_000;
const CLOSE_TIMEOUT_MS = 5_000;

type State =
  | { readonly name: "idle" }
  | { readonly name: "offline"; readonly retryAtMs: number; readonly reason: string }
  | { readonly name: "authorizing"; readonly timeoutAtMs: number }
  | {
    readonly name: "connecting";
    readonly purpose: "discard" | "use";
    readonly version: ProtocolVersion;
    readonly isSessionNew: boolean;
    readonly timeoutAtMs: number;
  }
  | { readonly name: "online"; readonly server: ServerInfo; readonly sinceMs: number }
  | {
    readonly name: "closing";
    readonly then: "idle" | "use" | "switch" | "reconnect";
    /** Of the connection that is being closed. */
    readonly version: ProtocolVersion;
    readonly cause: Disconnection;
    readonly onlineMs: number;
    readonly timeoutAtMs: number;
  };

/** What the link needs to know of the rest before it connects. */
export interface SessionFacts {
  readonly owner: SessionOwner;
  readonly hasInFlight: boolean;
}

/** Makes, watches and ends connections. */
export class Link {
  readonly #clock: Clock;
  readonly #transport: Transport;
  readonly #options: PublisherOptions;
  readonly #reconnect: Reconnect;
  readonly #protocols: ProtocolChoice;
  readonly #onCredentialsWanted: () => void;
  readonly #events: PublisherEvent[] = [];
  #state: State = { name: "idle" };
  #sinceEpochMs: number;
  #broker: Broker | undefined;
  #credentials: Credentials | undefined;
  #isStopped = false;

  /** Connects to nothing yet. */
  constructor(
    ports: { readonly clock: Clock; readonly random: Random; readonly outbox: Outbox; readonly transport: Transport },
    options: PublisherOptions,
    onCredentialsWanted: () => void,
  ) {
    this.#clock = ports.clock;
    this.#transport = ports.transport;
    this.#options = options;
    this.#reconnect = new Reconnect(options.reconnect, ports.random);
    this.#protocols = new ProtocolChoice(ports.outbox, options.protocolVersion);
    this.#onCredentialsWanted = onCredentialsWanted;
    this.#sinceEpochMs = ports.clock.epochMs();
  }

  /** What the broker said, while online. */
  get server(): ServerInfo | undefined {
    return this.#state.name === "online" ? this.#state.server : undefined;
  }

  get broker(): Broker | undefined {
    return this.#broker;
  }

  /** No transport call is to be waited for. */
  get isAtRest(): boolean {
    return this.#state.name === "idle" || this.#state.name === "offline" || this.#state.name === "authorizing";
  }

  /** The name under which the session of the present broker is remembered. */
  get sessionName(): string {
    assert(this.#broker !== undefined, "a session belongs to a broker");
    return this.#options.sessionGroup ?? `${this.#broker.host}:${this.#broker.port}`;
  }

  /** To this broker, from now on. */
  connect(broker: Broker, credentials: Credentials | undefined): void {
    const isSame = this.#broker !== undefined && sameBroker(this.#broker, broker);
    this.#broker = broker;
    this.#credentials = credentials;
    const nowMs = this.#clock.monotonicMs();
    if (this.#state.name === "idle") {
      this.#become({ name: "offline", retryAtMs: nowMs + this.#reconnect.firstDelayMs(), reason: "not yet tried" });
    } else if (this.#state.name === "closing") {
      if (this.#state.then === "idle") this.#become({ ...this.#state, then: "switch" });
    } else if (!isSame) {
      this.#protocols.reset();
      if (this.isAtRest) this.#become({ name: "offline", retryAtMs: nowMs, reason: "another broker" });
      else this.#end("switch", { during: "online", by: "client", reason: "another broker was asked for" }, "disconnect");
    } else if (this.#state.name === "offline") {
      this.#become({ name: "offline", retryAtMs: nowMs, reason: this.#state.reason }); // asked again: no more patience
    }
  }

  /** Offline until `connect()`. The session stays at the broker. */
  disconnect(): void {
    if (this.#state.name === "idle") return;
    if (this.isAtRest) return this.#become({ name: "idle" });
    if (this.#state.name === "closing") return this.#become({ ...this.#state, then: "idle" });
    this.#end("idle", { during: "online", by: "client", reason: "disconnected by the application" }, "disconnect");
  }

  /** The peer is taken for dead, or wrong: close without DISCONNECT, and try again later. */
  abort(reason: string, by: Disconnection["by"]): void {
    if (this.#state.name !== "online" && this.#state.name !== "connecting") return;
    this.#end("reconnect", { during: this.#state.name === "online" ? "online" : "handshake", by, reason }, "abort");
  }

  provideCredentials(credentials: Credentials | undefined, failure: Failure | undefined, facts: SessionFacts): void {
    if (this.#state.name !== "authorizing") return; // too late, or not asked
    if (failure !== undefined) {
      this.#events.push({ type: "error", error: failure });
      this.#fail({ during: "connecting", by: "client", reason: `credentials() failed: ${failure.message}` }, 0);
      return;
    }
    this.#credentials = credentials;
    this.#start(facts);
  }

  /** Does what is due. */
  advance(facts: SessionFacts): void {
    const nowMs = this.#clock.monotonicMs();
    switch (this.#state.name) {
      case "offline":
        if (nowMs < this.#state.retryAtMs) return;
        if (!this.#options.asksCredentials) return this.#start(facts);
        this.#become({ name: "authorizing", timeoutAtMs: nowMs + CREDENTIALS_TIMEOUT_MS });
        return this.#onCredentialsWanted();
      case "authorizing":
        if (nowMs < this.#state.timeoutAtMs) return;
        return this.#fail({ during: "connecting", by: "timeout", reason: "credentials() gave no answer within 30 seconds" }, 0);
      case "connecting":
        if (nowMs >= this.#state.timeoutAtMs) this.abort("no answer to CONNECT", "timeout");
        return;
      case "closing":
        if (nowMs < this.#state.timeoutAtMs) return;
        this.#become({ ...this.#state, timeoutAtMs: nowMs + CLOSE_TIMEOUT_MS });
        return this.#transport.abort();
    }
  }

  /** CONNACK. Says whether the connection may be used, and whether the session on it is the one we know. */
  onConnected(server: ServerInfo, facts: SessionFacts): "resumed" | "new" | "unusable" {
    if (this.#state.name !== "connecting") return "unusable"; // ended by us meanwhile
    const { purpose, version, isSessionNew } = this.#state;
    this.#protocols.onConnected(this.#broker!, version, this.#clock.epochMs());
    if (purpose === "discard") {
      this.#end("use", { during: "online", by: "client", reason: "discarding an old session" }, "disconnect");
      return "unusable";
    }
    // On 5 the discarding connect has left a session, new and empty; on 3.1.1 there can be none.
    if (isSessionNew && server.sessionPresent && version === 4) {
      this.abort("the broker says a session is present although it was to be discarded", "protocol");
      return "unusable";
    }
    if (!isSessionNew && server.sessionPresent && !this.#isOurs(facts.owner)) {
      this.abort("the session is to be discarded", "client"); // decided while CONNECT was on its way
      return "unusable";
    }
    // What the discarding connect has left is not the session that anybody asks about.
    const info = isSessionNew ? { ...server, sessionPresent: false } : server;
    this.#become({ name: "online", server: info, sinceMs: this.#clock.monotonicMs() });
    this.#events.push({ type: "connect", server: info, broker: this.#broker! });
    return info.sessionPresent ? "resumed" : "new";
  }

  /** The connection ended, or was never made. */
  onDisconnected(cause: Disconnection, facts: SessionFacts): void {
    const state = this.#state;
    switch (state.name) {
      case "closing":
        if (state.then === "use" && cause.by === "client") return this.#start(facts, state.version);
        if (state.then === "switch") {
          this.#become({ name: "offline", retryAtMs: this.#clock.monotonicMs(), reason: state.cause.reason });
          return this.#report(state.cause, state.cause.during === "online", 0);
        }
        if (state.then !== "idle") return this.#fail(state.then === "use" ? cause : state.cause, state.onlineMs);
        this.#become({ name: "idle" });
        this.#report(state.cause, state.cause.during === "online");
        return;
      case "connecting":
        if (this.#protocols.onFailed(state.version, cause)) {
          return this.#become({ name: "offline", retryAtMs: this.#clock.monotonicMs(), reason: cause.reason });
        }
        return this.#fail(cause, 0);
      case "online":
        return this.#fail(cause, this.#clock.monotonicMs() - state.sinceMs);
      default:
        assert(false, `a connection ends only while there is one, not while ${state.name}`);
    }
  }

  stop(): void {
    this.#isStopped = true;
    this.disconnect();
  }

  wakeAtMs(): number {
    switch (this.#state.name) {
      case "offline":
        return this.#state.retryAtMs;
      case "authorizing":
      case "connecting":
      case "closing":
        return this.#state.timeoutAtMs;
      default:
        return Infinity;
    }
  }

  /** Since the last call. */
  takeEvents(): readonly PublisherEvent[] {
    return this.#events.splice(0);
  }

  status(): ConnectionStatus {
    const state = this.#state;
    const sinceEpochMs = this.#sinceEpochMs;
    switch (state.name) {
      case "idle":
        return { state: this.#isStopped ? "stopped" : "idle", sinceEpochMs };
      case "offline": {
        const retryAtEpochMs = Math.round(this.#clock.epochMs() + state.retryAtMs - this.#clock.monotonicMs());
        return { state: "offline", sinceEpochMs, retryAtEpochMs, attempt: this.#reconnect.failureCount, reason: state.reason };
      }
      case "online":
        return { state: "online", sinceEpochMs, server: state.server };
      default:
        return { state: "connecting", sinceEpochMs, attempt: this.#reconnect.failureCount };
    }
  }

  /** `discardedWith`: a connect just before this one has discarded the broker's session, with this version. */
  #start(facts: SessionFacts, discardedWith?: ProtocolVersion): void {
    assert(this.#broker !== undefined, "a connect has a broker");
    const version = discardedWith ?? this.#protocols.choose(this.#broker, this.#clock.epochMs(), facts.hasInFlight);
    const isSessionNew = !this.#isOurs(facts.owner);
    // A session is discarded by a connect of its own. 3.1.1 has no other way, for a session begun with Clean Session ends with its connection;
    // and a mosquitto 2.0 that is stopped does not save one begun with Clean Start, whatever its expiry.
    const purpose = isSessionNew && discardedWith === undefined ? "discard" : "use";
    const request: ConnectRequest = {
      broker: this.#broker,
      protocolVersion: version,
      cleanStart: purpose === "discard",
      sessionExpirySeconds: this.#options.sessionExpirySeconds,
      ...(this.#credentials === undefined ? {} : { credentials: this.#credentials }),
    };
    this.#become({ name: "connecting", purpose, version, isSessionNew, timeoutAtMs: this.#clock.monotonicMs() + CONNECT_TIMEOUT_MS });
    this.#transport.connect(request);
  }

  #isOurs(owner: SessionOwner): boolean {
    return owner.state === "established" && owner.broker === this.sessionName;
  }

  #end(then: "idle" | "use" | "switch" | "reconnect", cause: Disconnection, how: "disconnect" | "abort"): void {
    const nowMs = this.#clock.monotonicMs();
    const state = this.#state;
    assert(state.name === "online" || state.name === "connecting", "only a connection can be ended");
    const isOnline = state.name === "online";
    this.#become({
      name: "closing",
      then,
      version: isOnline ? state.server.protocolVersion : state.version,
      cause: { ...cause, during: isOnline ? "online" : "handshake" },
      onlineMs: isOnline ? nowMs - state.sinceMs : 0,
      timeoutAtMs: nowMs + CLOSE_TIMEOUT_MS,
    });
    if (how === "disconnect") this.#transport.disconnect();
    else this.#transport.abort();
  }

  #fail(cause: Disconnection, onlineMs: number): void {
    const delayMs = this.#reconnect.delayMsAfter(cause, onlineMs);
    this.#become({ name: "offline", retryAtMs: this.#clock.monotonicMs() + delayMs, reason: cause.reason });
    this.#report(cause, cause.during === "online", Math.round(delayMs));
  }

  #report(cause: Disconnection, wasConnected: boolean, retryInMs?: number): void {
    const reasonCode = cause.connackCode ?? cause.disconnectCode;
    this.#events.push({
      type: "disconnect",
      reason: cause.reason,
      ...(cause.code === undefined ? {} : { code: cause.code }),
      ...(reasonCode === undefined ? {} : { reasonCode }),
      wasConnected,
      isTakenOver: reasonCode === ReasonCode.sessionTakenOver,
      isLoginRefused: patienceFor(cause) === "login",
      ...(retryInMs === undefined ? {} : { retryInMs }),
    });
  }

  #become(state: State): void {
    if (state.name !== this.#state.name) this.#sinceEpochMs = Math.floor(this.#clock.epochMs());
    this.#state = state;
  }
}

function sameBroker(a: Broker, b: Broker): boolean {
  return a.protocol === b.protocol && a.host === b.host && a.port === b.port && a.path === b.path;
}
