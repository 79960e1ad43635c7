import type { ByteBudget } from "./byte_budget.ts";
import type { Codec } from "./compression/codec.ts";
import type { MessageMemory } from "./message_memory.ts";
import { Status, StatusError } from "./status.ts";

const PREFIX_BYTES = 5;

const EMPTY = new Uint8Array(0);

/**
 * Cuts the body of a call into messages (gRPC over HTTP/2, Length-Prefixed-Message), however it is split. A message
 * that lies whole in one piece is a view on it; one that is cut is gathered, and its length is checked before that.
 */
export class MessageReader {
  /** What decompresses the messages of this call; where absent, none may be compressed. */
  codec: Codec | undefined;
  readonly #maxMessageBytes: number;
  readonly #budget: ByteBudget;
  readonly #memory: MessageMemory | undefined;
  #piece: Uint8Array = EMPTY;
  #at = 0;
  /** The octets of a prefix that is cut: most bodies need no such thing. */
  #prefix: number[] | undefined;
  #gathering: { readonly bytes: Uint8Array; filled: number } | undefined;
  #compressed = false;

  /**
   * `maxMessageBytes` bounds one message, without its prefix; messages that are cut take from `budget`, and are gathered in
   * `memory`, or in arrays of their own.
   */
  constructor(maxMessageBytes: number, budget: ByteBudget, memory?: MessageMemory) {
    this.#maxMessageBytes = maxMessageBytes;
    this.#budget = budget;
    this.#memory = memory;
  }

  /** Whether the body could end here: no message is cut. */
  get complete(): boolean {
    return this.#prefix === undefined && this.#gathering === undefined && this.#at === this.#piece.length;
  }

  /** Whether the message that {@linkcode next} returned last is compressed. */
  get compressed(): boolean {
    return this.#compressed;
  }

  /** Gives the reader its next bytes. All messages of the piece before must have been read. */
  push(piece: Uint8Array): void {
    this.#piece = piece;
    this.#at = 0;
  }

  /** The next whole message, or undefined when more bytes are needed. Throws StatusError. */
  next(): Uint8Array | undefined {
    if (this.#gathering !== undefined) return this.#gather(this.#gathering);
    const length = this.#nextLength();
    if (length === undefined) return undefined;
    const from = this.#at;
    if (from + length > this.#piece.length) {
      if (!this.#budget.take(length)) {
        throw new StatusError(
          Status.RESOURCE_EXHAUSTED,
          "too many unfinished messages are held; send fewer at a time",
        );
      }
      return this.#gather(
        this.#gathering = { bytes: this.#memory?.take(length) ?? new Uint8Array(length), filled: 0 },
      );
    }
    this.#at = from + length;
    return this.#piece.subarray(from, this.#at);
  }

