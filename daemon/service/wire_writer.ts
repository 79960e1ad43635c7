import { putVarint, varintBytes } from "../bus/varint.ts";

const encoder = new TextEncoder();

/** Writes protobuf fields, one after the other, for messages that are too few to need a writer of their own. */
export class WireWriter {
  readonly #parts: Uint8Array[] = [];
  #length = 0;

  /** A string field; left out where it is empty, as proto3 does with its scalars. */
  text(tag: number, text: string): this {
    return text === "" ? this : this.bytes(tag, encoder.encode(text));
  }

  /** A bool field; left out where it is false. */
  bool(tag: number, value: boolean): this {
    return value ? this.#add(Uint8Array.of(tag, 1)) : this;
  }

  /** A length-delimited field, such as a message; there also where it is empty. */
  bytes(tag: number, bytes: Uint8Array): this {
    const prefix = new Uint8Array(1 + varintBytes(bytes.length));
    prefix[0] = tag;
    putVarint(prefix, 1, bytes.length);
    return this.#add(prefix).#add(bytes);
  }

  /** All fields so far. */
  finish(): Uint8Array {
    const written = new Uint8Array(this.#length);
    let at = 0;
    for (const part of this.#parts) {
      written.set(part, at);
      at += part.length;
    }
    return written;
  }

  #add(part: Uint8Array): this {
    this.#parts.push(part);
    this.#length += part.length;
    return this;
  }
}
