/**
 * The package as its users meet it, outside the repository: imported from JSR by Deno, compiled by Deno, installed and compiled by Bun. What they
 * get is what `deno publish` uploads, from registries on loopback.
 *
 * @module
 */
import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdirSync, readdirSync, readFileSync, realpathSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { after, before, describe, test } from "node:test";
import { ROOT } from "../tasks/steps.ts";
import { npmNameOf } from "./npm_form.ts";
import { NpmRegistry } from "./npm_registry.ts";
import { makeTemporaryFolder, removeTemporaryFolders, run } from "./processes.ts";
import { makeDenoEnvironment, publishRepository } from "./publish.ts";
import { type PublishedPackage, Registry } from "./registry.ts";
import { assertDelivers, deviceProgram } from "./witness.ts";

const PACKAGE = "@persistmq/persistmq";

/** What the README names as the least that Deno must allow, for the cache `./cache` and a broker on this port. */
function leastPermissions(port: number): readonly string[] {
  const [, flags] = /^deno run (--allow-read=\.\/cache .*) app\.ts$/m.exec(readFileSync(join(ROOT, "README.md"), "utf8"))!;
  return [...flags!.replace("broker:1883", `127.0.0.1:${port}`).split(" "), "--no-prompt"];
}

/** Deno itself, and where it gets the part that `deno compile` puts a program into. */
const [denoPath, denortUrl] = execFileSync("deno", [
  "eval",
  "console.log(`${Deno.execPath()} https://dl.deno.land/release/v${Deno.version.deno}/denort-${Deno.build.target}.zip`)",
], { encoding: "utf8" }).trim().split(" ") as [string, string];
const isDenortThere = await fetch(denortUrl, { method: "HEAD", signal: AbortSignal.timeout(5_000) }).then(({ ok }) => ok, () => false);

describe("The published package", () => {
  let registry: Registry;
  let npmRegistry: NpmRegistry;
  let published: PublishedPackage;
  let deno: Record<string, string>;

  before(async () => {
    registry = await Registry.start();
    deno = makeDenoEnvironment(registry);
    published = await publishRepository(registry, deno);
    npmRegistry = await NpmRegistry.start(registry.packages.values());
  });
  after(() => {
    registry?.close();
    npmRegistry?.close();
    removeTemporaryFolders();
  });

  /** A folder with the program in it. */
  function makeApp(program: string): string {
    const folder = makeTemporaryFolder();
    writeFileSync(join(folder, "device.ts"), program);
    return realpathSync(folder);
  }

  /** The same with the package installed as `bunx jsr add` would. */
  async function makeBunApp(program: string): Promise<string> {
    const folder = makeApp(program);
    writeFileSync(join(folder, ".npmrc"), `@jsr:registry=${npmRegistry.url}\n`);
    writeFileSync(join(folder, "package.json"), `{ "type": "module" }\n`);
    const ownCache = { BUN_INSTALL_CACHE_DIR: makeTemporaryFolder() };
    const { code, output } = await run(["bun", "add", `${PACKAGE}@npm:${npmNameOf(PACKAGE)}`], folder, ownCache);
    assert.equal(code, 0, output);
    return folder;
  }

  test("holds the library and its papers, and nothing of tests or demonstration", () => {
    const library = readdirSync(join(ROOT, "lib"), { recursive: true, encoding: "utf8" }).filter((path) => path.endsWith(".ts"));
    assert.deepEqual(
      [...published.files.keys()].sort(),
      ["CHANGELOG.md", "LICENSE", "README.md", "deno.json", "mod.ts", ...library.map((path) => `lib/${path}`)].sort(),
    );
  });

  /** The program, which fails unless its client has as many warnings as `isRight` says. */
  function withWarnings(isRight: string): string {
    return `${deviceProgram(`jsr:${PACKAGE}@^0.1.0`)}
const { cache } = client.getStatus();
if (cache.state !== "open" || !(cache.warnings.length ${isRight})) throw new Error(JSON.stringify(cache));
`;
  }

  test("is imported from JSR by a Deno program that has only the documented permissions", async () => {
    const app = makeApp(withWarnings("=== 0"));
    mkdirSync(join(app, "cache"), { mode: 0o700 });
    await assertDelivers((port) => run(["deno", "run", ...leastPermissions(port), "device.ts", String(port), "./cache"], app, deno));
  });

  test("works without the optional permission too, and says which check is off", async () => {
    const app = makeApp(withWarnings("> 0"));
    mkdirSync(join(app, "cache"), { mode: 0o700 });
    await assertDelivers((port) => {
      const permissions = leastPermissions(port).filter((flag) => !flag.startsWith("--allow-sys"));
      return run(["deno", "run", ...permissions, "device.ts", String(port), "./cache"], app, deno);
    });
  });

  test("is compiled into one file by Deno, the worker with it, without a flag", async (t) => {
    const app = makeApp(deviceProgram(`jsr:${PACKAGE}@^0.1.0`));
    // Where the part that Deno downloads for compiling is out of reach, Deno itself takes its place: what is embedded can be seen, not run.
    const env = isDenortThere ? deno : { ...deno, DENORT_BIN: denoPath };
    const { code, output } = await run(["deno", "compile", "--allow-all", "--output", "device", "device.ts"], app, env);
    assert.equal(code, 0, output);
    // The listing sums up modules from JSR as one number; their sources stand in the file as they are.
    const binary = readFileSync(join(app, "device"));
    for (
      const path of ["mod.ts", "lib/worker.ts", "lib/adapters/deno.ts", "lib/adapters/mqtt_transport.ts", "lib/store/sqlite_outbox.ts"]
    ) {
      assert.ok(binary.includes(published.files.get(path)!), `${path} is embedded`);
    }
    assert.ok(!binary.includes(published.files.get("LICENSE")!), "a file that no module imports is not embedded");
    if (isDenortThere) await assertDelivers((port) => run([join(app, "device"), String(port), join(app, "cache")], app));
    else t.diagnostic("Not run: what deno compile downloads is out of reach");
  });

  test("runs as a Bun script in a folder that has nothing but the installed package", async () => {
    const app = await makeBunApp(deviceProgram(PACKAGE));
    await assertDelivers((port) => run(["bun", "device.ts", String(port), join(app, "cache")], app));
  });

  test("is compiled into one file by Bun, with the worker as a further entry", async () => {
    const app = await makeBunApp(deviceProgram(PACKAGE, `worker: new URL("./worker.ts", import.meta.url)`));
    writeFileSync(join(app, "worker.ts"), `import "${PACKAGE}/worker";\n`);
    const { code, output } = await run(["bun", "build", "--compile", "device.ts", "worker.ts", "--outfile", "device"], app);
    assert.equal(code, 0, output);
    // Run elsewhere: neither node_modules nor the sources are beside it.
    const elsewhere = makeTemporaryFolder();
    await assertDelivers((port) => run([join(app, "device"), String(port), join(elsewhere, "cache")], elsewhere));
  });
});
