import { openNodeDatabase } from "../../lib/adapters/node_sqlite.ts";
import { testSqlite } from "../contracts/sqlite.ts";
import { openTestRuntime } from "../store/fixtures.ts";

const runtime = await openTestRuntime();

testSqlite(`SQLite of ${runtime.name}`, runtime.openDatabase);
// Bun has it too: one adapter more to hold the contract against.
if (runtime.name === "bun") testSqlite("node:sqlite on bun", openNodeDatabase);
