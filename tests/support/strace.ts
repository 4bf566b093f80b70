/**
 * System calls of a process, seen or spoilt from outside by strace: the product runs as it is shipped.
 *
 * @module
 */
import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { existsSync, readFileSync } from "node:fs";
import process from "node:process";
import { within } from "./deadline.ts";

/**
 * What a node:test wants as its `skip`: false, or why. With `CI=true` it must work, so that it does not is an error. `attaches`: it is to attach to
 * processes that run already.
 */
export function straceMissing({ attaches = false }: { readonly attaches?: boolean } = {}): false | string {
  const why = whyMissing(attaches);
  if (why !== false && process.env.CI === "true") throw new Error(`Cannot test with strace: ${why}, and CI is to test all`);
  return why;
}

function whyMissing(attaches: boolean): false | string {
  const { error, status } = spawnSync("strace", ["-f", "-qq", "-o", "/dev/null", "true"]);
  if (error !== undefined) return "strace is not installed";
  if (status !== 0) return "strace is not allowed to trace here";
  return attaches && !mayAttach() ? "strace is not allowed to attach to running processes here" : false;
}

const CAP_SYS_PTRACE = 19n;

/** Some systems let only those with the capability do so. */
function mayAttach(): boolean {
  const setting = "/proc/sys/kernel/yama/ptrace_scope";
  if (!existsSync(setting) || readFileSync(setting, "utf8").trim() === "0") return true;
  const [, capabilities = "0"] = /^CapEff:\s*([0-9a-f]+)$/m.exec(readFileSync("/proc/self/status", "utf8")) ?? [];
  return (BigInt(`0x${capabilities}`) >> CAP_SYS_PTRACE & 1n) === 1n;
}

/** Every call that changes what lies on a disk, or that carries bytes over a socket. */
const RECORDED = [
  ..."open openat openat2 creat write pwrite64 writev pwritev pwritev2 ftruncate truncate fallocate copy_file_range sendfile".split(" "),
  ..."fsync fdatasync syncfs sync_file_range unlink unlinkat rename renameat renameat2 mkdir mkdirat rmdir link linkat symlink symlinkat"
    .split(" "),
  ..."sendto sendmsg sendmmsg recvfrom recvmsg recvmmsg".split(" "),
];

/** As strace wants it. Not every machine has every call: what it does not know it is to pass over. */
function setOf(calls: readonly string[]): string {
  return calls.map((call) => `?${call}`).join(",");
}

/** Longer than whatever is written at once. */
const BYTES_SHOWN_MAX = 1 << 20;

/** Words in front of a command, which then writes down its calls, of all its threads, in the order in which they came. */
export function recordingTo(path: string): readonly string[] {
  const format = ["-f", "-qq", "-y", "-xx", "-s", String(BYTES_SHOWN_MAX), "--seccomp-bpf"];
  return ["strace", ...format, "-e", `trace=${setOf(RECORDED)}`, "-o", path];
}

/**
 * SIGKILL for a process that was started with words of this module in front of its command: killing strace, which has the pid, would leave the
 * process itself alive. Strace ends with it.
 */
export function killTraced(stracePid: number): void {
  try {
    const children = readFileSync(`/proc/${stracePid}/task/${stracePid}/children`, "utf8");
    for (const pid of children.trim().split(" ")) if (pid !== "") process.kill(Number(pid), "SIGKILL");
  } catch {
    // It has ended.
  }
}

/** Calls that are spoilt. */
export interface Spoilt {
  readonly calls: readonly string[];
  /** In strace's words: `error=EIO`, `signal=KILL`. */
  readonly effect: string;
  /** Which of them, by number: `3` is the third alone, `3+` the third and all that follow. */
  readonly when: string;
  /** Only calls that concern these files or folders count. */
  readonly paths: readonly string[];
  /** Where the calls are written down. */
  readonly logPath: string;
}

function words({ calls, effect, when, paths, logPath }: Spoilt): string[] {
  const only = paths.flatMap((path) => ["-P", path]);
  return ["-f", "-qq", "-o", logPath, ...only, "-e", `trace=${setOf(calls)}`, "-e", `inject=${setOf(calls)}:${effect}:when=${when}`];
}

/** Words in front of a command, whose calls are then spoilt from its start. */
export function spoiling(spoilt: Spoilt): readonly string[] {
  return ["strace", ...words(spoilt)];
}

/** How many calls were spoilt so far. */
export function spoiltCount(logPath: string): number {
  return readFileSync(logPath, "utf8").split("(INJECTED)").length - 1;
}

/** Spoils calls of a process that runs already, and later lets it alone again. */
export class Spoiler {
  readonly #strace: ChildProcess;
  readonly #ended: Promise<void>;

  private constructor(strace: ChildProcess, ended: Promise<void>) {
    this.#strace = strace;
    this.#ended = ended;
  }

  /** Resolves when calls are spoilt. */
  static async attach(pid: number, spoilt: Spoilt): Promise<Spoiler> {
    // It says what it attached to on its standard error, which -qq would keep from it.
    const strace = spawn("strace", [...words(spoilt).filter((word) => word !== "-qq"), "-p", String(pid)], {
      stdio: ["ignore", "ignore", "pipe"],
    });
    const ended = new Promise<void>((resolve) => strace.once("exit", () => resolve()));
    const attached = new Promise<void>((resolve, reject) => {
      let said = "";
      strace.stderr!.on("data", (chunk: Uint8Array) => {
        said += new TextDecoder().decode(chunk);
        if (said.includes("attached")) resolve();
      });
      strace.once("error", reject);
      strace.once("exit", () => reject(new Error(`Cannot attach strace to process ${pid}. It wrote: ${said}`)));
    });
    await within(attached, `strace to attach to process ${pid}`);
    return new Spoiler(strace, ended);
  }

  /** Resolves when the process goes on alone. */
  async detach(): Promise<void> {
    if (this.#strace.exitCode === null && this.#strace.signalCode === null) this.#strace.kill("SIGINT");
    await within(this.#ended, "strace to let the process alone");
  }
}
