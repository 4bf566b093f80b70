/**
 * `deno publish --dry-run` against a registry on loopback, which has `@std`: it says the same with and without JSR in reach.
 *
 * @module
 */
import process from "node:process";
import { removeTemporaryFolders } from "../package/processes.ts";
import { makeDenoEnvironment, publish } from "../package/publish.ts";
import { Registry } from "../package/registry.ts";

const registry = await Registry.start();
const { code, output } = await publish(makeDenoEnvironment(registry), true);
registry.close();
removeTemporaryFolders();
console.log(output.replace(/^(?:Initialize|Download) .*\n/gm, ""));
process.exitCode = code === 0 ? 0 : 1;
