/**
 * A program that publishes without waiting, and ends in one of many ways.
 *
 * @module
 */
import process from "node:process";
import { PersistClient } from "../../mod.ts";
import { argument, type Said, say } from "../support/child.ts";
import type { Fault } from "./faulty_worker.ts";

/** How it is to end. */
export type Ending =
  | "process.exit"
  | "Deno.exit"
  | "an uncaught error"
  | "an uncaught error in a timer"
  | "an unhandled rejection"
  | "an unhandled rejection in a timer"
  | "a handler of SIGTERM that exits"
  | "a handler of uncaught errors that exits"
  | "a handler of exit that publishes"
  | "a handler of uncaught errors that goes on"
  | "process.exit after the worker's death"
  | "nothing left to do";

/** What it is started with. */
export interface EndingArgument {
  readonly cachePath: string;
  readonly ending: Ending;
  /** `at once`: in the turn in which the client is made, before there is a worker. `open`: after the cache was opened. */
  readonly when: "at once" | "open";
  readonly count: number;
  readonly exitFlushMs: number;
}

/** What it says. */
export type EndingSaid =
  | (Said & { readonly type: "ready" | "alive" })
  | (Said & { readonly type: "ids"; readonly ids: readonly number[] });

async function main({ cachePath, ending, when, count, exitFlushMs }: EndingArgument): Promise<void> {
  const workers = ending === "process.exit after the worker's death" ? { worker: startMortalWorker } : {};
  const client = new PersistClient({ clientId: "ending", cachePath, exitFlushMs, ...workers });
  if (when === "open") await client.publish("first", "");
  const promises: Promise<number>[] = [];
  const publish = () => promises.push(client.publish("a/topic", `message ${promises.length}`));
  if (ending === "a handler of exit that publishes") process.on("exit", publish);
  for (let index = 0; index < count; index++) publish();
  switch (ending) {
    case "process.exit":
    case "a handler of exit that publishes":
      return process.exit(3);
    case "process.exit after the worker's death":
      client.addEventListener("error", () => process.exit(3));
      return;
    case "Deno.exit":
      return (globalThis as unknown as { Deno: { exit(code: number): never } }).Deno.exit(3);
    case "an uncaught error":
    case "an unhandled rejection":
      // Both are what becomes of a module that throws while it is evaluated, or of a promise that nobody has.
      if (ending === "an uncaught error") throw new Error("the program's own error");
      Promise.reject(new Error("the program's own error"));
      return;
    case "an uncaught error in a timer":
      setTimeout(() => {
        throw new Error("the program's own error");
      }, 1);
      return;
    case "an unhandled rejection in a timer":
      setTimeout(() => Promise.reject(new Error("the program's own error")), 1);
      return;
    case "a handler of SIGTERM that exits":
      process.on("SIGTERM", () => process.exit(3));
      say({ type: "ready" });
      return;
    case "a handler of uncaught errors that exits":
      process.on("uncaughtException", () => process.exit(3));
      setTimeout(() => {
        throw new Error("the program's own error");
      }, 0);
      return;
    case "a handler of uncaught errors that goes on":
      process.on("uncaughtException", async () => {
        publish();
        say({ type: "ids", ids: await Promise.all(promises) } as EndingSaid);
        await client.stop();
      });
      // Before anything of the worker is heard.
      queueMicrotask(() => {
        throw new Error("the program's own error");
      });
      return;
    case "nothing left to do": {
      await Promise.all(promises);
      // A timer that keeps no process: it is heard only if the client does.
      const timer = setTimeout(async () => {
        say({ type: "alive" });
        await client.stop();
      }, 100) as unknown as { unref(): void } | number;
      if (typeof timer === "number") (globalThis as unknown as { Deno: { unrefTimer(timer: number): void } }).Deno.unrefTimer(timer);
      else timer.unref();
    }
  }
}

let isFirst = true;

/** The first dies of what was published un-awaited, before it is stored; the others live. */
function startMortalWorker(): Worker {
  const worker = new Worker(new URL("./faulty_worker.ts", import.meta.url), { type: "module", name: "persistmq" });
  const fault: Fault = { type: "fault", afterCount: 3, death: "throws before" };
  if (isFirst) worker.postMessage(fault);
  isFirst = false;
  return worker;
}

if (import.meta.main) await main(argument());
