/**
 * Memory for frames that is used again: a ring. A frame in an array of its own would be garbage after its commit, and
 * megabytes of it wait for a collector that sees small objects only.
 */
export class FrameMemory {
  readonly #bytes: Uint8Array<ArrayBuffer>;
  /** Bytes ever freed and ever taken, what was left out at the ring's end included. */
  #freed = 0;
  #taken = 0;

  /** Room for so many bytes; what does not fit gets an array of its own. */
  constructor(bytes: number) {
    this.#bytes = new Uint8Array(bytes);
  }

  /** Where the next frame begins, for {@link free}. */
  get position(): number {
    return this.#taken;
  }

  /** Bytes of any content, for one frame. */
  take(length: number): Uint8Array<ArrayBuffer> {
    const size = this.#bytes.length;
    // As long as nothing is in use, what is warm in the processor's caches is used again.
    if (this.#freed === this.#taken) this.#freed = this.#taken = Math.ceil(this.#taken / size) * size;
    const at = this.#taken % size;
    const start = at + length <= size ? this.#taken : this.#taken + size - at;
    if (start + length - this.#freed > size) return new Uint8Array(length);
    this.#taken = start + length;
    return this.#bytes.subarray(start % size, start % size + length);
  }

  /** Frames that were taken before the position are not used any more. */
  free(position: number): void {
    this.#freed = Math.max(this.#freed, position); // one without bytes here may be told of late
  }
}
