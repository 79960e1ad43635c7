import type { Output } from "../io.ts";

/** Milliseconds between two pictures of the bar. */
const INTERVAL_MS = 100;
const CELLS = 30;
const NAME_COLUMNS = 30;

/** A bar on a terminal; nothing elsewhere. */
export class Progress {
  readonly #output: Output;
  readonly #now: () => number;
  #shownAtMs = -Infinity;
  #visible = false;

  /** On this output; `now` gives milliseconds. */
  constructor(output: Output, now: () => number) {
    this.#output = output;
    this.#now = now;
  }

  /** Shows how far the work is, 0 to 1. Made to be called for every message. */
  show(what: string, part: number): void {
    if (!this.#output.isTerminal) return;
    const nowMs = this.#now();
    if (nowMs - this.#shownAtMs < INTERVAL_MS) return;
    this.#shownAtMs = nowMs;
    this.#visible = true;
    const full = Math.round(Math.min(1, part) * CELLS);
    const bar = "#".repeat(full) + ".".repeat(CELLS - full);
    this.#write(
      `\r${what.padEnd(NAME_COLUMNS)} [${bar}] ${String(Math.floor(Math.min(1, part) * 100)).padStart(3)} %`,
    );
  }

  /** Takes the bar away. */
  clear(): void {
    if (this.#visible) this.#write("\r\x1b[K");
    this.#visible = false;
  }

  #write(text: string): void {
    // Standard error may be closed: the figures still matter.
    this.#output.write(text).catch(() => {});
  }
}
