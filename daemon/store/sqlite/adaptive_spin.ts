/** The part that a new wait has in what is usual. */
const NEW_PART = 1 / 8;

/** So many times the longest wait awake counts one that was longer: a dozen short ones make up for it. */
const LONGEST_COUNTED = 8;

/**
 * Whether a thread waits awake, and how long: as long as waits are usually short. One that is longer for once, because
 * somebody had the other thread's processor, is no reason to fall asleep: being woken takes longer than most of them. Where
 * they have become long, waits sleep at once, and cost nothing, until they are short again.
 */
export class AdaptiveSpin {
  readonly #shortMs: number;
  readonly #mostMs: number;
  #usualMs = 0;

  /** Waits of less than `shortMs` are short; `mostMs` are waited awake at most. With 0 and 0 it never waits awake. */
  constructor(shortMs: number, mostMs: number) {
    this.#shortMs = shortMs;
    this.#mostMs = mostMs;
  }

  /** Milliseconds to wait awake before falling asleep. */
  get ms(): number {
    return this.#usualMs < this.#shortMs ? this.#mostMs : 0;
  }

  /** To be told how long each wait took in all, awake and asleep. */
  waited(ms: number): void {
    this.#usualMs += (Math.min(ms, LONGEST_COUNTED * this.#mostMs) - this.#usualMs) * NEW_PART;
  }
}
