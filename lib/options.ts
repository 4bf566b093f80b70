/**
 * What a client is made with. `resolveOptions()` checks all of it at once; what passes inward is complete.
 *
 * @module
 */
import type { Credentials } from "./core/ports.ts";
import { PACKET_ID_MAX } from "./core/message.ts";
import type { ReconnectOptions } from "./core/report.ts";
import type { WorkerOptions } from "./protocol.ts";
import { checkBoolean, checkInteger, checkText, checkWord, readKeys, show, TIMER_MS_MAX } from "./checks.ts";
import { LOG_LEVELS, type LogOptions, type ResolvedLogOptions } from "./log.ts";
import { type MqttOptions, resolveMqttOptions } from "./mqtt_options.ts";
import type { WorkerLike } from "./worker_link.ts";

/** Options of a client. */
export interface PersistClientOptions {
  /**
   * Names the session at the broker, and the cache: keep it the same across restarts, and use it nowhere else. 1 to 65,535 bytes of UTF-8.
   * Brokers that speak only MQTT 3.1.1 need not take more than 23 bytes.
   */
  readonly clientId: string;
  /**
   * Folder of the cache; created, private to the user, when it is missing. One client at a time can have it open.
   * @default {"./cache"}
   */
  readonly cachePath?: string;
  /** Take a folder that everyone may write to. @default {false} */
  readonly allowSharedCache?: boolean;
  /**
   * What a stored message survives. `"power-loss"`: also a power cut; every commit is synced. `"process-crash"`: the end of the process only;
   * commits are not synced, after a power cut the newest may be missing.
   * @default {"power-loss"}
   */
  readonly durability?: "power-loss" | "process-crash";
  /** How long to wait while another client holds the cache, milliseconds, 0 to 2,147,483,647. @default {0} */
  readonly lockWaitMs?: number;
  /**
   * How much may wait in memory to be stored, bytes, at least 1. A message counts for its topic, payload and properties, and 256 bytes besides. One that
   * finds nothing waiting is always taken.
   * @default {67_108_864}
   */
  readonly queueBytesMax?: number;
  /** How long an ending process may be held up for storing what was handed to `publish()`, milliseconds, 0 to 600,000. @default {2000} */
  readonly exitFlushMs?: number;
  /**
   * How many messages may be on their way to the broker at once: `"auto"`, or 1 to 65,279. Never more than the broker's Receive Maximum. On MQTT
   * 3.1.1 `"auto"` keeps to 20 at QoS 2, as brokers may acknowledge and discard beyond; a number is your word that this one takes so many.
   * @default {"auto"}
   */
  readonly inFlightMax?: "auto" | number;
  /** After so long without any progress the connection is replaced, milliseconds, 1 to 2,147,483,647. @default {30_000} */
  readonly ackTimeoutMs?: number;
  /** When to connect again. @default {`{ delayMsMin: 1000, delayMsMax: 60_000, firstSpreadMs: 0, stableMs: 10_000 }`} */
  readonly reconnect?: Partial<ReconnectOptions>;
  /**
   * Asked in the main thread before every connect, for tokens that expire. One that fails, or takes longer than 29 seconds, is reported as
   * an `error` event and asked again later.
   */
  readonly credentials?: () => Credentials | Promise<Credentials>;
  /** 4 is MQTT 3.1.1, 5 is MQTT 5. @default {5, falling back to 4 where the broker refuses 5} */
  readonly protocolVersion?: 4 | 5;
  /** How long the broker is to keep the session of an absent client, seconds, 1 to 4,294,967,295; MQTT 5. @default {2_592_000} */
  readonly sessionExpirySeconds?: number;
  /** Name of a group of brokers, such as a cluster, that share sessions. @default {each broker its own} */
  readonly sessionGroup?: string;
  /** Send at QoS 0 what was published at a higher one when the broker takes nothing else; otherwise it waits. @default {false} */
  readonly allowQos0?: boolean;
  /** Send without RETAIN what was published with it when the broker retains nothing; otherwise it waits. @default {false} */
  readonly retainFallback?: boolean;
  /** What a person should know: where to, from which level on, or `false`. @default {warnings to stderr} */
  readonly log?: false | LogOptions;
  /** TLS material, will, keep alive, WebSocket options, as MQTT.js names them. Plain data. */
  readonly mqtt?: MqttOptions;
  /**
   * Where the worker is, for bundlers and `bun build --compile`: the URL of a module of yours that imports `@persistmq/persistmq/worker`, or a
   * function that starts a worker with it.
   * @default {built in}
   */
  readonly worker?: string | URL | (() => WorkerLike);
}

/** The default of every option that has one. */
export const DEFAULTS = {
  cachePath: "./cache",
  allowSharedCache: false,
  durability: "power-loss",
  lockWaitMs: 0,
  queueBytesMax: 64 * 1024 * 1024,
  exitFlushMs: 2_000,
  inFlightMax: "auto",
  ackTimeoutMs: 30_000,
  reconnect: { delayMsMin: 1_000, delayMsMax: 60_000, firstSpreadMs: 0, stableMs: 10_000 },
  sessionExpirySeconds: 2_592_000,
  allowQos0: false,
  retainFallback: false,
  log: { level: "warn" },
} as const satisfies Partial<PersistClientOptions>;

/** Options, complete: for the worker, and for the main thread. */
export interface ResolvedOptions {
  readonly worker: WorkerOptions;
  readonly queueBytesMax: number;
  readonly exitFlushMs: number;
  readonly credentials: (() => Credentials | Promise<Credentials>) | undefined;
  readonly log: ResolvedLogOptions | false;
  readonly workerSource: string | URL | (() => WorkerLike) | undefined;
}

const ACTION = "Cannot create the client";

