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

  /** Takes one token at `nowMs` (monotonic milliseconds); false when none is left. */
  take(nowMs: number): boolean {
    if (this.#tokens < 1) {
      const elapsedMs = nowMs - (this.#refilledAtMs ?? nowMs);
      this.#tokens = Math.min(this.#limit.burst, this.#tokens + (elapsedMs / 1000) * this.#limit.perSecond);
      this.#refilledAtMs = nowMs;
      if (this.#tokens < 1) return false;
    }
    this.#refilledAtMs ??= nowMs;
    this.#tokens -= 1;
    return true;
  }
}
