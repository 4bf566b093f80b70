/**
 * The embedded broker: aedes, in a process of its own, so that it can be ended like any broker. It speaks MQTT 3.1.1 and keeps what it
 * knows in memory.
 *
 * @module
 */
import { createServer } from "node:net";
import process from "node:process";
import { argument, Child, type Said, say, told } from "./child.ts";
import { listen } from "./sockets.ts";

/** How to start it. */
export interface AedesOptions {
  readonly port?: number;
  /**
   * aedes says that a session is present only if it holds a subscription, so a client that only publishes is told each time that its session
   * is gone. With this, the broker subscribes each such client to a topic that nobody uses.
   */
  readonly keepsSessions?: boolean;
}

interface Listening extends Said {
  readonly type: "listening";
  readonly port: number;
}

/** A running one. */
export class AedesBroker {
  readonly port: number;
  readonly #child: Child<Listening>;

  private constructor(child: Child<Listening>, port: number) {
    this.#child = child;
    this.port = port;
  }

  /** Resolves when it listens. */
  static async start(options: AedesOptions = {}): Promise<AedesBroker> {
    const child = new Child<Listening>(new URL(import.meta.url), options);
    const { port } = await child.next("listening");
    return new AedesBroker(child, port);
  }

  get pid(): number {
    return this.#child.pid;
  }

  /** Lets it end of itself. */
  stop(): Promise<void> {
    return this.#child.stop();
  }

  /** SIGKILL. */
  async kill(): Promise<void> {
    this.#child.kill();
    await this.#child.exited;
  }
}

async function main({ port = 0, keepsSessions = false }: AedesOptions): Promise<void> {
  const { Aedes } = await import("aedes");
  const broker = await Aedes.createBroker();
  broker.on("clientReady", (client) => {
    const isSession = (client as unknown as { clean: boolean }).clean === false;
    if (keepsSessions && isSession) client.subscribe({ topic: `session/${client.id}`, qos: 1 }, () => {});
  });
  const server = createServer(broker.handle);
  say({ type: "listening", port: await listen(server, port) } as Listening);
  for await (const _ of told()) { /* It is told nothing but its end. */ }
  process.exit(0);
}

if (import.meta.main) await main(argument());
