import { ErrorCode } from "../error_code.ts";
import { Http2Error } from "../http2_error.ts";
import { type Frame, FRAME_HEADER_BYTES } from "./frame_type.ts";

const EMPTY = new Uint8Array(0);

/**
 * Cuts a byte stream into frames (RFC 9113 §4.1), however it is split. A frame that lies whole in one chunk is a view
 * on it; one that is cut is gathered in an array of its own length, each byte copied once.
 */
export class FrameDecoder {
  readonly #maxFrameBytes: number;
  #chunk: Uint8Array = EMPTY;
  #at = 0;
  readonly #header = new Uint8Array(FRAME_HEADER_BYTES);
  #headerFilled = 0;
  #gathering: { readonly bytes: Uint8Array; filled: number } | undefined;

  /** `maxFrameBytes` is what we announced as SETTINGS_MAX_FRAME_SIZE. */
  constructor(maxFrameBytes: number) {
    this.#maxFrameBytes = maxFrameBytes;
  }

  /** Gives the decoder its next bytes. All frames of the chunk before must have been read. */
  push(chunk: Uint8Array): void {
    this.#chunk = chunk;
    this.#at = 0;
  }

  /** The next whole frame, or undefined when more bytes are needed. Throws a connection error for an oversized frame. */
  next(): Frame | undefined {
    if (this.#headerFilled === 0 && this.#chunk.length - this.#at >= FRAME_HEADER_BYTES) {
      return this.#nextFromChunk();
    }
    return this.#nextFromPieces();
  }

  #nextFromChunk(): Frame | undefined {
    const chunk = this.#chunk;
    const at = this.#at;
    const length = this.#checkedLength(chunk, at);
    const begin = at + FRAME_HEADER_BYTES;
    const end = begin + length;
    if (end > chunk.length) return this.#nextFromPieces();
    this.#at = end;
    return frameOf(chunk, at, chunk.subarray(begin, end));
  }

  #nextFromPieces(): Frame | undefined {
    if (!this.#fillHeader()) return undefined;
    this.#gathering ??= { bytes: new Uint8Array(this.#checkedLength(this.#header, 0)), filled: 0 };
    const gathering = this.#gathering;
    const count = Math.min(gathering.bytes.length - gathering.filled, this.#chunk.length - this.#at);
    gathering.bytes.set(this.#chunk.subarray(this.#at, this.#at + count), gathering.filled);
    gathering.filled += count;
    this.#at += count;
    if (gathering.filled < gathering.bytes.length) return undefined;
    this.#gathering = undefined;
    this.#headerFilled = 0;
    return frameOf(this.#header, 0, gathering.bytes);
  }

  #fillHeader(): boolean {
    while (this.#headerFilled < FRAME_HEADER_BYTES) {
      const byte = this.#chunk[this.#at];
      if (byte === undefined) {
        this.#chunk = EMPTY;
        this.#at = 0;
        return false;
      }
      this.#header[this.#headerFilled++] = byte;
      this.#at++;
    }
    return true;
  }

  #checkedLength(bytes: Uint8Array, at: number): number {
    const length = readUint24(bytes, at);
    if (length > this.#maxFrameBytes) {
      // RFC 9113 §4.2 allows a stream error for some types; a peer that ignores our setting gets the connection's.
      throw new Http2Error(
        ErrorCode.FRAME_SIZE_ERROR,
        `a frame announces ${length} bytes, limit is ${this.#maxFrameBytes}`,
      );
    }
    return length;
  }
}

function frameOf(header: Uint8Array, at: number, payload: Uint8Array): Frame {
  return {
    type: octet(header, at + 3),
    flags: octet(header, at + 4),
    streamId: readUint31(header, at + 5),
    payload,
  };
}

function octet(bytes: Uint8Array, at: number): number {
  return bytes[at] ?? 0;
}

/** 31 bits, big endian; the reserved first bit is ignored (RFC 9113 §4.1). The caller has checked the length. */
export function readUint31(bytes: Uint8Array, at: number): number {
  return ((octet(bytes, at) & 0x7f) << 24) | readUint24(bytes, at + 1);
}

/** 32 bits, big endian. The caller has checked the length. */
export function readUint32(bytes: Uint8Array, at: number): number {
  return octet(bytes, at) * 0x1000000 + readUint24(bytes, at + 1);
}

function readUint24(bytes: Uint8Array, at: number): number {
  return (octet(bytes, at) << 16) | (octet(bytes, at + 1) << 8) | octet(bytes, at + 2);
}
