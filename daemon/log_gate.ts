/** Lets log records of one kind through in bursts and counts the others: what a stranger causes must not fill a disk. */
export class LogGate {
  readonly #burst: number;
  readonly #intervalMs: number;
  readonly #nowMs: () => number;
  #allowance: number;
  #countedAtMs: number;
  #omitted = 0;

  /** Lets `burst` records through at once, and one more for every interval that has passed. */
  constructor(burst: number, intervalMs: number, nowMs: () => number = () => performance.now()) {
    this.#burst = burst;
    this.#intervalMs = intervalMs;
    this.#nowMs = nowMs;
    this.#allowance = burst;
    this.#countedAtMs = nowMs();
  }

  /** How many records were omitted since the last one, when this one may be written; undefined when it may not. */
  pass(): number | undefined {
    const nowMs = this.#nowMs();
    const regained = (nowMs - this.#countedAtMs) / this.#intervalMs;
    this.#allowance = Math.min(this.#burst, this.#allowance + regained);
    this.#countedAtMs = nowMs;
    if (this.#allowance < 1) {
      this.#omitted++;
      return undefined;
    }
    this.#allowance--;
    const omitted = this.#omitted;
    this.#omitted = 0;
    return omitted;
  }
}
