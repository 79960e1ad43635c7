/** Smaller messages are left to the collector, which is quick with them. */
const MIN_MESSAGE_BYTES = 1 << 10;
/** Larger ones too: few send them, and their memory would be held for nobody. */
const MAX_MESSAGE_BYTES = 1 << 20;
/** What is kept for the messages to come. */
const MAX_KEPT = 8;
/** No message gets more than so many times its bytes: those who count what unfinished messages hold count its bytes. */
const MAX_ROOM = 2;

/** The memory of a message that was gathered. */
class MessageBuffer extends ArrayBuffer {
  /** What is in it, until it is given back. */
  message: Uint8Array | undefined;
}

/**
 * Memory for messages that come in pieces. That of one is used again where its handler says that it is done with it: else
 * it waits for a collector that counts small objects and sees none, and with one batch of 256 KiB after the other dozens of
 * megabytes lie there.
 */
export class MessageMemory {
  readonly #kept: MessageBuffer[] = [];

  /** Room for a message of `length` bytes, of any content. */
  take(length: number): Uint8Array {
    if (length < MIN_MESSAGE_BYTES || length > MAX_MESSAGE_BYTES) return new Uint8Array(length);
    const buffer = this.#smallest(length) ?? new MessageBuffer(roundedUp(length));
    return buffer.message = new Uint8Array(buffer, 0, length);
  }

  /** Takes back the memory of a message that nobody looks at any more; of any other array nothing happens. */
  give(message: Uint8Array): void {
    const { buffer } = message;
    if (!(buffer instanceof MessageBuffer) || buffer.message !== message) return;
    buffer.message = undefined;
    if (this.#kept.length === MAX_KEPT) this.#kept.shift(); // nobody needed that size
    this.#kept.push(buffer);
  }

  /** Takes out the smallest that has room for so many bytes, and not much more. */
  #smallest(length: number): MessageBuffer | undefined {
    let found = -1;
    let foundBytes = Infinity;
    this.#kept.forEach(({ byteLength }, at) => {
      if (byteLength < length || byteLength > length * MAX_ROOM || byteLength >= foundBytes) return;
      found = at;
      foundBytes = byteLength;
    });
    return found < 0 ? undefined : this.#kept.splice(found, 1)[0];
  }
}

/** At most a quarter more, so that messages of about the same size find each other's memory. */
function roundedUp(length: number): number {
  const step = 2 ** Math.max(0, Math.floor(Math.log2(length)) - 2);
  return Math.ceil(length / step) * step;
}
