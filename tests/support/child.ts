/**
 * A process of the runtime in use, which says what it does in lines of JSON on its standard output and takes such lines on its standard input.
 * It ends when its standard input ends, so that none outlives the test that started it.
 *
 * @module
 */
import { type ChildProcess, spawn } from "node:child_process";
import { createInterface } from "node:readline";
import process from "node:process";
import { fileURLToPath } from "node:url";
import { within } from "./deadline.ts";

/** What a child may say: an object with a `type`. */
export interface Said {
  readonly type: string;
}

/** How a child ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: string | null;
}

/** How to start one. */
export interface ChildOptions<S extends Said = Said> {
  /** Words in front of the runtime's own, such as those that change the user. */
  readonly prefix?: readonly string[];
  readonly environment?: Readonly<Record<string, string>>;
  readonly onSaid?: (said: S) => void;
}

/** The command that runs a script of this repository on the runtime in use. */
export function runtimeCommand(script: URL): readonly string[] {
  const path = fileURLToPath(script);
  if ("Bun" in globalThis) return [process.execPath, path];
  return [process.execPath, "run", "-A", "--cached-only", "--config", fileURLToPath(new URL("../deno.json", import.meta.url)), path];
}

/** See above. `S` is the union of what it says. */
export class Child<S extends Said = Said> {
  readonly pid: number;
  readonly exited: Promise<Exit>;
  /** All that it said, in order. */
  readonly said: S[] = [];
  #stderr = "";
  readonly #process: ChildProcess;
  readonly #listeners = new Set<(said: S) => void>();

  /** Starts a script with one argument, which it gets as JSON. */
  constructor(script: URL, argument: unknown, { prefix = [], environment = {}, onSaid }: ChildOptions<S> = {}) {
    const [command = "", ...words] = [...prefix, ...runtimeCommand(script), JSON.stringify(argument)];
    this.#process = spawn(command, words, { stdio: ["pipe", "pipe", "pipe"], env: { ...process.env, ...environment } });
    if (onSaid !== undefined) this.#listeners.add(onSaid);
    const isSpawned = this.#process.pid !== undefined;
    this.pid = this.#process.pid ?? 0;
    this.#process.stderr?.on("data", (chunk: Uint8Array) => this.#stderr += new TextDecoder().decode(chunk));
    this.#process.stdin?.on("error", () => {});
    const lines = createInterface({ input: this.#process.stdout! });
    lines.on("line", (line) => this.#take(line));
    // Its last words may come after its end.
    const spoken = new Promise<void>((resolve) => lines.once("close", resolve));
    const ended = new Promise<Exit>((resolve, reject) => {
      this.#process.once("error", (error) => reject(new Error(`Cannot start ${command}: ${error.message}`, { cause: error })));
      this.#process.once("exit", (code, signal) => resolve({ code, signal }));
    });
    this.exited = ended.then(async (exit) => {
      if (isSpawned) await spoken;
      return exit;
    });
    this.exited.catch(() => {});
  }

  /** What it wrote to its standard error. */
  get stderr(): string {
    return this.#stderr;
  }

  /** The first thing of this type that it said or will say; fails if it ends before. */
  async next<T extends S["type"]>(
    type: T,
    isMeant: (said: Extract<S, { type: T }>) => boolean = () => true,
  ): Promise<Extract<S, { type: T }>> {
    const matches = (said: S): said is Extract<S, { type: T }> => said.type === type && isMeant(said as Extract<S, { type: T }>);
    const earlier = this.said.find(matches);
    if (earlier !== undefined) return earlier;
    let listener: ((said: S) => void) | undefined;
    const later = new Promise<Extract<S, { type: T }>>((resolve, reject) => {
      listener = (said) => matches(said) ? resolve(said) : undefined;
      this.#listeners.add(listener);
      this.exited.then(({ code, signal }) => {
        reject(
          new Error(`Cannot hear "${type}" from the child: it ended with ${signal ?? `exit code ${code}`}. It wrote: ${this.#stderr}`),
        );
      }, reject);
    });
    try {
      return await within(later, () => `"${type}" from the child. It wrote: ${this.#stderr}`);
    } finally {
      this.#listeners.delete(listener!);
    }
  }

  /** One line of JSON to its standard input. */
  send<C extends Said>(command: C): void {
    this.#process.stdin?.write(`${JSON.stringify(command)}\n`);
  }

  /** SIGKILL, at once. */
  kill(): void {
    if (this.#process.exitCode === null && this.#process.signalCode === null) process.kill(this.pid, "SIGKILL");
  }

  /** Lets it end of itself, and fails if it does so with anything but exit code 0. */
  async stop(): Promise<void> {
    this.#process.stdin?.end();
    const { code, signal } = await within(this.exited, "the child to end");
    if (code !== 0) {
      throw new Error(`Cannot call it a good end: the child ended with ${signal ?? `exit code ${code}`}. It wrote: ${this.#stderr}`);
    }
  }

  #take(line: string): void {
    let said: S;
    try {
      said = JSON.parse(line);
    } catch {
      return; // Cut short by a SIGKILL.
    }
    this.said.push(said);
    for (const listener of this.#listeners) listener(said);
  }
}

/** In the child: the argument that it was started with. */
export function argument<A>(): A {
  return JSON.parse(process.argv[2] ?? "null");
}

/** In the child: says one thing to whoever started it. */
export function say(said: Said): void {
  process.stdout.write(`${JSON.stringify(said)}\n`);
}

/** In the child: what it is told. Ends when the other side ends, or does not exist any more. */
export async function* told<C extends Said>(): AsyncGenerator<C> {
  for await (const line of createInterface({ input: process.stdin })) yield JSON.parse(line);
}
