/**
 * Listens to a transport and keeps all that it says, in order, for a test to wait for and to look at.
 *
 * @module
 */
import type { PacketId } from "../../lib/core/message.ts";
import type { Disconnection, ServerInfo, TransportListener } from "../../lib/core/ports.ts";
import { within } from "./deadline.ts";

interface Reports {
  readonly connected: ServerInfo;
  readonly disconnected: Disconnection;
  readonly acknowledged: { readonly packetId: PacketId; readonly reasonCode: number };
  readonly received: { readonly packetId: PacketId; readonly reasonCode: number };
  readonly completed: { readonly packetId: PacketId; readonly reasonCode: number };
  readonly drained: undefined;
}

/** What a transport says. */
export type ReportType = keyof Reports;

/** See above. */
export class TransportProbe implements TransportListener {
  /** All that was said, in order. */
  readonly reports: { readonly type: ReportType; readonly value: Reports[ReportType] }[] = [];
  /** Called with each report just after it was kept. */
  onReport: (type: ReportType, value: Reports[ReportType]) => void = () => {};
  readonly #readCounts = new Map<ReportType, number>();
  readonly #wakes = new Set<() => void>();

  /** The next report of this type that was not yet asked for; fails if the connection ends instead. */
  async next<T extends ReportType>(type: T): Promise<Reports[T]> {
    const index = this.#readCounts.get(type) ?? 0;
    this.#readCounts.set(type, index + 1);
    const endsBefore = this.all("disconnected").length;
    await this.until(`a report "${type}"`, () => {
      if (this.all(type).length > index) return true;
      if (type === "disconnected" || this.all("disconnected").length === endsBefore) return false;
      throw new Error(`Cannot hear "${type}": the connection ended: ${JSON.stringify(this.all("disconnected").at(-1))}`);
    });
    return this.all(type)[index]!;
  }

  /** All reports of a type so far. */
  all<T extends ReportType>(type: T): Reports[T][] {
    return this.reports.filter((report) => report.type === type).map(({ value }) => value as Reports[T]);
  }

  /** The types of all reports so far. */
  types(): ReportType[] {
    return this.reports.map(({ type }) => type);
  }

  /** Waits, from report to report, until it holds. */
  async until(what: string, holds: () => boolean): Promise<void> {
    while (!holds()) {
      let wake!: () => void;
      const next = new Promise<void>((resolve) => this.#wakes.add(wake = resolve));
      try {
        await within(next, () => `${what}; so far there were: ${this.types().slice(-20).join(", ") || "none"}`);
      } finally {
        this.#wakes.delete(wake);
      }
    }
  }

  onConnected(server: ServerInfo): void {
    this.#keep("connected", server);
  }

  onDisconnected(cause: Disconnection): void {
    this.#keep("disconnected", cause);
  }

  onAcknowledged(packetId: PacketId, reasonCode: number): void {
    this.#keep("acknowledged", { packetId, reasonCode });
  }

  onReceived(packetId: PacketId, reasonCode: number): void {
    this.#keep("received", { packetId, reasonCode });
  }

  onCompleted(packetId: PacketId, reasonCode: number): void {
    this.#keep("completed", { packetId, reasonCode });
  }

  onDrained(): void {
    this.#keep("drained", undefined);
  }

  #keep<T extends ReportType>(type: T, value: Reports[T]): void {
    this.reports.push({ type, value });
    this.onReport(type, value);
    for (const wake of this.#wakes) wake();
  }
}
