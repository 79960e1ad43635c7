const INITIAL_BYTES = 512;
/** A larger buffer is given back to the runtime after use instead of being kept for the next turn. */
const MAX_KEPT_BYTES = 65_536;

/**
 * Bytes on their way to the peer, written in place and taken as one piece, so that many small frames leave in one
 * write. Two arrays take turns: one is filled while the socket still reads the other.
 */
export class OutputBuffer {
  #bytes: Uint8Array<ArrayBuffer> = new Uint8Array(0);
  #spare: Uint8Array<ArrayBuffer> | undefined;
  #length = 0;

  /** How many bytes wait to be taken. */
  get length(): number {
    return this.#length;
  }

  /** The array to write into at the offset that {@linkcode reserve} returned. Valid until the next reserve or take. */
  get bytes(): Uint8Array {
    return this.#bytes;
  }

  /** Makes room for `count` bytes, counts them as written, and returns where they begin. */
  reserve(count: number): number {
    const at = this.#length;
    const end = at + count;
    if (end > this.#bytes.length) this.#grow(end);
    this.#length = end;
    return at;
  }

  /** All waiting bytes; the view stays untouched until it is handed to {@linkcode recycle}. */
  take(): Uint8Array<ArrayBuffer> {
    const taken = this.#bytes.subarray(0, this.#length);
    this.#bytes = this.#spare ?? new Uint8Array(0);
    this.#spare = undefined;
    this.#length = 0;
    return taken;
  }

  /** Gives the array of a taken view back for reuse, once nobody reads it any more. */
  recycle(taken: Uint8Array<ArrayBuffer>): void {
    if (taken.buffer.byteLength > MAX_KEPT_BYTES) return;
    const whole = new Uint8Array(taken.buffer);
    if (this.#bytes.length === 0) this.#bytes = whole;
    else this.#spare = whole;
  }

  #grow(needed: number): void {
    let capacity = Math.max(this.#bytes.length * 2, INITIAL_BYTES);
    while (capacity < needed) capacity *= 2;
    const grown = new Uint8Array(capacity);
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}
