/**
 * Publishes the repository as it stands to a registry on loopback, or only tries to.
 *
 * @module
 */
import { execFileSync } from "node:child_process";
import { cpSync, symlinkSync } from "node:fs";
import { join, relative } from "node:path";
import { ROOT } from "../tasks/steps.ts";
import { makeTemporaryFolder, type Outcome, run } from "./processes.ts";
import type { PublishedPackage, Registry } from "./registry.ts";

/**
 * An environment in which Deno knows nothing but the registry: its cache is new and empty. Only the npm packages are those of this machine's
 * cache, which is the same bytes sooner.
 */
export function makeDenoEnvironment(registry: Registry): Record<string, string> {
  const denoDir = makeTemporaryFolder();
  const { npmCache } = JSON.parse(execFileSync("deno", ["info", "--json"], { encoding: "utf8" }));
  symlinkSync(npmCache, join(denoDir, "npm"));
  return { DENO_DIR: denoDir, JSR_URL: registry.url, NO_COLOR: "1", DENO_NO_UPDATE_CHECK: "1" };
}

const NOT_COPIED = /^(?:\.git|cache|coverage|(?:tests\/)?node_modules)$/;

/** Copies the repository, so that nothing in it is touched while its tests run, and lets Deno publish the copy without links. */
export async function publish(env: Readonly<Record<string, string>>, isDryRun: boolean): Promise<Outcome> {
  const folder = makeTemporaryFolder();
  cpSync(ROOT, folder, { recursive: true, filter: (path) => !NOT_COPIED.test(relative(ROOT, path)) });
  const how = isDryRun ? ["--dry-run"] : ["--token", "loopback", "--no-provenance"];
  return await run(["deno", "publish", ...how], folder, env);
}

/** Publishes for good; the package as the registry then has it. */
export async function publishRepository(registry: Registry, env: Readonly<Record<string, string>>): Promise<PublishedPackage> {
  const { code, output } = await publish(env, false);
  const published = registry.packages.get("@persistmq/persistmq");
  if (code !== 0 || published === undefined) throw new Error(`Cannot publish: deno publish ended with ${code}\n${output}`);
  return published;
}
