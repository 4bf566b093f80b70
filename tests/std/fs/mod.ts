/**
 * Stands in for `@std/fs` where JSR is out of reach: what the Deno adapter uses, with the signature of the real one.
 *
 * @module
 */
import * as node from "node:fs";

/** Is anything there? */
export function existsSync(path: string | URL): boolean {
  return node.existsSync(path);
}
