import { HpackError } from "./error.ts";

/** A position in one header block; reading past the end of the block is a decoding error. */
export class BlockReader {
  /** The whole block. */
  readonly bytes: Uint8Array;
  /** Index of the next octet to read. */
  offset = 0;

  /** Starts at the first octet. */
  constructor(bytes: Uint8Array) {
    this.bytes = bytes;
  }

  /** Octets not read yet. */
  get remaining(): number {
    return this.bytes.length - this.offset;
  }

  /** The next octet, left unread; undefined at the end of the block. */
  peek(): number | undefined {
    return this.bytes[this.offset];
  }

  /** Reads one octet. Throws {@link HpackError} at the end of the block. */
  next(): number {
    const octet = this.bytes[this.offset];
    if (octet === undefined) {
      throw new HpackError(
        `Cannot decode header block: it ends inside a field, at octet ${this.offset}; send whole blocks`,
      );
    }
    this.offset += 1;
    return octet;
  }
}
