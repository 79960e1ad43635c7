import { TooLargeError } from "./codec.ts";

const FIRST_BYTES = 4_096;

/** Bytes that are made one after the other, up to a limit; what is there can be copied from. */
export class ByteSink {
  bytes: Uint8Array = new Uint8Array(0);
  length = 0;
  readonly #maxBytes: number;

  /** Takes no more than `maxBytes`. */
  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Makes room for `count` more bytes and says where they go. Throws TooLargeError. */
  add(count: number): number {
    const at = this.length;
    const length = at + count;
    if (length > this.#maxBytes) throw new TooLargeError(this.#maxBytes);
    if (length > this.bytes.length) {
      const doubled = Math.max(length, 2 * this.bytes.length, FIRST_BYTES);
      const larger = new Uint8Array(Math.min(doubled, this.#maxBytes));
      larger.set(this.bytes.subarray(0, at));
      this.bytes = larger;
    }
    this.length = length;
    return at;
  }

  /** Adds bytes. Throws TooLargeError. */
  put(bytes: Uint8Array): void {
    const at = this.add(bytes.length);
    this.bytes.set(bytes, at);
  }

  /** Adds one byte. */
  put8(octet: number): void {
    const at = this.add(1);
    this.bytes[at] = octet;
  }

  /** What was added. */
  get written(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }
}
