import type { RateLimit } from "./limits.ts";

/** A rate limit over time that the caller tells: no clock of its own. */
export class TokenBucket {
  readonly #limit: RateLimit;
  #tokens: number;
  #refilledAtMs: number | undefined;

  /** Starts full. */
  constructor(limit: RateLimit) {
    this.#limit = limit;
    this.#tokens = limit.burst;
  }

  /** Takes `count` tokens at `nowMs` (monotonic milliseconds); false, and none taken, when fewer are left. */
  take(nowMs: number, count = 1): boolean {
    if (this.#tokens < count) {
      const elapsedMs = nowMs - (this.#refilledAtMs ?? nowMs);
      this.#tokens = Math.min(this.#limit.burst, this.#tokens + (elapsedMs / 1000) * this.#limit.perSecond);
      this.#refilledAtMs = nowMs;
      if (this.#tokens < count) return false;
    }
    this.#refilledAtMs ??= nowMs;
    this.#tokens -= count;
    return true;
  }

  /** Gives tokens back; what would go over the burst is lost. */
  give(count: number): void {
    this.#tokens = Math.min(this.#limit.burst, this.#tokens + count);
  }
}
