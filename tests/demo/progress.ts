/**
 * Shows how the demonstration goes: a bar below a list of what happened on a terminal, the list alone elsewhere.
 *
 * @module
 */
import { MultiBar, Presets, type SingleBar } from "cli-progress";
import process from "node:process";

/** What is shown beside the number of delivered messages. */
export interface Level {
  /** Stored and not yet delivered. */
  readonly waiting: number;
  readonly link: string;
}

/** See above. */
export class Progress {
  readonly #startMs = performance.now();
  readonly #bars: MultiBar | undefined;
  readonly #bar: SingleBar | undefined;

  constructor(total: number) {
    if (!process.stdout.isTTY) return;
    const format = "delivered {bar} {value}/{total}  in the cache {waiting}  {link}";
    this.#bars = new MultiBar({ format, stream: process.stdout, hideCursor: true }, Presets.shades_classic);
    this.#bar = this.#bars.create(total, 0, { waiting: 0, link: "" } satisfies Level);
  }

  update(delivered: number, level: Level): void {
    this.#bar?.update(delivered, level);
  }

  /** Something worth a line. */
  say(text: string): void {
    const line = `${((performance.now() - this.#startMs) / 1000).toFixed(1).padStart(5)} s  ${text}`;
    if (this.#bars === undefined) console.log(line);
    else this.#bars.log(`${line}\n`);
  }

  /** The bar stays as it is; lines follow it. */
  end(): void {
    this.#bars?.stop();
  }
}
