/**
 * Stands in for `@std/path` where JSR is out of reach: what the Deno adapter uses, with the signatures of the real ones. They are spelled out
 * because Node's are wider, and what passes here must pass with the real package too.
 *
 * @module
 */
import * as node from "node:path";
import { fileURLToPath } from "node:url";

function toPath(path: string | URL): string {
  return typeof path === "string" ? path : fileURLToPath(path);
}

/** Joins and normalizes. */
export function join(path: string | URL, ...paths: string[]): string {
  return node.join(toPath(path), ...paths);
}

/** The path without its last part. */
export function dirname(path: string | URL): string {
  return node.dirname(toPath(path));
}

/** Absolute and normalized. */
export function resolve(...pathSegments: string[]): string {
  return node.resolve(...pathSegments);
}
