/**
 * The real worker, which dies when it is told to: after so many commands, in the way that the test asks for.
 *
 * @module
 */
import "../../lib/worker.ts";
import type { WorkerCommand } from "../../lib/protocol.ts";

/** How a worker may die. `before`, `after`: the command was, or was not, carried out when it happened. */
export type Death = "throws before" | "throws after" | "throws later" | "rejects" | "hangs up";

/** Sent first of all, by the test. */
export interface Fault {
  readonly type: "fault";
  readonly afterCount: number;
  readonly death: Death;
}

const scope = globalThis as unknown as { onmessage: (event: { readonly data: WorkerCommand | Fault }) => void; close?(): void };
const serve = scope.onmessage;
let fault: Fault | undefined;
let count = 0;

scope.onmessage = (event) => {
  const { data } = event;
  if (data.type === "fault") {
    fault = data;
    return;
  }
  count++;
  if (fault === undefined || count !== fault.afterCount) return serve(event);
  if (fault.death !== "throws before") serve(event);
  switch (fault.death) {
    case "throws before":
    case "throws after":
      throw new Error(`it ${fault.death} command ${count}`);
    case "throws later":
      setTimeout(() => {
        throw new Error(`it throws after command ${count}`);
      }, 1);
      return;
    case "rejects":
      Promise.reject(new Error(`it rejects after command ${count}`));
      return;
    case "hangs up":
      process.exit(3);
  }
};
