const FIRST_SLAB_BYTES = 1_024;
/** Up to this a slab that is used up is followed by one twice as large, however small the reads were. */
const BUSY_SLAB_BYTES = 4_096;
const MAX_SLAB_BYTES = 131_072;
/** A read into less room than this part of a slab costs a call for little. */
const MIN_ROOM_PART = 4;

/**
 * Room to read into, handed out piece after piece and never twice, so that what was read may be kept as a view. A
 * connection that has said little holds 1 KiB, a busy one 4 KiB; one whose reads fill their room gets twice as much next
 * time (a read of 4 KiB at a time, and so a commit of a dozen messages, was what held another bus back).
 */
export class ReadSlab {
  #slab = new Uint8Array(FIRST_SLAB_BYTES);
  #used = 0;

  /** Where the next read goes. */
  room(): Uint8Array<ArrayBuffer> {
    const { length } = this.#slab;
    if (length - this.#used < length / MIN_ROOM_PART) this.#next(length < BUSY_SLAB_BYTES);
    return this.#slab.subarray(this.#used);
  }

  /** The first `count` bytes of the room were read: returns them. */
  filled(count: number): Uint8Array {
    const at = this.#used;
    const bytes = this.#slab.subarray(at, at + count);
    this.#used += count;
    const { length } = this.#slab;
    if (this.#used === length) this.#next(length < BUSY_SLAB_BYTES || (at === 0 && length < MAX_SLAB_BYTES));
    return bytes;
  }

  #next(larger: boolean): void {
    this.#slab = new Uint8Array(larger ? this.#slab.length * 2 : this.#slab.length);
    this.#used = 0;
  }
}
