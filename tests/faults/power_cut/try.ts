import { runControl, runRound } from "./rounds.ts";
let t = performance.now();
const lap = (what: string) => { console.log(what, Math.round(performance.now() - t)); t = performance.now(); };
const show = (v: any) => { console.log(JSON.stringify({...v, bad: v.bad.length, starts: v.starts.length})); const rules: any = {}; for (const b of v.bad) for (const {rule} of b.breaches.slice(0,1)) rules[rule] = (rules[rule] ?? 0) + 1; console.log(rules); for (const { cut, breaches } of v.bad.slice(0, 2)) console.log(JSON.stringify([cut, breaches.slice(0, 2)]).slice(0,300)); };
const seed = Number((globalThis as any).process?.argv[2] ?? 1);
const r = await runRound({ seed, stateCount: 2000, secondStateCount: 1000, protocolVersion: seed % 2 ? 5 : 4 });
lap("round");
show(r.first); show(r.second); show(r.hastyPublish); show(r.hastyRelease); console.log(r.startCount, r.repeatCount);
show(await runControl(seed, 300)); lap("control");
