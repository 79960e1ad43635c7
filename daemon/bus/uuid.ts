const HEX: readonly string[] = Array.from({ length: 256 }, (_, byte) => byte.toString(16).padStart(2, "0"));

const CANONICAL = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

/** The last 12 digits of a UUID as a number: what counts on. */
const LOW_END = 2 ** 48;

/** Random bytes of one millisecond: 2 for the 12 bits of rand_a, 8 for the 62 of rand_b. */
const BYTES_PER_TIME = 10;
const POOL_BYTES = 409 * BYTES_PER_TIME;

/** A UUID as a value. Its text is made when it is asked for: that costs more than all the rest. */
export class Uuid {
  /** The first 24 characters of the text, up to the last dash. */
  readonly #start: string;
  readonly #low: number;

  /** `start`: the first 24 characters; `low`: the other 12 digits as a number. */
  constructor(start: string, low: number) {
    this.#start = start;
    this.#low = low;
  }

  /** Reads a canonical text; undefined for any other. */
  static parse(text: string): Uuid | undefined {
    if (!CANONICAL.test(text)) return undefined;
    return new Uuid(text.slice(0, 24), parseInt(text.slice(24), 16));
  }

  /** The canonical text: lower case, with dashes. */
  get text(): string {
    const high = Math.floor(this.#low / 0x100_0000);
    const low = this.#low % 0x100_0000;
    return this.#start + HEX[high >>> 16] + HEX[high >>> 8 & 0xff] + HEX[high & 0xff] +
      HEX[low >>> 16] + HEX[low >>> 8 & 0xff] + HEX[low & 0xff];
  }

  /** The UUID that is greater by `count` as a number of 128 bits; `count` from 0 to below 2^48. */
  plus(count: number): Uuid {
    const low = this.#low + count;
    if (low < LOW_END) return new Uuid(this.#start, low);
    // The digits between the last two dashes are the variant and a part of rand_b that has room to count on.
    const middle = (parseInt(this.#start.slice(19, 23), 16) + 1).toString(16).padStart(4, "0");
    return new Uuid(`${this.#start.slice(0, 19)}${middle}-`, low - LOW_END);
  }
}

/**
 * Makes UUIDv7 (RFC 9562 §5.7) that are strictly increasing as texts, even when the clock stands still or goes back:
 * random in each new millisecond, and within it the one before plus one (§6.2, method 2). So ids that are made
 * together follow one another, and a store need not keep each of them.
 */
export class UuidGenerator {
  readonly #random: (into: Uint8Array<ArrayBuffer>) => void;
  readonly #pool = new Uint8Array(POOL_BYTES);
  #poolAt = POOL_BYTES;
  #time = -1;
  /** The one to be handed out next, unless the clock has gone on. */
  #next = new Uuid("", 0);

  /** `random` fills an array with random bytes; it is asked for some hundred milliseconds at a time. */
  constructor(random: (into: Uint8Array<ArrayBuffer>) => void) {
    this.#random = random;
  }

  /** `now` in whole milliseconds since the Unix epoch; it is the id's time unless an earlier id had a later one. */
  next(now: number): string {
    return this.take(now, 1).text;
  }

  /**
   * The first of `count` ids (at least 1), of which each is the one before plus one: the others are its
   * {@link Uuid.plus}. None of them is handed out again. `now` as in {@link next}.
   */
  take(now: number, count: number): Uuid {
    const first = now > this.#time ? this.#startAt(now) : this.#next;
    this.#next = first.plus(count);
    return first;
  }

  #startAt(time: number): Uuid {
    if (this.#poolAt === POOL_BYTES) {
      this.#random(this.#pool);
      this.#poolAt = 0;
    }
    const random = new DataView(this.#pool.buffer, this.#poolAt, BYTES_PER_TIME);
    this.#poolAt += BYTES_PER_TIME;
    this.#time = time;
    const text = time.toString(16).padStart(12, "0");
    const version = (0x7000 | random.getUint16(0) & 0xfff).toString(16);
    // The top bit of rand_b is clear, so that 2^61 more can follow: no millisecond comes to an end of them.
    const variant = (0x8000 | random.getUint16(2) & 0x1fff).toString(16);
    const start = `${text.slice(0, 8)}-${text.slice(8)}-${version}-${variant}-`;
    return new Uuid(start, random.getUint16(4) * 2 ** 32 + random.getUint32(6));
  }
}
