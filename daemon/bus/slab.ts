/** Room for a few dozen small messages: what keeps one of them alive keeps no more than this. */
const SLAB_BYTES = 8_192;
/** Larger arrays are made for themselves: their own cost is small beside that of their bytes. */
const MAX_PIECE_BYTES = 1_024;
const NO_BYTES = new Uint8Array();

/**
 * Small arrays cut from larger ones. An array of its own costs about 650 ns on Deno, and the collector its
 * finalization, which is more than all else that is done with a small message.
 */
export class Slab {
  #bytes = new Uint8Array(SLAB_BYTES);
  #used = 0;

  /** An array of `length` zeros that nobody else has. */
  take(length: number): Uint8Array {
    if (length > MAX_PIECE_BYTES) return new Uint8Array(length);
    if (this.#used + length > SLAB_BYTES) {
      this.#bytes = new Uint8Array(SLAB_BYTES);
      this.#used = 0;
    }
    const at = this.#used;
    this.#used += length;
    return this.#bytes.subarray(at, this.#used);
  }

  /** A copy of the bytes; one array for all that have none. */
  copy(bytes: Uint8Array): Uint8Array {
    if (bytes.length === 0) return NO_BYTES; // an empty view would keep all that it is a view of
    const copy = this.take(bytes.length);
    copy.set(bytes);
    return copy;
  }
}