  #gather(gathering: { readonly bytes: Uint8Array; filled: number }): Uint8Array | undefined {
    const { bytes, filled } = gathering;
    const count = Math.min(bytes.length - filled, this.#piece.length - this.#at);
    bytes.set(this.#piece.subarray(this.#at, this.#at + count), filled);
    gathering.filled += count;
    this.#at += count;
    if (gathering.filled < bytes.length) return undefined;
    this.abandon();
    return bytes;
  }

  /** Drops a message that is cut: its end will not be read. */
  abandon(): void {
    if (this.#gathering === undefined) return;
    this.#budget.give(this.#gathering.bytes.length);
    this.#gathering = undefined;
  }

  #nextLength(): number | undefined {
    const piece = this.#piece;
    const at = this.#at;
    if (this.#prefix === undefined && at + PREFIX_BYTES <= piece.length) {
      this.#at = at + PREFIX_BYTES;
      return this.#checkedLength(piece, at);
    }
    if (at === piece.length) return undefined;
    const prefix = this.#prefix ??= [];
    while (prefix.length < PREFIX_BYTES) {
      const octet = piece[this.#at];
      if (octet === undefined) return undefined;
      prefix.push(octet);
      this.#at++;
    }
    this.#prefix = undefined;
    return this.#checkedLength(prefix, 0);
  }

  #checkedLength(octets: ArrayLike<number>, at: number): number {
    const flag = octets[at] ?? 0;
    if (flag === 1 && this.codec === undefined) {
      throw new StatusError(
        Status.INTERNAL,
        "a message is marked as compressed, but the call names no encoding",
      );
    }
    if (flag > 1) {
      throw new StatusError(Status.INTERNAL, `a message begins with the flag ${flag}, not 0 or 1`);
    }
    this.#compressed = flag === 1;
    const [a = 0, b = 0, c = 0, d = 0] = [octets[at + 1], octets[at + 2], octets[at + 3], octets[at + 4]];
    const length = a * 0x1000000 + (b << 16) + (c << 8) + d;
    if (length > this.#maxMessageBytes) {
      throw new StatusError(
        Status.RESOURCE_EXHAUSTED,
        `a message has ${length} bytes, limit is ${this.#maxMessageBytes}`,
      );
    }
    return length;
  }
}

/** Prefixes are cut from a slab: an array of five bytes costs more to make than to fill. */
const SLAB_BYTES = 4_096;
let slab = new Uint8Array(SLAB_BYTES);
let slabUsed = 0;

/** The prefix of an uncompressed message of `length` bytes. */
export function messagePrefix(length: number): Uint8Array {
  if (slabUsed + PREFIX_BYTES > SLAB_BYTES) {
    slab = new Uint8Array(SLAB_BYTES);
    slabUsed = 0;
  }
  const at = slabUsed;
  slabUsed += PREFIX_BYTES;
  slab[at + 1] = length >>> 24;
  slab[at + 2] = length >>> 16;
  slab[at + 3] = length >>> 8;
  slab[at + 4] = length;
  return slab.subarray(at, slabUsed);
}

/** A message compressed, with its prefix; undefined where that is not smaller. */
export function compressedFrame(message: Uint8Array, codec: Codec): Uint8Array | undefined {
  const compressed = codec.compress(message);
  if (compressed.length >= message.length) return undefined;
  const bytes = new Uint8Array(PREFIX_BYTES + compressed.length);
  bytes.set(messagePrefix(compressed.length));
  bytes[0] = 1;
  bytes.set(compressed, PREFIX_BYTES);
  return bytes;
}

/** A message with its prefix, made once for many receivers. */
export class FramedMessage {
  /** The prefix and the message. */
  readonly bytes: Uint8Array;
  #compressed: { readonly codec: Codec; readonly bytes: Uint8Array | undefined } | undefined;

  /** Takes bytes that begin with the prefix. */
  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The message without its prefix. */
  get message(): Uint8Array {
    return this.bytes.subarray(PREFIX_BYTES);
  }

  /** Bytes of the message without its prefix. */
  get length(): number {
    return this.bytes.length - PREFIX_BYTES;
  }

  /** The same message compressed, with its own prefix, made once for the receivers that share an encoding; undefined where that is not smaller. */
  compressedBy(codec: Codec): Uint8Array | undefined {
    if (this.#compressed?.codec !== codec) {
      this.#compressed = { codec, bytes: compressedFrame(this.message, codec) };
    }
    return this.#compressed.bytes;
  }

  /** Frames a message; its bytes are copied. */
  static of(message: Uint8Array): FramedMessage {
    const bytes = new Uint8Array(PREFIX_BYTES + message.length);
    bytes.set(messagePrefix(message.length));
    bytes.set(message, PREFIX_BYTES);
    return new FramedMessage(bytes);
  }

  /**
   * Takes an array whose first five bytes are free and whose rest is the message, and fills in the prefix:
   * an encoder that leaves the room saves the copy.
   */
  static inPlace(bytes: Uint8Array): FramedMessage {
    const length = bytes.length - PREFIX_BYTES;
    bytes[0] = 0;
    bytes[1] = length >>> 24;
    bytes[2] = length >>> 16;
    bytes[3] = length >>> 8;
    bytes[4] = length;
    return new FramedMessage(bytes);
  }
}

/** Bytes of the prefix that {@linkcode FramedMessage.inPlace} fills in. */
export const MESSAGE_PREFIX_BYTES: number = PREFIX_BYTES;
