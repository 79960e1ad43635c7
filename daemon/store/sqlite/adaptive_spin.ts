/**
 * Whether a thread waits awake: as long as its waits are short. One that was longer than the limit is taken for the
 * pace of what it waits for, so that the next one sleeps at once, and costs nothing, until a wait was short again.
 */
export class AdaptiveSpin {
  readonly #limitMs: number;
  #short = true;

  /** With a limit of 0 it never waits awake. */
  constructor(limitMs: number) {
    this.#limitMs = limitMs;
  }

  /** Milliseconds to wait awake before falling asleep. */
  get ms(): number {
    return this.#short ? this.#limitMs : 0;
  }

  /** To be told how long each wait took in all, awake and asleep. */
  waited(ms: number): void {
    this.#short = ms < this.#limitMs;
  }
}
