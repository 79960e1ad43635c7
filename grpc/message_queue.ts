import type { ByteBudget } from "./byte_budget.ts";
import { type Codec, TooLargeError } from "./compression/codec.ts";
import type { MessageMemory } from "./message_memory.ts";
import { MessageReader } from "./message_reader.ts";
import { Status, StatusError } from "./status.ts";

/** How the sending of messages ended. */
type End = { readonly kind: "done" } | { readonly kind: "failed"; readonly error: StatusError };

/**
 * The messages that one direction of a call has received and its reader has not taken yet. The bytes of messages that
 * wait are held back from the flow-control window, so that a reader who does not read stops the sender.
 */
export class MessageQueue implements AsyncIterable<Uint8Array> {
  readonly #reader: MessageReader;
  readonly #consume: (bytes: number) => void;
  readonly #maxMessageBytes: number;
  #waiting: Uint8Array[] = [];
  /** Which of those that wait are still compressed; kept where the call names an encoding. Until its reader takes it, a message costs what its sender had to send. */
  #compressed: boolean[] = [];
  #heldBytes = 0;
  #end: End | undefined;
  #left = false;
  #wake: (() => void) | undefined;

  /** Messages that are cut take from `budget`, and `memory`; `consume` gives bytes back to the window. */
  constructor(
    maxMessageBytes: number,
    budget: ByteBudget,
    consume: (bytes: number) => void,
    memory?: MessageMemory,
  ) {
    this.#reader = new MessageReader(maxMessageBytes, budget, memory);
    this.#consume = consume;
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Decompresses the messages that are marked as compressed. To be said before the first piece. */
  decompressWith(codec: Codec): void {
    this.#reader.codec = codec;
  }

  /** Takes a piece of the body. Throws StatusError for what is no message. */
  push(piece: Uint8Array): void {
    this.#heldBytes += piece.length;
    this.#reader.push(piece);
    for (let message = this.#reader.next(); message !== undefined; message = this.#reader.next()) {
      this.#waiting.push(message);
      if (this.#reader.codec !== undefined) this.#compressed.push(this.#reader.compressed);
    }
    // A message that is still incomplete must be able to grow: its bytes are never held back.
    if (this.#waiting.length === 0) this.#giveBack();
    else this.#wake?.();
  }

  /** Whether the body may end here: no message is cut. */
  get complete(): boolean {
    return this.#reader.complete;
  }

  /** Messages that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Nothing follows. */
  end(): void {
    this.#end ??= { kind: "done" };
    this.#wake?.();
  }

  /** The call failed: the reader gets the messages that came before, then the error. */
  fail(error: StatusError): void {
    this.#end ??= { kind: "failed", error };
    this.release();
    this.#wake?.();
  }

  /**
   * Gives the bytes of messages that wait back to the window. For a stream that is over: nothing more can come on it,
   * and a reader who never reads must not keep the connection's window shut.
   */
  release(): void {
    this.#reader.abandon();
    this.#giveBack();
  }

  #giveBack(): void {
    const bytes = this.#heldBytes;
    this.#heldBytes = 0;
    if (bytes > 0) this.#consume(bytes);
  }

  /** Drops what waits: nobody will read it. */
  discard(): void {
    this.#waiting = [];
    this.#compressed = [];
    this.release();
    this.end();
  }

  /** The message at the front, without waiting; undefined when there is none. Throws StatusError when it can't be decompressed. */
  takeOne(): Uint8Array | undefined {
    const message = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#giveBack();
    return message !== undefined && this.#compressed.shift() === true ? this.#decompress(message) : message;
  }

  /**
   * The messages that wait, at least one; null after the last, and after {@link leave}. Where they are compressed, no more
   * than about the largest message's bytes are made at a time. Throws the call's error, and StatusError when a message
   * can't be decompressed. One reader at a time.
   */
  async takeAll(): Promise<Uint8Array[] | null> {
    while (this.#left || this.#waiting.length === 0) {
      if (this.#left) return null;
      if (this.#end?.kind === "done") return null;
      if (this.#end?.kind === "failed") throw this.#end.error;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    if (this.#reader.codec !== undefined) return this.#takeDecompressed();
    const taken = this.#waiting;
    this.#waiting = [];
    this.#giveBack();
    return taken;
  }

  #takeDecompressed(): Uint8Array[] {
    const taken: Uint8Array[] = [];
    for (let bytes = 0; bytes < this.#maxMessageBytes;) {
      const message = this.#waiting[taken.length];
      if (message === undefined) break;
      try {
        taken.push(this.#compressed[taken.length] === true ? this.#decompress(message) : message);
      } catch (error) {
        if (taken.length === 0) throw error;
        break; // those before it come first
      }
      bytes += taken.at(-1)?.length ?? 0;
    }
    this.#waiting.splice(0, taken.length);
    this.#compressed.splice(0, taken.length);
    if (this.#waiting.length === 0) this.#giveBack();
    return taken;
  }

  #decompress(message: Uint8Array): Uint8Array {
    const { codec } = this.#reader;
    if (codec === undefined) throw new StatusError(Status.INTERNAL, "the call names no encoding");
    try {
      return codec.decompress(message, this.#maxMessageBytes);
    } catch (error) {
      if (error instanceof TooLargeError) throw new StatusError(Status.RESOURCE_EXHAUSTED, error.message);
      const reason = error instanceof Error ? error.message : String(error);
      throw new StatusError(Status.INTERNAL, `a message can't be decompressed: ${reason}`);
    }
  }

  /** Its reader takes no more messages: they wait, and hold their sender back. */
  leave(): void {
    this.#left = true;
    this.#wake?.();
  }

  /** One message after the other. `return` also ends a `next` that waits. */
  [Symbol.asyncIterator](): AsyncIterator<Uint8Array> {
    return new MessageIterator(this);
  }
}

/** No generator: the promises of one grow old where somebody races them, each with those before it. */
class MessageIterator implements AsyncIterator<Uint8Array> {
  readonly #queue: MessageQueue;
  /** Those that were taken, the next one last. */
  #taken: Uint8Array[] = [];
  #left = false;

  constructor(queue: MessageQueue) {
    this.#queue = queue;
  }

  async next(): Promise<IteratorResult<Uint8Array, undefined>> {
    if (this.#taken.length === 0) this.#taken = (await this.#queue.takeAll())?.reverse() ?? [];
    const value = this.#taken.pop();
    if (this.#left) this.#taken = []; // left while they were on their way here
    return value === undefined ? { done: true, value } : { done: false, value };
  }

  return(): Promise<IteratorResult<Uint8Array, undefined>> {
    this.#left = true;
    this.#taken = [];
    this.#queue.leave();
    return Promise.resolve({ done: true, value: undefined });
  }
}
