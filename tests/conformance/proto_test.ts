import { test } from "node:test";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { PersistClient } from "../../mod.ts";
import { ScriptedBroker } from "../support/scripted_broker.ts";

async function one() {
  const t = [performance.now()];
  const folder = mkdtempSync(join(tmpdir(), "p-"));
  const broker = await ScriptedBroker.start();
  const client = new PersistClient({ clientId: "device", cachePath: join(folder, "c"), protocolVersion: 5, log: false, reconnect: { delayMsMin: 1, delayMsMax: 2, stableMs: 0 } });
  await client.connectAsync({ host: "127.0.0.1", port: broker.port });
  t.push(performance.now());
  const peer = await broker.accept();
  await peer.acceptSession();
  t.push(performance.now());
  await client.publish("a", "b");
  t.push(performance.now());
  const p = await peer.expect("publish");
  peer.send({ cmd: "pubrec", messageId: p.messageId!, reasonCode: 0 });
  await peer.expect("pubrel");
  peer.send({ cmd: "pubcomp", messageId: p.messageId!, reasonCode: 0 });
  await client.flush();
  t.push(performance.now());
  await broker.close();
  await client.stop();
  t.push(performance.now());
  rmSync(folder, { recursive: true });
  t.push(performance.now());
  return t.slice(1).map((x, i) => Math.round(x - t[i]!));
}
for (let i = 0; i < 6; i++) test(`${i}`, async () => { console.log(await one()); });
test(`two`, async () => { const t = performance.now(); await Promise.all([one(), one()]); console.log("two", performance.now() - t); });
test(`eight`, async () => { const t = performance.now(); await Promise.all(Array.from({length:8}, one)); console.log("eight", performance.now() - t); });
