/**
 * Opens what is left of a cache with the product's own code, and reads all that it holds.
 *
 * @module
 */
import type { MessageId, PacketId, QoS } from "../../../lib/core/message.ts";
import type { Ledger, SessionOwner, Stage } from "../../../lib/core/ports.ts";
import type { Runtime } from "../../../lib/runtime.ts";
import { openCache } from "../../../lib/store/open_cache.ts";
import { numberOf } from "./messages.ts";

/** What a cache holds. */
export interface Finding {
  readonly cacheIdentity: string;
  readonly nextMessageId: MessageId;
  readonly packetIdCursor: PacketId;
  readonly session: SessionOwner;
  readonly ledger: Ledger;
  /** By id. */
  readonly pending: readonly { readonly number: number; readonly id: MessageId; readonly qos: QoS; readonly bytes: number }[];
  /** In the order of their send numbers. */
  readonly flights: readonly {
    readonly number: number;
    readonly qos: QoS;
    readonly packetId: PacketId;
    readonly stage: Stage;
    readonly receivedNumber: number;
  }[];
  readonly warnings: readonly string[];
}

/** Name of the client whose caches these are. */
export const CLIENT_ID = "device";

/** The runtime that the test itself runs on. */
export async function openTestRuntime(): Promise<Runtime> {
  const adapter = "Bun" in globalThis ? await import("../../../lib/adapters/bun.ts") : await import("../../../lib/adapters/deno.ts");
  return await adapter.openRuntime();
}

/**
 * The runtime as it is after a power cut, on the machine that was recorded: another boot, and the database in the inode that it had then, as a
 * cache that lies elsewhere would be taken for a copy.
 */
export function afterPowerCut(runtime: Runtime, databaseInode: number): Runtime {
  return {
    ...runtime,
    machine: { ...runtime.machine, bootId: () => "after the power cut" },
    files: {
      ...runtime.files,
      info(path) {
        const info = runtime.files.info(path);
        return info !== undefined && path.endsWith("outbox.sqlite3") ? { ...info, inode: databaseInode } : info;
      },
    },
  };
}

/** Opens, reads, closes. Throws what the product throws, and an Error if a message was altered. */
export function inspect(runtime: Runtime, cachePath: string): Finding {
  const cache = openCache(runtime, {
    cachePath,
    clientId: CLIENT_ID,
    durability: "power-loss",
    lockWaitMs: 0,
    allowSharedCache: false,
  });
  try {
    const { outbox, identity, warnings } = cache;
    const flights = outbox.flights();
    const messages = [...outbox.readQueued(0, Number.MAX_SAFE_INTEGER, Infinity), ...outbox.read(flights.map(({ id }) => id))];
    const numbers = new Map(messages.map(({ id, payload }) => [id, numberOf(payload)]));
    return {
      cacheIdentity: identity.cacheIdentity,
      nextMessageId: outbox.nextMessageId(),
      packetIdCursor: outbox.packetIdCursor(),
      session: outbox.session(),
      ledger: outbox.ledger(),
      pending: messages.sort((a, b) => a.id - b.id).map(({ id, qos, topic, payload }) => ({
        number: numbers.get(id)!,
        id,
        qos,
        bytes: topic.length + payload.length,
      })),
      flights: flights.map(({ id, qos, packetId, stage, receivedNumber }) => ({
        number: numbers.get(id)!,
        qos,
        packetId,
        stage,
        receivedNumber,
      })),
      warnings,
    };
  } finally {
    cache.close();
  }
}
