/**
 * Kills a publishing process at a moment when messages of it are in flight for certain.
 *
 * @module
 */
import type { Child, Said } from "./child.ts";
import type { WireWatch } from "./wire_watch.ts";

/** The packets of an exchange at QoS 2 that leave it open. */
export type OpeningPacket = "publish" | "pubrec" | "pubrel";

/** SIGKILL at the n-th such packet from now on. Resolves, when the process has ended, with how many exchanges were open. */
export async function killInFlight<S extends Said>(child: Child<S>, watch: WireWatch, packet: OpeningPacket, nth: number): Promise<number> {
  let isKilled = false;
  const struck = watch.strike(packet, nth, () => {
    isKilled = true;
    child.kill();
  });
  const ended = child.exited.then(({ code }) => {
    if (!isKilled) throw new Error(`Cannot kill the process in flight: it ended before, with exit code ${code}. It wrote: ${child.stderr}`);
  });
  const [openCount] = await Promise.all([struck, ended]);
  return openCount;
}
