import { Status, StatusError } from "./status.ts";

const PREFIX_BYTES = 5;

/**
 * Cuts the body of a call into messages (gRPC over HTTP/2, Length-Prefixed-Message), however it is split. A message
 * that lies whole in one piece is a view on it; one that is cut is gathered, and its length is checked before that.
 */
export class MessageReader {
  readonly #maxMessageBytes: number;
  readonly #prefix = new Uint8Array(PREFIX_BYTES);
  #prefixFilled = 0;
  #gathering: { readonly bytes: Uint8Array; filled: number } | undefined;
  #piece: Uint8Array = new Uint8Array(0);
  #at = 0;

  /** `maxMessageBytes` bounds one message, without its prefix. */
  constructor(maxMessageBytes: number) {
    this.#maxMessageBytes = maxMessageBytes;
  }

  /** Whether the body could end here: no message is cut. */
  get complete(): boolean {
    return this.#prefixFilled === 0 && this.#at === this.#piece.length;
  }

  /** Gives the reader its next bytes. All messages of the piece before must have been read. */
  push(piece: Uint8Array): void {
    this.#piece = piece;
    this.#at = 0;
  }

  /** The next whole message, or undefined when more bytes are needed. Throws StatusError. */
  next(): Uint8Array | undefined {
    if (this.#gathering === undefined) {
      if (!this.#fillPrefix()) return undefined;
      const length = this.#checkedLength();
      if (this.#at + length <= this.#piece.length) {
        const message = this.#piece.subarray(this.#at, this.#at + length);
        this.#at += length;
        this.#prefixFilled = 0;
        return message;
      }
      this.#gathering = { bytes: new Uint8Array(length), filled: 0 };
    }
    const gathering = this.#gathering;
    const count = Math.min(gathering.bytes.length - gathering.filled, this.#piece.length - this.#at);
    gathering.bytes.set(this.#piece.subarray(this.#at, this.#at + count), gathering.filled);
    gathering.filled += count;
    this.#at += count;
    if (gathering.filled < gathering.bytes.length) return undefined;
    this.#gathering = undefined;
    this.#prefixFilled = 0;
    return gathering.bytes;
  }

  #fillPrefix(): boolean {
    while (this.#prefixFilled < PREFIX_BYTES) {
      const octet = this.#piece[this.#at];
      if (octet === undefined) return false;
      this.#prefix[this.#prefixFilled++] = octet;
      this.#at++;
    }
    return true;
  }

  #checkedLength(): number {
    const [flag = 0, a = 0, b = 0, c = 0, d = 0] = this.#prefix;
    if (flag === 1) {
      throw new StatusError(
        Status.INTERNAL,
        "a message is marked as compressed, but the call names no encoding",
      );
    }
    if (flag !== 0) {
      throw new StatusError(Status.INTERNAL, `a message begins with the flag ${flag}, not 0 or 1`);
    }
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

/** The prefix of an uncompressed message of `length` bytes. */
export function messagePrefix(length: number): Uint8Array {
  return new Uint8Array([0, length >>> 24, length >>> 16, length >>> 8, length]);
}

/** A message with its prefix, made once for many receivers. */
export class FramedMessage {
  /** The prefix and the message. */
  readonly bytes: Uint8Array;

  /** Takes bytes that begin with the prefix. */
  private constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** The message without its prefix. */
  get message(): Uint8Array {
    return this.bytes.subarray(PREFIX_BYTES);
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
