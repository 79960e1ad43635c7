import { FRAME_LENGTH_BYTES } from "./frame.ts";

const encoder = new TextEncoder();

/** Larger scratch memory is given back after use: one huge message must not hold its size forever. */
const KEPT_BYTES = 1 << 20;

/** Writes frames of numbers, texts and bytes into one growing scratch memory that is used again and again. */
export class ByteWriter {
  #bytes = new Uint8Array(64 << 10);
  #view = new DataView(this.#bytes.buffer);
  #at = 0;
  #frameStart = 0;

  /** Forgets everything written, for the next use. */
  reset(): void {
    if (this.#bytes.length > KEPT_BYTES) this.#resize(64 << 10, 0);
    this.#at = 0;
  }

  /** All finished frames; valid until the next change. */
  get written(): Uint8Array<ArrayBuffer> {
    return this.#bytes.subarray(0, this.#at);
  }

  get length(): number {
    return this.#at;
  }

  beginFrame(): void {
    this.#frameStart = this.#at;
    this.u32(0);
  }

  endFrame(): void {
    this.#view.setUint32(this.#frameStart, this.#at - this.#frameStart - FRAME_LENGTH_BYTES, true);
  }

  /** Takes back the frame that was begun and not ended. */
  abandonFrame(): void {
    this.#at = this.#frameStart;
  }

  u8(value: number): void {
    this.#reserve(1);
    this.#bytes[this.#at++] = value;
  }

  u32(value: number): void {
    this.#reserve(4);
    this.#view.setUint32(this.#at, value, true);
    this.#at += 4;
  }

  /** Heads, sequences, times: safe integers are exact in a double. */
  f64(value: number): void {
    this.#reserve(8);
    this.#view.setFloat64(this.#at, value, true);
    this.#at += 8;
  }

  bytes(value: Uint8Array): void {
    this.u32(value.length);
    this.raw(value);
  }

  /** Bytes without their length. */
  raw(value: Uint8Array): void {
    this.#reserve(value.length);
    this.#bytes.set(value, this.#at);
    this.#at += value.length;
  }

  text(value: string): void {
    this.#reserve(4 + value.length * 3); // UTF-8 needs at most 3 bytes per UTF-16 unit
    const { written } = encoder.encodeInto(value, this.#bytes.subarray(this.#at + 4));
    this.#view.setUint32(this.#at, written, true);
    this.#at += 4 + written;
  }

  #reserve(count: number): void {
    const needed = this.#at + count;
    if (needed > this.#bytes.length) this.#resize(Math.max(needed, this.#bytes.length * 2), this.#at);
  }

  #resize(size: number, kept: number): void {
    const bytes = new Uint8Array(size);
    bytes.set(this.#bytes.subarray(0, kept));
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
