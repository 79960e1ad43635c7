const POOL_BYTES = 1 << 20;
/** Prime: the same bytes come back at the same place only after the whole pool. */
const STEP = 7_919;

/** Payloads of one length that no compressor makes smaller: the same ones in every run. */
export class Payloads {
  readonly #bytes: number;
  readonly #pool: Uint8Array;
  #at = 0;

  /** Of so many bytes each. */
  constructor(bytes: number) {
    this.#bytes = bytes;
    this.#pool = noise(POOL_BYTES + bytes);
  }

  /** The next one: a view on bytes that never change. */
  next(): Uint8Array {
    this.#at = (this.#at + STEP) % POOL_BYTES;
    return this.#pool.subarray(this.#at, this.#at + this.#bytes);
  }
}

/** Bytes of the generator "xorshift32", from a fixed seed. */
function noise(length: number): Uint8Array {
  const words = new Uint32Array(Math.ceil(length / 4));
  let state = 0x6d73_6775;
  for (let i = 0; i < words.length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    words[i] = state;
  }
  return new Uint8Array(words.buffer, 0, length);
}
