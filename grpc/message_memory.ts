/** Smaller messages are left to the collector, which is quick with them. */
const MIN_MESSAGE_BYTES = 1 << 16;
/** Larger ones too: few send them, and their memory would be held for nobody. */
const MAX_MESSAGE_BYTES = 1 << 20;
/** Sizes are multiples of this, so that messages of about the same size find each other's memory. */
const STEP_BYTES = 1 << 16;
/** What is kept for the messages to come. */
const MAX_KEPT = 4;

/**
 * Memory for messages that come in pieces. That of a large one is used again where its handler says that it is done with
 * it: else it waits for a collector that counts small objects and sees none, and with one batch of 256 KiB after the other
 * dozens of megabytes lie there.
 */
export class MessageMemory {
  readonly #kept: ArrayBuffer[] = [];
  /** Those that are out, or were and did not come back. */
  readonly #lent = new WeakSet<ArrayBufferLike>();

  /** Room for a message of `length` bytes, of any content. */
  take(length: number): Uint8Array {
    if (length < MIN_MESSAGE_BYTES || length > MAX_MESSAGE_BYTES) return new Uint8Array(length);
    const at = this.#kept.findIndex((kept) => kept.byteLength >= length);
    const [kept] = at < 0 ? [] : this.#kept.splice(at, 1);
    const buffer = kept ?? new ArrayBuffer(Math.ceil(length / STEP_BYTES) * STEP_BYTES);
    this.#lent.add(buffer);
    return new Uint8Array(buffer, 0, length);
  }

  /** Takes back the memory of a message that nobody looks at any more; of any other array nothing happens. */
  give(message: Uint8Array): void {
    const buffer = message.buffer as ArrayBuffer;
    if (buffer.byteLength < MIN_MESSAGE_BYTES || !this.#lent.delete(buffer)) return;
    if (this.#kept.length === MAX_KEPT) this.#kept.shift(); // nobody needed that size
    this.#kept.push(buffer);
  }
}
