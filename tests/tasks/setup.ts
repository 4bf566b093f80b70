/**
 * Makes `node_modules`: Deno would do so by itself, Bun finds no npm package in a worker or a test without one. They lie beside
 * `tests/deno.json`, the configuration of all tasks; a link at the root shows them to Bun, which looks upward from `lib/`.
 *
 * @module
 */
import { lstatSync, readlinkSync, rmSync, symlinkSync } from "node:fs";
import { join } from "node:path";
import process from "node:process";
import { CONFIG, ROOT, runStep } from "./steps.ts";

const target = "tests/node_modules";
const link = join(ROOT, "node_modules");

const isInstalled = await runStep([
  "deno",
  "install",
  "--quiet",
  "--frozen",
  "--config",
  CONFIG,
]);
if (!isInstalled) {
  console.error(
    "Cannot install the npm packages that deno.lock names: see above",
  );
  process.exit(1);
}

const found = lstatSync(link, { throwIfNoEntry: false });
const isOurs = found?.isSymbolicLink() === true &&
  readlinkSync(link) === target;
if (!isOurs) {
  // A folder here comes from an install by another configuration; what it holds would grow old unseen.
  rmSync(link, { recursive: true, force: true });
  symlinkSync(target, link);
}
