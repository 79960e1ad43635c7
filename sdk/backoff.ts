/** How long to wait between attempts to connect: `initialMs`, then `factor` times longer each, up to `maxMs`. */
export interface Backoff {
  /** Milliseconds before the second attempt; default 100. */
  readonly initialMs: number;
  /** Longest wait in milliseconds; default 5,000. */
  readonly maxMs: number;
  /** How much longer each wait is than the one before; default 2. */
  readonly factor: number;
  /** The part of a wait that is left to chance, 0 to 1, so that clients do not come back all at once; default 0.2. */
  readonly jitter: number;
}

/** The backoff where the options say nothing. */
export const DEFAULT_BACKOFF: Backoff = { initialMs: 100, maxMs: 5_000, factor: 2, jitter: 0.2 };

/** Milliseconds to wait after `failures` attempts in a row that failed, at least 1. `random` gives 0 to 1. */
export function backoffMs(backoff: Backoff, failures: number, random: () => number): number {
  const full = Math.min(backoff.maxMs, backoff.initialMs * backoff.factor ** (failures - 1));
  return full * (1 - backoff.jitter * random());
}

/** Throws RangeError for a backoff that would not wait, or never stop waiting. */
export function checkBackoff(backoff: Backoff): Backoff {
  const { initialMs, maxMs, factor, jitter } = backoff;
  const sane = initialMs > 0 && maxMs >= initialMs && Number.isFinite(maxMs) && factor >= 1 &&
    Number.isFinite(factor) && jitter >= 0 && jitter <= 1;
  if (sane) return backoff;
  throw new RangeError(
    `Cannot use backoff ${
      JSON.stringify(backoff)
    }: give 0 < initialMs <= maxMs, factor >= 1 and 0 <= jitter <= 1`,
  );
}
