/**
 * What Bun lends: `bun:sqlite`, and the file calls that it shares with Node.
 *
 * @module
 */
import * as path from "node:path";
import type { Runtime } from "../runtime.ts";
import { bunDatabaseOpener } from "./bun_sqlite.ts";
import { createNodeFiles } from "./node_files.ts";
import { nodeMachine } from "./node_machine.ts";
import { webClock, webRandom } from "./web_clock.ts";

/** Call it on Bun only. */
export async function openRuntime(): Promise<Runtime> {
  const { Database } = await import("bun:sqlite");
  return {
    name: "bun",
    clock: webClock,
    random: webRandom,
    files: createNodeFiles(path),
    machine: nodeMachine,
    openDatabase: bunDatabaseOpener(Database),
  };
}
