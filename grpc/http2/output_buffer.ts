const INITIAL_BYTES = 512;
/** A larger array is kept for the next turn of any connection, and not of this one only. */
const MAX_OWN_BYTES = 65_536;
/** What those have: all that a connection lets wait for its socket (`maxWaitingOutputBytes`), and the frame that reaches that. */
const LARGE_BYTES = 393_216;
/** So many of them are kept. */
const MAX_SPARE = 4;

/** A new one for each turn of a busy connection would be left to a collector that sees small objects only. */
const spareLarge: Uint8Array<ArrayBuffer>[] = [];

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
    const whole = new Uint8Array(taken.buffer);
    if (whole.length > MAX_OWN_BYTES) {
      if (whole.length === LARGE_BYTES && spareLarge.length < MAX_SPARE) spareLarge.push(whole);
      return;
    }
    if (this.#bytes.length === 0) this.#bytes = whole;
    else this.#spare = whole;
  }

  #grow(needed: number): void {
    const grown = arrayFor(Math.max(needed, this.#bytes.length * 2, INITIAL_BYTES));
    grown.set(this.#bytes.subarray(0, this.#length));
    this.#bytes = grown;
  }
}

function arrayFor(needed: number): Uint8Array<ArrayBuffer> {
  if (needed > MAX_OWN_BYTES && needed <= LARGE_BYTES) return spareLarge.pop() ?? new Uint8Array(LARGE_BYTES);
  return new Uint8Array(2 ** Math.ceil(Math.log2(needed)));
}
