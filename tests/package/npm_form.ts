/**
 * What JSR makes of a package for npm clients, Bun among them: beside each TypeScript module the same as JavaScript, and in both the specifiers
 * that npm knows. Only what stands in an import is rewritten: the URL of a worker goes on naming the `.ts` file, which is there too.
 *
 * @module
 */
import { mkdirSync, readFileSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import { makeTemporaryFolder, run } from "./processes.ts";
import type { PublishedPackage } from "./registry.ts";
import type { Files } from "./tar.ts";

const IMPORT = /(\bfrom\s*|\bimport\s*\(?\s*)(["'])([^"'\n]+)\2/g;
const REGISTRY_SPECIFIER = /^(npm|jsr):((?:@[^/]+\/)?[^/@]+)(?:@([^/]+))?(\/.*)?$/;

/** `@persistmq/persistmq` is called `@jsr/persistmq__persistmq` there. */
export function npmNameOf(name: string): string {
  return `@jsr/${name.slice(1).replace("/", "__")}`;
}

function toJs(path: string): string {
  return path.replace(/\.ts$/, ".js");
}

/** The files of the npm package, `package.json` among them. */
export async function toNpmForm({ name, version, exports, files }: PublishedPackage): Promise<Files> {
  const dependencies: Record<string, string> = {};
  function translate(specifier: string): string {
    if (specifier.startsWith(".")) return toJs(specifier);
    const [, scheme, dependency, range = "*", path = ""] = REGISTRY_SPECIFIER.exec(specifier) ?? [];
    if (dependency === undefined) return specifier;
    const npmName = scheme === "jsr" ? npmNameOf(dependency) : dependency;
    dependencies[npmName] = range;
    return npmName + path;
  }
  const rewrite = (source: string) =>
    source.replace(IMPORT, (_, lead: string, quote: string, specifier: string) => lead + quote + translate(specifier) + quote);

  const source = makeTemporaryFolder();
  const output = makeTemporaryFolder();
  for (const [path, contents] of files) {
    mkdirSync(dirname(join(source, path)), { recursive: true });
    writeFileSync(join(source, path), contents);
  }
  const modules = [...files.keys()].filter((path) => path.endsWith(".ts"));
  const built = await run(["bun", "build", "--no-bundle", "--root", ".", "--outdir", output, ...modules], source);
  if (built.code !== 0) throw new Error(`Cannot make JavaScript of ${name}: ${built.output}`);

  const npmFiles = new Map(files);
  const add = (path: string, text: string) => npmFiles.set(path, new TextEncoder().encode(text));
  for (const path of modules) {
    add(path, rewrite(readFileSync(join(source, path), "utf8")));
    add(toJs(path), rewrite(readFileSync(join(output, toJs(path)), "utf8")));
  }
  const npmExports = Object.fromEntries(Object.entries(exports).map(([key, path]) => [key, { default: toJs(path) }]));
  add("package.json", JSON.stringify({ name: npmNameOf(name), version, type: "module", dependencies, exports: npmExports }));
  return npmFiles;
}
