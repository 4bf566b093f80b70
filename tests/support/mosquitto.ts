/**
 * The real broker, as a process of its own: own configuration, own folder, own port, which all stay the same when it is started again.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";
import { within } from "./deadline.ts";
import { freePort } from "./sockets.ts";

/** How to start it. */
export interface MosquittoOptions {
  /** Further lines of its configuration, which follow those of the listener. */
  readonly config?: string;
  /** It writes its sessions to disk when it is stopped by SIGTERM, and reads them when it starts. @default {true} */
  readonly isPersistent?: boolean;
}

/** What a node:test wants as its `skip`: false, or why. With `CI=true` it must be there, so its absence is an error. */
export function mosquittoMissing(): false | string {
  const isInstalled = spawnSync("mosquitto", ["-h"]).error === undefined;
  if (!isInstalled && process.env.CI === "true") {
    throw new Error(
      "Cannot test against mosquitto: it is not installed, and CI is to test all",
    );
  }
  return isInstalled ? false : "mosquitto is not installed";
}

/** None outlives the tests, nor leaves its folder behind, however they end. */
const children = new Set<ChildProcess>();
const folders = new Set<string>();
const cleanUp = () => {
  children.forEach((child) => child.kill("SIGKILL"));
  folders.forEach(removeFolder);
};
// Where Deno runs tests it knows only the one, Bun only the other.
globalThis.addEventListener?.("unload", cleanUp);
process.once("exit", cleanUp);

function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true });
  folders.delete(folder);
}

/** See above. */
export class Mosquitto {
  readonly port: number;
  readonly folder: string;
  #log = "";
  #child: ChildProcess | undefined;

  private constructor(port: number, folder: string) {
    this.port = port;
    this.folder = folder;
  }

  /** Resolves when it takes connections. */
  static async start(
    { config = "", isPersistent = true }: MosquittoOptions = {},
  ): Promise<Mosquitto> {
    const broker = new Mosquitto(
      await freePort(),
      mkdtempSync(join(tmpdir(), "persistmq-mosquitto-")),
    );
    folders.add(broker.folder);
    const lines = [
      // Otherwise it becomes a user that may not write into the folder.
      ...(process.getuid?.() === 0 ? ["user root"] : []),
      ...(isPersistent ? ["persistence true", `persistence_location ${broker.folder}/`] : []),
      `listener ${broker.port} 127.0.0.1`,
      "allow_anonymous true",
      config,
    ];
    writeFileSync(join(broker.folder, "mosquitto.conf"), lines.join("\n"));
    await broker.restart();
    return broker;
  }

  get pid(): number {
    return this.#child?.pid ?? 0;
  }

  /** All that it wrote, over all its lives. */
  get log(): string {
    return this.#log;
  }

  /** Starts it after `stop()` or `kill()`. Resolves when it takes connections. */
  async restart(): Promise<void> {
    const child = this.#child = spawn("mosquitto", [
      "-c",
      join(this.folder, "mosquitto.conf"),
    ], { stdio: ["ignore", "ignore", "pipe"] });
    children.add(child);
    child.once("exit", () => children.delete(child));
    const running = new Promise<void>((resolve, reject) => {
      let said = "";
      child.stderr!.on("data", (chunk: Uint8Array) => {
        const text = new TextDecoder().decode(chunk);
        said += text;
        this.#log += text;
        if (/mosquitto version \S+ running/.test(said)) resolve();
      });
      child.once("error", reject);
      child.once(
        "exit",
        (code) =>
          reject(
            new Error(
              `Cannot start mosquitto: exit code ${code}. It wrote: ${said}`,
            ),
          ),
      );
    });
    await within(running, "mosquitto to start");
  }

  /** SIGTERM: it writes down its sessions. */
  stop(): Promise<void> {
    return this.#end("SIGTERM");
  }

  /** SIGKILL. */
  kill(): Promise<void> {
    return this.#end("SIGKILL");
  }

  /** Ends it for good and removes its folder. */
  async close(): Promise<void> {
    await this.kill();
    removeFolder(this.folder);
  }

  async #end(signal: "SIGTERM" | "SIGKILL"): Promise<void> {
    const child = this.#child;
    if (
      child === undefined || child.exitCode !== null ||
      child.signalCode !== null
    ) return;
    const ended = new Promise<void>((resolve) => child.once("exit", () => resolve()));
    child.kill(signal);
    await within(ended, `mosquitto to end after ${signal}`);
  }
}
