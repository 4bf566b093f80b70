/**
 * The machine and the process, by the modules of Node that both runtimes have.
 *
 * @module
 */
import { readFileSync } from "node:fs";
import { hostname } from "node:os";
import process from "node:process";
import type { Machine } from "../store/ports.ts";

/** Linux says it here, and other systems do not have the file. */
export const BOOT_ID_PATH = "/proc/sys/kernel/random/boot_id";

/** Where the runtime may do whatever the user may. */
export const nodeMachine: Machine = {
  pid: () => process.pid,
  uid: () => process.getuid?.(),
  hostname: () => hostname(),
  bootId() {
    try {
      return readFileSync(BOOT_ID_PATH, "utf8").trim();
    } catch {
      return undefined;
    }
  },
  isAlive(pid) {
    try {
      return process.kill(pid, 0); // Signal 0 only asks.
    } catch (error) {
      // EPERM: it lives, and is somebody else's.
      const { code } = error as { code?: unknown };
      return code === "ESRCH" ? false : code === "EPERM" ? true : undefined;
    }
  },
};
