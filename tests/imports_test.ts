/**
 * Imports point inward only, and the pure rooms stay pure. Read from the sources as they are; each rule is also shown to catch a violation.
 *
 * @module
 */
import assert from "node:assert/strict";
import { readdirSync, readFileSync } from "node:fs";
import { join, posix } from "node:path";
import { describe, test } from "node:test";

const root = join(import.meta.dirname!, "..");

/** Sources by path from the repository's folder. */
type Sources = ReadonlyMap<string, string>;

function readSources(): Map<string, string> {
  const library = readdirSync(join(root, "lib"), { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
  return new Map(["mod.ts", ...library.map((path) => `lib/${path}`)].map((path) => [path, readFileSync(join(root, path), "utf8")]));
}

/** `lib/core/session.ts` lies in the room `core`, `lib/client.ts` is a room of its own. */
function roomOf(path: string): string {
  return /^lib\/([^/]+)\//.exec(path)?.[1] ?? posix.basename(path, ".ts");
}

interface Import {
  readonly specifier: string;
  readonly isDynamic: boolean;
}

const STATIC_IMPORT = /^\s*(?:import|export)\b[^;"']*?\bfrom\s*["']([^"']+)["']|^\s*import\s*["']([^"']+)["']/gm;
const DYNAMIC_IMPORT = /\bimport\s*\(\s*["']([^"']+)["']/g;

/** What the file imports or passes on; comments do not count. */
function importsOf(source: string): Import[] {
  const code = source.replace(/\/\*.*?\*\//gs, "").replace(/^\s*\/\/.*$/gm, "");
  return [
    ...[...code.matchAll(STATIC_IMPORT)].map(([, from, bare]) => ({ specifier: (from ?? bare)!, isDynamic: false })),
    ...[...code.matchAll(DYNAMIC_IMPORT)].map(([, specifier]) => ({ specifier: specifier!, isDynamic: true })),
  ];
}

/** The code alone: no comments, no text but what is computed within it. */
function codeOf(source: string): string {
  const notCode = /\/\*.*?\*\/|\/\/[^\n]*|"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`/gs;
  return source.replace(notCode, (found) => {
    const computed = found.startsWith("`") ? [...found.matchAll(/\$\{([^}]*)\}/g)] : [];
    return computed.map(([, code]) => code).join(" ") || " ";
  });
}

/** The packages that are published dependencies; development's own are not among them. */
const PACKAGES = new Set(["@std/fs", "@std/path", "bun:sqlite", "mqtt", "mqtt-packet"]);

/** The one file of the main thread that must hear the end of the process, which only runtimes tell. */
const HEARS_THE_END = { path: "lib/exit_flush.ts", specifier: "node:process" };

/** The one file with an import that never runs and only shows compilers the worker, which is started by its URL. */
const SHOWS_THE_WORKER = "lib/worker_link.ts";

/** Time, chance, waiting and the world come through ports. */
const IMPURE =
  /\b(?:Deno|Bun|process|Date|performance|Math\s*\.\s*random|crypto|setTimeout|setInterval|setImmediate|queueMicrotask|await|fetch)\b/;

/** Which rooms a room may import from, beside itself. Any file directly in `lib` not named here may import its like and the core. */
const INWARD: Readonly<Record<string, readonly string[]>> = {
  core: [],
  errors: ["core"],
  protocol: ["core"],
  store: ["core", "errors", "runtime"],
  adapters: ["core", "store", "runtime"],
  runtime: ["core", "store"],
};

/** Which rule an import breaks, if any. */
function brokenRule(path: string, { specifier, isDynamic }: Import, sources: Sources): string | undefined {
  const room = roomOf(path);
  if (!specifier.startsWith(".")) {
    if (path === HEARS_THE_END.path && specifier === HEARS_THE_END.specifier) return undefined;
    if (room !== "adapters") return "only adapters name a runtime or a package";
    return specifier.startsWith("node:") || PACKAGES.has(specifier) ? undefined : "not a dependency";
  }
  const target = posix.join(posix.dirname(path), specifier);
  const targetRoom = roomOf(target);
  if (!sources.has(target)) return "there is no such file";
  if (target === "mod.ts" || (targetRoom === "client" && room !== "mod")) return "only mod.ts is above the client";
  if (targetRoom === "worker") return isDynamic && path === SHOWS_THE_WORKER ? undefined : "the worker is started by its URL";
  if (room in INWARD) return targetRoom === room || INWARD[room]!.includes(targetRoom) ? undefined : "not inward";
  const isOutside = targetRoom === "adapters" || targetRoom === "store";
  return isOutside && room !== "worker" ? "only the worker lives with the disk and the network" : undefined;
}

/** Everything that breaks a rule, in words. */
function violations(sources: Sources): string[] {
  const found: string[] = [];
  for (const [path, source] of sources) {
    for (const each of importsOf(source)) {
      const rule = brokenRule(path, each, sources);
      if (rule !== undefined) found.push(`${path} imports ${each.specifier}: ${rule}`);
    }
    const room = roomOf(path);
    const impure = room === "core" || room === "store" ? IMPURE.exec(codeOf(source)) : null;
    if (impure !== null) found.push(`${path} speaks of ${impure[0]}: ${room} is pure`);
    if (path === "mod.ts" && /^export \*/m.test(source)) found.push("mod.ts exports *: public names stand there one by one");
  }
  return found;
}

describe("The rooms of the house", () => {
  test("Imports point inward only, and core and store know neither time, chance nor runtime", () => {
    assert.deepEqual(violations(readSources()), []);
  });

  /** A line put into a file, and the rule that must notice. */
  const planted: readonly (readonly [path: string, line: string, rule: RegExp])[] = [
    ["lib/core/ports.ts", `import type { Files } from "../store/ports.ts";`, /core\/ports.ts imports .*: not inward/],
    ["lib/core/ports.ts", `export { CacheError } from "../errors.ts";`, /core\/ports.ts imports .*: not inward/],
    ["lib/core/ports.ts", `import process from "node:process";`, /only adapters name a runtime/],
    ["lib/core/ports.ts", `export const now = () => Date.now();`, /speaks of Date/],
    ["lib/core/ports.ts", "export const text = `${Math.random()}`;", /speaks of Math.random/],
    ["lib/core/ports.ts", `setTimeout(() => {}, 1);`, /speaks of setTimeout/],
    ["lib/core/ports.ts", `export const isDeno = "Deno" in globalThis && Deno.pid;`, /speaks of Deno/],
    ["lib/store/ports.ts", `export const x = async () => await import("../adapters/bun.ts");`, /not inward/],
    ["lib/store/ports.ts", `await 0;`, /speaks of await/],
    ["lib/store/ports.ts", `import { DatabaseSync } from "node:sqlite";`, /only adapters name a runtime/],
    ["lib/store/ports.ts", `import {\n  connect,\n} from "npm:mqtt";`, /only adapters name a runtime/],
    ["lib/adapters/bun.ts", `import { resolveOptions } from "../options.ts";`, /not inward/],
    ["lib/adapters/bun.ts", `import { Aedes } from "aedes";`, /not a dependency/],
    ["lib/client.ts", `import "./worker.ts";`, /started by its URL/],
    ["lib/client.ts", `import { openRuntime } from "./adapters/bun.ts";`, /only the worker lives with/],
    ["lib/client.ts", `export type { Files } from "./store/ports.ts";`, /only the worker lives with/],
    ["lib/client.ts", `const worker = () => import("./worker.ts");`, /started by its URL/],
    ["lib/errors.ts", `import { DEFAULTS } from "./options.ts";`, /not inward/],
    ["lib/exit_flush.ts", `import { readFileSync } from "node:fs";`, /only adapters name a runtime/],
    ["lib/errors.ts", `import type { PersistClient } from "./client.ts";`, /above the client/],
    ["lib/worker.ts", `import { PersistClient } from "../mod.ts";`, /above the client/],
    ["lib/worker.ts", `import { gone } from "./gone.ts";`, /no such file/],
    ["mod.ts", `export * from "./lib/errors.ts";`, /exports \*/],
  ];
  for (const [path, line, rule] of planted) {
    test(`A violation is noticed: ${path}: ${line.replaceAll(/\s+/g, " ")}`, () => {
      const sources = readSources();
      assert.ok(sources.has(path), `${path} exists`);
      const before = violations(sources);
      sources.set(path, `${sources.get(path)}\n${line}\n`);
      const added = violations(sources).filter((violation) => !before.includes(violation));
      assert.ok(added.some((violation) => rule.test(violation)), `found only: ${added.join("; ")}`);
    });
  }

  test("A comment or a text that merely speaks of a runtime is no violation", () => {
    const sources = readSources();
    const harmless = `// await Deno\n/* import "node:fs" */\nexport const text = "Date.now() // process";\n`;
    sources.set("lib/core/ports.ts", `${sources.get("lib/core/ports.ts")}\n${harmless}`);
    assert.deepEqual(violations(sources), violations(readSources()));
  });
});

describe("The two configurations", () => {
  const read = (path: string) => JSON.parse(readFileSync(join(root, path), "utf8"));
  const published = read("deno.json");
  const local = read("tests/deno.json");

  test("import the same packages, check types alike and format alike", () => {
    for (const part of ["imports", "compilerOptions", "fmt"]) assert.deepEqual(local[part], published[part]);
  });

  test("only the local one links stand-ins, and each stands in for a version that is asked for", () => {
    assert.equal(published.links, undefined);
    for (const link of local.links) {
      const { name, version } = read(posix.join("tests", link, "deno.json"));
      assert.equal(published.imports[name], `jsr:${name}@^${version}`);
    }
  });
});
