import { FIRST_BACKOFF_MS, MAX_BACKOFF_MS } from "./limits.ts";

/** Milliseconds to wait after so many failures in a row: twice as long each time, of which half is left to chance. */
export function backoffMs(failures: number, random: () => number): number {
  const longest = Math.min(MAX_BACKOFF_MS, FIRST_BACKOFF_MS * 2 ** Math.min(failures - 1, 16));
  return longest * (0.5 + random() / 2);
}
