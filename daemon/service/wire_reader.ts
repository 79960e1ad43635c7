import { Status, StatusError } from "@msgbus/grpc/server";

const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

/** Wire types of protobuf (protobuf.dev, Encoding). */
const WireType = { VARINT: 0, FIXED64: 1, LENGTH_DELIMITED: 2, FIXED32: 5 } as const;

/** Reads protobuf fields from a view, one after the other. What does not parse is INVALID_ARGUMENT. */
export class WireReader {
  #bytes: Uint8Array;
  #end: number;
  #at: number;

  /** Reads `bytes` from the beginning. */
  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
    this.#at = 0;
    this.#end = bytes.length;
  }

  /** Reads the length-delimited field of another reader from now on, which is behind it then. */
  enter(outer: WireReader): void {
    const length = outer.#varint32();
    if (length > outer.#end - outer.#at) throw malformed("a field is longer than its message");
    this.#bytes = outer.#bytes;
    this.#at = outer.#at;
    this.#end = outer.#at += length;
  }

  /** The next tag (field number × 8 + wire type), or 0 at the end. */
  tag(): number {
    if (this.#at >= this.#end) return 0;
    const tag = this.#varint32();
    if (tag >>> 3 === 0) throw malformed("a field has the number 0");
    return tag;
  }

  /** The bytes of a length-delimited field, as a view. */
  bytes(): Uint8Array {
    const length = this.#varint32();
    const from = this.#at;
    if (length > this.#end - from) throw malformed("a field is longer than its message");
    this.#at = from + length;
    return this.#bytes.subarray(from, this.#at);
  }

  /** Passes over a length-delimited field when it holds just these bytes; otherwise stays in front of it. */
  skipIfBytes(expected: Uint8Array): boolean {
    const from = this.#at;
    const length = this.#varint32();
    if (length === expected.length && length <= this.#end - this.#at) {
      let i = 0;
      while (i < length && this.#bytes[this.#at + i] === expected[i]) i++;
      if (i === length) {
        this.#at += length;
        return true;
      }
    }
    this.#at = from;
    return false;
  }

  /** The text of a string field, which must be UTF-8. */
  string(): string {
    return this.text(this.bytes());
  }

  /** The text of bytes that were read. */
  text(bytes: Uint8Array): string {
    return decodeUtf8(bytes);
  }

  /** A varint of up to 64 bits; one beyond the safe integers comes as the largest of them. */
  number(): number {
    let value = 0;
    for (let i = 0, unit = 1; i < 10; i++, unit *= 0x80) {
      const octet = this.#octet();
      // The tenth octet holds the one bit that is left of 64; what is beyond it is dropped (protobuf.dev, Encoding).
      value += (i === 9 ? octet & 1 : octet & 0x7f) * unit;
      if (octet < 0x80) return Math.min(value, Number.MAX_SAFE_INTEGER);
    }
    throw malformed("a number has more than ten octets");
  }

  /** A varint of up to 32 bits; of a longer one, the lower 32 (protobuf.dev, Updating A Message Type). */
  uint32(): number {
    let value = 0;
    for (let i = 0; i < 10; i++) {
      const octet = this.#octet();
      if (i < 5) value |= (octet & 0x7f) << (7 * i);
      if (octet < 0x80) return value >>> 0;
    }
    throw malformed("a number has more than ten octets");
  }

  /** Passes over the value of a field above `lastField`; those up to it are known, and came with a wrong wire type. */
  skipUnknown(tag: number, lastField: number): void {
    if (tag >>> 3 <= lastField) throw malformed(`field ${tag >>> 3} has the wire type ${tag & 7}`);
    switch (tag & 7) {
      case WireType.VARINT:
        return this.#skipVarint();
      case WireType.FIXED64:
        return this.#advance(8);
      case WireType.LENGTH_DELIMITED:
        this.bytes();
        return;
      case WireType.FIXED32:
        return this.#advance(4);
      default:
        throw malformed(`a field has the wire type ${tag & 7}`);
    }
  }

  #advance(count: number): void {
    if (count > this.#end - this.#at) throw malformed("a field is longer than its message");
    this.#at += count;
  }

  #skipVarint(): void {
    for (let i = 0; i < 10; i++) {
      const octet = this.#octet();
      if (octet < 0x80) return;
    }
    throw malformed("a number has more than ten octets");
  }

  #varint32(): number {
    let value = 0;
    for (let shift = 0; shift < 35; shift += 7) {
      const octet = this.#octet();
      // The fifth octet may hold four bits of 32.
      if (shift === 28 && octet > 0x0f) break;
      value |= (octet & 0x7f) << shift;
      if (octet < 0x80) return value >>> 0;
    }
    throw malformed("a tag or a length is over 32 bits");
  }

  #octet(): number {
    const octet = this.#at < this.#end ? this.#bytes[this.#at] : undefined;
    if (octet === undefined) throw malformed("the message is cut");
    this.#at++;
    return octet;
  }
}

/** Short ASCII is decoded by hand: below this length it beats the runtime's decoder. */
const MAX_BY_HAND_BYTES = 24;

function decodeUtf8(bytes: Uint8Array): string {
  if (bytes.length <= MAX_BY_HAND_BYTES) {
    let text = "";
    for (let i = 0; i < bytes.length; i++) {
      const octet = bytes[i] ?? 0x80;
      if (octet >= 0x80) return decodeByRuntime(bytes);
      text += String.fromCharCode(octet);
    }
    return text;
  }
  return decodeByRuntime(bytes);
}

function decodeByRuntime(bytes: Uint8Array): string {
  try {
    return decoder.decode(bytes);
  } catch (error) {
    throw new StatusError(Status.INVALID_ARGUMENT, "Cannot read the request: a text is not UTF-8", {
      cause: error,
    });
  }
}

function malformed(what: string): StatusError {
  return new StatusError(Status.INVALID_ARGUMENT, `Cannot read the request: ${what}`);
}
