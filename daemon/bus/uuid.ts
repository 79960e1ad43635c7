const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

/**
 * Bits of the counter within one millisecond: the 12 of rand_a and the upper 6 of rand_b (RFC 9562 §6.2, method 1).
 * At least half of its 262,144 values follow its random start, far more than are ever published in a millisecond.
 */
const COUNTER_LOW_BITS = 6;
const COUNTER_END = 2 ** (12 + COUNTER_LOW_BITS);

/** Random bytes of one id: 3 to start the counter anew, 7 for the end of the id. */
const BYTES_PER_ID = 10;
const POOL_BYTES = 409 * BYTES_PER_ID;

/** Makes UUIDv7 (RFC 9562 §5.7) that are strictly increasing as texts, even when the clock stands still or goes back. */
export class UuidGenerator {
  readonly #random: (into: Uint8Array<ArrayBuffer>) => void;
  readonly #pool = new Uint8Array(POOL_BYTES);
  #poolAt = POOL_BYTES;
  #time = -1;
  #timeText = "";
  #counter = 0;

  /** `random` fills an array with random bytes; it is asked for some hundred ids at a time. */
  constructor(random: (into: Uint8Array<ArrayBuffer>) => void) {
    this.#random = random;
  }

  /** `now` in whole milliseconds since the Unix epoch; it is the id's time unless an earlier id had a later one. */
  next(now: number): string {
    if (this.#poolAt === POOL_BYTES) {
      this.#random(this.#pool);
      this.#poolAt = 0;
    }
    const pool = this.#pool;
    const at = this.#poolAt;
    this.#poolAt += BYTES_PER_ID;
    if (now > this.#time) this.#startAt(now, at);
    else if (++this.#counter === COUNTER_END) this.#startAt(this.#time + 1, at);
    const high = this.#counter >>> COUNTER_LOW_BITS;
    const low = this.#counter & 0x3f;
    return this.#timeText + HEX[0x70 | (high >>> 8)] + HEX[high & 0xff] + "-" + HEX[0x80 | low] +
      HEX[pool[at + 3] ?? 0] + "-" + HEX[pool[at + 4] ?? 0] + HEX[pool[at + 5] ?? 0] +
      HEX[pool[at + 6] ?? 0] + HEX[pool[at + 7] ?? 0] + HEX[pool[at + 8] ?? 0] + HEX[pool[at + 9] ?? 0];
  }

  #startAt(time: number, poolAt: number): void {
    this.#time = time;
    const text = time.toString(16).padStart(12, "0");
    this.#timeText = `${text.slice(0, 8)}-${text.slice(8)}-`;
    // The upper half of its range stays free, so that it can count on within this millisecond.
    const pool = this.#pool;
    const random = (pool[poolAt] ?? 0) << 16 | (pool[poolAt + 1] ?? 0) << 8 | (pool[poolAt + 2] ?? 0);
    this.#counter = random & (COUNTER_END / 2 - 1);
  }
}
