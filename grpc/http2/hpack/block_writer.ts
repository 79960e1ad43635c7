/**
 * Octets of one slab. Blocks are cut from a slab one after the other, for in some runtimes a buffer of its
 * own costs each block more than all of its encoding.
 */
const SLAB_BYTES = 4096;
/** The first slab is for a connection that says little; each further one is twice as large, up to the above. */
const FIRST_SLAB_BYTES = 256;

/** Collects one header block at a time. */
export class BlockWriter {
  /** The octets of the block so far are those from its start to {@link BlockWriter.end}. */
  slab: Uint8Array = new Uint8Array(FIRST_SLAB_BYTES);
  /** Where the next octet goes. */
  end = 0;
  #start = 0;

  /** Makes room for `count` further octets in {@link BlockWriter.slab}, which may become another one. */
  reserve(count: number): void {
    if (this.end + count <= this.slab.length) return;
    const begun = this.slab.subarray(this.#start, this.end);
    // Twice the need, so that a block written octet by octet is not moved for each of them.
    const next = Math.min(SLAB_BYTES, 2 * this.slab.length);
    this.slab = new Uint8Array(Math.max(next, 2 * (begun.length + count)));
    this.slab.set(begun);
    this.#start = 0;
    this.end = begun.length;
  }

  /** Appends one octet. */
  write(octet: number): void {
    if (this.end === this.slab.length) this.reserve(1);
    this.slab[this.end] = octet;
    this.end += 1;
  }

  /** Drops the block that was begun. */
  abandon(): void {
    this.end = this.#start;
  }

  /** Returns the block and begins the next. The octets are the caller's, the buffer around them is shared. */
  take(): Uint8Array {
    const block = this.slab.subarray(this.#start, this.end);
    this.#start = this.end;
    return block;
  }
}
