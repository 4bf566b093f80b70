/**
 * A small npm registry on loopback for the packages that JSR offers to npm clients; all others come from the usual one.
 *
 * @module
 */
import { createHash } from "node:crypto";
import { createServer } from "node:http";
import { gzipSync } from "node:zlib";
import { listen } from "../support/sockets.ts";
import { npmNameOf, toNpmForm } from "./npm_form.ts";
import type { PublishedPackage } from "./registry.ts";
import { pack } from "./tar.ts";

interface NpmPackage {
  readonly manifest: { readonly version: string };
  readonly archive: Uint8Array;
}

/** The registry, running. */
export class NpmRegistry {
  readonly #packages = new Map<string, NpmPackage>();
  readonly #server = createServer((request, response) => {
    const answer = this.#find(decodeURIComponent(request.url!).slice(1));
    response.writeHead(answer === undefined ? 404 : 200).end(answer);
  });
  #port = 0;

  /** Starts one on a free port. */
  static async start(packages: Iterable<PublishedPackage>): Promise<NpmRegistry> {
    const registry = new NpmRegistry();
    for (const published of packages) {
      const files = await toNpmForm(published);
      const manifest = JSON.parse(new TextDecoder().decode(files.get("package.json")));
      const archive = gzipSync(pack(new Map([...files].map(([path, contents]) => [`package/${path}`, contents]))));
      registry.#packages.set(npmNameOf(published.name), { manifest, archive });
    }
    registry.#port = await listen(registry.#server);
    return registry;
  }

  /** For the `@jsr` scope. */
  get url(): string {
    return `http://127.0.0.1:${this.#port}/`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** What stands at a path: a package's metadata by its name, its archive by that name and `.tgz`. */
  #find(path: string): string | Uint8Array | undefined {
    const name = path.replace(/\.tgz$/, "");
    const found = this.#packages.get(name);
    if (found === undefined || path !== name) return found?.archive;
    const { manifest, archive } = found;
    const dist = { tarball: `${this.url}${name}.tgz`, integrity: `sha512-${createHash("sha512").update(archive).digest("base64")}` };
    return JSON.stringify({ name, "dist-tags": { latest: manifest.version }, versions: { [manifest.version]: { ...manifest, dist } } });
  }
}
