/**
 * What the tasks share: where the repository is, how a command is run, whether a tool is there.
 *
 * @module
 */
import { spawn } from "node:child_process";
import { accessSync, constants } from "node:fs";
import { join } from "node:path";
import process from "node:process";

/** The repository's folder. */
export const ROOT: string = join(import.meta.dirname!, "../..");

/** The configuration that needs no JSR, from the repository's folder. */
export const CONFIG = "tests/deno.json";

/** Runs a command in the repository's folder with our own input and output; true if it went well. */
export function runStep(
  command: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<boolean> {
  return new Promise((settle) => {
    const child = spawn(command[0]!, command.slice(1), {
      cwd: ROOT,
      stdio: "inherit",
      env: { ...process.env, ...env },
    });
    child.once("error", (error) => {
      console.error(`Cannot run ${command[0]}: ${error.message}`);
      settle(false);
    });
    child.once("exit", (code) => settle(code === 0));
  });
}

/** Is there a program of this name on the path? */
export function isInstalled(program: string): boolean {
  return (process.env.PATH ?? "").split(":").some((folder) => {
    try {
      accessSync(join(folder, program), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** "N passed, M failed", the form in which all tasks speak. */
export function summary(passedCount: number, failedCount: number): string {
  return `${passedCount} passed, ${failedCount} failed`;
}