/** Longest that a process may be held up at its end. */
const EXIT_FLUSH_MS_MAX = 600_000;

const KEYS = [
  "clientId",
  "cachePath",
  "allowSharedCache",
  "durability",
  "lockWaitMs",
  "queueBytesMax",
  "exitFlushMs",
  "inFlightMax",
  "ackTimeoutMs",
  "reconnect",
  "credentials",
  "protocolVersion",
  "sessionExpirySeconds",
  "sessionGroup",
  "allowQos0",
  "retainFallback",
  "log",
  "mqtt",
  "worker",
] as const satisfies readonly (keyof PersistClientOptions)[];

/** Checks every option. Throws TypeError or RangeError naming the one that is wrong. */
export function resolveOptions(options: unknown): ResolvedOptions {
  const given = { ...DEFAULTS, ...readKeys(options, KEYS, ACTION, "the options") };
  const clientId = nonEmptyText(given.clientId, "clientId");
  const { credentials, worker } = given;
  if (credentials !== undefined && typeof credentials !== "function") {
    throw new TypeError(`${ACTION}: credentials is not a function`);
  }
  if (worker !== undefined && typeof worker !== "string" && typeof worker !== "function" && !(worker instanceof URL)) {
    throw new TypeError(`${ACTION}: worker is ${show(worker)}, not a URL or a function that starts a worker`);
  }
  const { inFlightMax, protocolVersion, sessionGroup } = given;
  if (protocolVersion !== undefined && protocolVersion !== 4 && protocolVersion !== 5) {
    const wrong = `${ACTION}: protocolVersion is ${show(protocolVersion)}, not 4 (MQTT 3.1.1) or 5`;
    throw typeof protocolVersion === "number" ? new RangeError(wrong) : new TypeError(wrong);
  }
  return {
    worker: {
      clientId,
      cachePath: resolveCachePath(given.cachePath),
      allowSharedCache: checkBoolean(given.allowSharedCache, "allowSharedCache", ACTION),
      durability: checkWord(given.durability, "durability", ["power-loss", "process-crash"], ACTION),
      lockWaitMs: checkInteger(given.lockWaitMs, "lockWaitMs", 0, TIMER_MS_MAX, ACTION),
      publisher: {
        clientId,
        inFlightMax: inFlightMax === "auto" ? "auto" : checkInteger(inFlightMax, "inFlightMax", 1, PACKET_ID_MAX, ACTION),
        ackTimeoutMs: checkInteger(given.ackTimeoutMs, "ackTimeoutMs", 1, TIMER_MS_MAX, ACTION),
        protocolVersion,
        sessionExpirySeconds: checkInteger(given.sessionExpirySeconds, "sessionExpirySeconds", 1, 4_294_967_295, ACTION),
        sessionGroup: sessionGroup === undefined ? undefined : nonEmptyText(sessionGroup, "sessionGroup"),
        allowQos0: checkBoolean(given.allowQos0, "allowQos0", ACTION),
        retainFallback: checkBoolean(given.retainFallback, "retainFallback", ACTION),
        reconnect: resolveReconnect(given.reconnect),
        asksCredentials: credentials !== undefined,
      },
      mqtt: resolveMqttOptions(given.mqtt, ACTION),
    },
    queueBytesMax: checkInteger(given.queueBytesMax, "queueBytesMax", 1, Number.MAX_SAFE_INTEGER, ACTION),
    exitFlushMs: checkInteger(given.exitFlushMs, "exitFlushMs", 0, EXIT_FLUSH_MS_MAX, ACTION),
    credentials: credentials as ResolvedOptions["credentials"],
    log: resolveLog(given.log),
    workerSource: worker as ResolvedOptions["workerSource"],
  };
}

function nonEmptyText(value: unknown, name: string): string {
  checkText(value, name, ACTION);
  if (value === "") throw new TypeError(`${ACTION}: ${name} is empty`);
  return value as string;
}

/** What SQLite would take for something other than a folder is refused here; the folder itself is looked at when it is opened. */
function resolveCachePath(value: unknown): string {
  const path = nonEmptyText(value, "cachePath");
  if (path === ":memory:" || path.startsWith("file:")) {
    throw new TypeError(`${ACTION}: cachePath is ${show(path)}, but the cache is a folder on a disk`);
  }
  return path;
}

function resolveReconnect(value: unknown): ReconnectOptions {
  const keys = ["delayMsMin", "delayMsMax", "firstSpreadMs", "stableMs"] as const;
  const given = { ...DEFAULTS.reconnect, ...readKeys(value, keys, ACTION, "reconnect") };
  const delayMsMin = checkInteger(given.delayMsMin, "reconnect.delayMsMin", 1, TIMER_MS_MAX, ACTION);
  return {
    delayMsMin,
    delayMsMax: checkInteger(given.delayMsMax, "reconnect.delayMsMax", delayMsMin, TIMER_MS_MAX, ACTION),
    firstSpreadMs: checkInteger(given.firstSpreadMs, "reconnect.firstSpreadMs", 0, TIMER_MS_MAX, ACTION),
    stableMs: checkInteger(given.stableMs, "reconnect.stableMs", 0, TIMER_MS_MAX, ACTION),
  };
}

function resolveLog(value: unknown): ResolvedLogOptions | false {
  if (value === false) return false;
  const { level = DEFAULTS.log.level, sink } = readKeys(value, ["level", "sink"], ACTION, "log");
  if (sink !== undefined && typeof sink !== "function") throw new TypeError(`${ACTION}: log.sink is ${show(sink)}, not a function`);
  return { level: checkWord(level, "log.level", LOG_LEVELS, ACTION), sink: sink as ResolvedLogOptions["sink"] };
}
