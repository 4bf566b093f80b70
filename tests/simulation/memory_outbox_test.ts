import { testOutbox } from "../contracts/outbox.ts";
import { MemoryOutbox, ModelDisk } from "./memory_outbox.ts";

testOutbox("MemoryOutbox", () => {
  const disk = new ModelDisk();
  return { outbox: new MemoryOutbox(disk), restart: () => new MemoryOutbox(disk), dispose: () => {} };
});
