// Bun ends a test after 5 seconds unless told otherwise; Deno never does. Tests wait on events, so this is a safety net only. It holds for the
// first file of a run: whoever runs several says `--timeout` too, as `deno task test` does.
import { setDefaultTimeout } from "bun:test";

setDefaultTimeout(120_000);
