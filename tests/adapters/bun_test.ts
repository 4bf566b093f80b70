import { openRuntime } from "../../lib/adapters/bun.ts";
import { testRuntime } from "../contracts/runtime.ts";

testRuntime("bun", openRuntime);
