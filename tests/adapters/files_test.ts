import * as path from "node:path";
import { createNodeFiles } from "../../lib/adapters/node_files.ts";
import { testFiles } from "../contracts/files.ts";
import { openTestRuntime } from "../store/fixtures.ts";

const runtime = await openTestRuntime();

testFiles(`Files of ${runtime.name}`, runtime.files);
if (runtime.name === "deno") testFiles("node:fs on deno", createNodeFiles(path));
