/**
 * One moment of a client, put together from what the main thread knows and what the worker last reported.
 *
 * @module
 */
import type { Broker } from "./core/ports.ts";
import type { ConnectionStatus, PublisherStatus } from "./core/report.ts";
import type { CacheStatus, PersistStatus } from "./events.ts";

/** What the main thread knows. */
export interface MainStatus {
  readonly connection: ConnectionStatus;
  readonly broker: Broker | undefined;
  readonly cache: CacheStatus;
  readonly queuedCount: number;
  readonly queuedBytes: number;
  readonly workerRestartCount: number;
}

/** `publisher`: the worker's last word, if there was any. */
export function createStatus(main: MainStatus, publisher: PublisherStatus | undefined): PersistStatus {
  const { connection, cache, queuedCount, queuedBytes, workerRestartCount } = main;
  const isOnline = connection.state === "online";
  const broker = main.broker ?? publisher?.broker;
  const { waitingFor, oldestPendingEpochMs, storeError, ledger } = publisher ?? {};
  return {
    connected: isOnline,
    lastMid: publisher?.lastDeliveredId ?? 0,
    cachedItems: ledger?.pending ?? 0,
    queuedCount,
    queuedBytes,
    cache,
    connection,
    ...(broker === undefined ? {} : { broker }),
    ...(ledger === undefined ? {} : { ledger }),
    inFlightCount: publisher?.inFlightCount ?? 0,
    inFlightMax: isOnline ? publisher?.inFlightMax ?? 0 : 0,
    ...(waitingFor === undefined ? {} : { waitingFor }),
    ...(oldestPendingEpochMs === undefined ? {} : { oldestPendingEpochMs }),
    propertiesDroppedCount: publisher?.propertiesDroppedCount ?? 0,
    downgradedCount: publisher?.downgradedCount ?? 0,
    ...(storeError === undefined ? {} : { storeError }),
    workerRestartCount,
  };
}
