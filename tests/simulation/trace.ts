import type { Scheduler } from "./scheduler.ts";

/** Events that are kept to be shown. */
const SHOWN_EVENTS = 50;

/** What happened, in a line each: the last ones as they are, all of them as a hash. */
export class Trace {
  readonly #scheduler: Scheduler;
  readonly #print: ((line: string) => void) | undefined;
  #last: string[] = [];
  #high = 0xdeadbeef;
  #low = 0x41c6ce57;
  /** Lines so far. */
  count = 0;

  constructor(scheduler: Scheduler, print?: (line: string) => void) {
    this.#scheduler = scheduler;
    this.#print = print;
  }

  add(what: string): void {
    const line = `${this.#scheduler.now.toFixed(3).padStart(10)} ${what}`;
    this.#print?.(line);
    this.count++;
    for (let at = 0; at < line.length; at++) {
      const code = line.charCodeAt(at);
      this.#high = Math.imul(this.#high ^ code, 2_654_435_761);
      this.#low = Math.imul(this.#low ^ code, 1_597_334_677);
      this.#high ^= this.#low >>> 13;
    }
    this.#last.push(line);
    if (this.#last.length >= 2 * SHOWN_EVENTS) this.#last = this.#last.slice(-SHOWN_EVENTS);
  }

  get last(): readonly string[] {
    return this.#last.slice(-SHOWN_EVENTS);
  }

  /** The same for the same lines. */
  get hash(): string {
    return [this.#high, this.#low].map((part) => (part >>> 0).toString(16).padStart(8, "0")).join("");
  }
}
