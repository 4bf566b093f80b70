/**
 * Temporary folders and commands that are waited for.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import process from "node:process";

/** How a command ended. */
export interface Outcome {
  readonly code: number | null;
  /** What it said, on both streams. */
  readonly output: string;
}

const folders: string[] = [];

/** A folder of our own, outside the repository. */
export function makeTemporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), "persistmq-package-"));
  folders.push(folder);
  return folder;
}

/** Removes all that were made. */
export function removeTemporaryFolders(): void {
  for (const folder of folders.splice(0)) {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a command to its end. */
export function run(
  command: readonly string[],
  cwd: string,
  env: Readonly<Record<string, string>> = {},
): Promise<Outcome> {
  return new Promise((settle, fail) => {
    const child = spawn(command[0]!, command.slice(1), {
      cwd,
      env: { ...process.env, ...env },
      stdio: ["ignore", "pipe", "pipe"],
    });
    let output = "";
    child.stdout.on("data", (chunk) => output += chunk);
    child.stderr.on("data", (chunk) => output += chunk);
    child.once("error", fail);
    child.once("close", (code) => settle({ code, output }));
  });
}
