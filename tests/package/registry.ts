/**
 * A small JSR registry on loopback. It takes what `deno publish` uploads and serves it as JSR does, so that a test sees the very files, with the
 * very import specifiers, that a user would get. `@std` is served from the stand-ins.
 *
 * @module
 */
import { Buffer } from "node:buffer";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { join } from "node:path";
import { gunzipSync } from "node:zlib";
import { listen } from "../support/sockets.ts";
import { ROOT } from "../tasks/steps.ts";
import { type Files, unpack } from "./tar.ts";

/** A published version of a package. */
export interface PublishedPackage {
  readonly name: string;
  readonly version: string;
  /** Module paths by export name. */
  readonly exports: Readonly<Record<string, string>>;
  readonly files: Files;
}

const UPLOAD = /^\/api\/scopes\/[^/]+\/packages\/[^/]+\/versions\/[^/?]+\?/;
const PACKAGE_INFO = /^\/api\/scopes\/([^/]+)\/packages\/([^/]+)$/;

/** The registry, running. */
export class Registry {
  /** What was published here, by name. */
  readonly packages: Map<string, PublishedPackage> = new Map();
  readonly #server = createServer((request, response) => {
    this.#answer(request, response).catch((error) => response.writeHead(500).end(String(error)));
  });
  #port = 0;

  /** Starts one on a free port. */
  static async start(): Promise<Registry> {
    const registry = new Registry();
    for (const name of ["fs", "path"]) registry.#add(readFolder(join(ROOT, "tests/std", name)));
    registry.#port = await listen(registry.#server);
    return registry;
  }

  /** For `JSR_URL`. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  #add(files: Files): void {
    const { name, version, exports } = JSON.parse(new TextDecoder().decode(files.get("deno.json")));
    this.packages.set(name, { name, version, exports: typeof exports === "string" ? { ".": exports } : exports, files });
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url!;
    const sendJson = (status: number, value: unknown) => {
      response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(value));
    };
    if (request.method === "POST" && UPLOAD.test(path)) {
      this.#add(unpack(gunzipSync(await readBody(request))));
      return sendJson(200, { id: "upload", status: "success", error: null });
    }
    const [, scope, name] = PACKAGE_INFO.exec(path) ?? [];
    if (scope !== undefined) return sendJson(200, { scope, name, latestVersion: null });
    const found = this.#find(path);
    if (found === undefined) return sendJson(404, { code: "notFound", message: path });
    if (!(found instanceof Uint8Array)) return sendJson(200, found);
    response.writeHead(200, { "content-type": "text/typescript" }).end(found);
  }

  /** What stands at a path: a file's bytes, or metadata. */
  #find(path: string): Uint8Array | object | undefined {
    const [, scope, short, rest] = /^\/@([^/]+)\/([^/]+)\/(.+)$/.exec(path) ?? [];
    const found = this.packages.get(`@${scope}/${short}`);
    if (found === undefined || rest === undefined) return undefined;
    const { version, exports, files } = found;
    if (rest === "meta.json") return { scope, name: short, latest: version, versions: { [version]: {} } };
    if (rest === `${version}_meta.json`) return { manifest: describe(files), exports };
    return rest.startsWith(`${version}/`) ? files.get(rest.slice(version.length + 1)) : undefined;
  }
}

/** Size and checksum of each file, as Deno compares them with what it gets. */
function describe(files: Files): object {
  const checksum = (contents: Uint8Array) => `sha256-${createHash("sha256").update(contents).digest("hex")}`;
  return Object.fromEntries([...files].map(([path, contents]) => [`/${path}`, { size: contents.length, checksum: checksum(contents) }]));
}

function readFolder(folder: string): Files {
  return new Map(readdirSync(folder).map((file) => [file, new Uint8Array(readFileSync(join(folder, file)))]));
}

async function readBody(request: IncomingMessage): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of request) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}
