/** Largest value that is told apart: 60 s in microseconds. Larger ones count as it, and show in `max` only. */
const HIGHEST_US = 60_000_000;
/** Values below are counted one by one; each doubling above has half as many buckets: three digits everywhere. */
const LINEAR = 2_048;
const HALF = LINEAR / 2;
const HALF_BITS = Math.log2(HALF);

/** Samples that a quantile needs to say something: one beyond it, on average. */
const MIN_SAMPLES_OF_TAIL = 1;

/**
 * Counts durations from 1 µs to 60 s with three digits, as an HDR histogram does, in 70 KB whatever their number. Written
 * here because the npm package for it brings a WebAssembly loader and a compressor along.
 */
export class Histogram {
  readonly #counts = new Float64Array(indexOf(HIGHEST_US) + 1);
  #count = 0;
  #maxUs = 0;

  /** How many were recorded. */
  get count(): number {
    return this.#count;
  }

  /** The largest, exactly, in microseconds; 0 before the first. */
  get maxUs(): number {
    return this.#maxUs;
  }

  /** Records a duration in milliseconds, as `performance.now` gives it; negative ones count as 0. */
  record(ms: number): void {
    const us = Math.max(0, Math.round(ms * 1_000));
    const index = indexOf(Math.min(us, HIGHEST_US));
    this.#counts[index] = (this.#counts[index] ?? 0) + 1;
    this.#count++;
    if (us > this.#maxUs) this.#maxUs = us;
  }

  /**
   * The microseconds that `part` (0 to 1) of the durations do not exceed; undefined where there are too few to tell: p99
   * needs 100, p99.9 needs 1,000.
   */
  quantileUs(part: number): number | undefined {
    // Rounded: 1 - 0.999 is a little more than a thousandth.
    if (this.#count === 0 || Math.round(this.#count * (1 - part) * 1e6) / 1e6 < MIN_SAMPLES_OF_TAIL) {
      return undefined;
    }
    const rank = Math.ceil(this.#count * part);
    let seen = 0;
    for (let index = 0; index < this.#counts.length; index++) {
      seen += this.#counts[index] ?? 0;
      if (seen >= rank) return Math.min(highestOf(index), this.#maxUs);
    }
    return this.#maxUs;
  }
}

function indexOf(us: number): number {
  if (us < LINEAR) return us;
  const shift = Math.floor(Math.log2(us)) - HALF_BITS;
  return shift * HALF + (us >>> shift);
}

/** The largest value that is counted at the index. */
function highestOf(index: number): number {
  if (index < LINEAR) return index;
  const shift = Math.floor(index / HALF) - 1;
  return (index - shift * HALF + 1) * 2 ** shift - 1;
}
