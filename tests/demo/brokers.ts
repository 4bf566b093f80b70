/**
 * The broker of the demonstration: mosquitto where it is installed, otherwise the embedded one.
 *
 * @module
 */
import { spawnSync } from "node:child_process";
import { AedesBroker } from "../support/aedes_broker.ts";
import { Mosquitto } from "../support/mosquitto.ts";

/** One that runs. */
export interface DemoBroker {
  /** With its version, if it tells. */
  readonly name: string;
  readonly port: number;
  /** It may be asked to keep a subscriber's session. */
  readonly keepsSubscribers: boolean;
  stop(): Promise<void>;
}

/** Starts the one that is named, or the best there is. */
export async function startBroker(name: string | undefined): Promise<DemoBroker> {
  const isMosquitto = name === undefined ? spawnSync("mosquitto", ["-h"]).error === undefined : name === "mosquitto";
  if (!isMosquitto) {
    const broker = await AedesBroker.start({ keepsSessions: true });
    return { name: "aedes", port: broker.port, keepsSubscribers: false, stop: () => broker.stop() };
  }
  const broker = await Mosquitto.start();
  const version = /version (\S+)/.exec(broker.log)?.[1] ?? "";
  return { name: `mosquitto ${version}`.trim(), port: broker.port, keepsSubscribers: true, stop: () => broker.close() };
}
