const MIN_SLAB_BYTES = 4_096;
const MAX_SLAB_BYTES = 131_072;
/** A read into less room than this costs a call for little. */
const MIN_ROOM_BYTES = 1_024;

/**
 * Room to read into, handed out piece after piece and never twice, so that what was read may be kept as a view. An
 * idle connection holds 4 KiB; one whose reads fill their room gets twice as much next time (a read of 4 KiB at a
 * time, and so a commit of a dozen messages, was what held another bus back).
 */
export class ReadSlab {
  #slab = new Uint8Array(MIN_SLAB_BYTES);
  #used = 0;

  /** Where the next read goes. */
  room(): Uint8Array<ArrayBuffer> {
    if (this.#slab.length - this.#used < MIN_ROOM_BYTES) {
      this.#slab = new Uint8Array(this.#slab.length);
      this.#used = 0;
    }
    return this.#slab.subarray(this.#used);
  }

  /** The first `count` bytes of the room were read: returns them. */
  filled(count: number): Uint8Array {
    const at = this.#used;
    const bytes = this.#slab.subarray(at, at + count);
    this.#used += count;
    if (this.#used === this.#slab.length) {
      const grow = at === 0 && this.#slab.length < MAX_SLAB_BYTES;
      this.#slab = new Uint8Array(grow ? this.#slab.length * 2 : this.#slab.length);
      this.#used = 0;
    }
    return bytes;
  }
}
