import type { OutputBuffer } from "../output_buffer.ts";
import { Flag, FRAME_HEADER_BYTES, FrameType } from "./frame_type.ts";

/** Writes frames (RFC 9113 §6) in place into an output buffer. Lengths and windows are the caller's business. */
export class FrameEncoder {
  readonly #output: OutputBuffer;
  /** The last frame of the output while it is DATA that may still grow. */
  #openData: { readonly streamId: number; readonly at: number; length: number } | undefined;

  /** Writes into `output`. */
  constructor(output: OutputBuffer) {
    this.#output = output;
  }

  /** Must be called when the output was taken: the last frame has left and can't grow any more. */
  outputTaken(): void {
    this.#openData = undefined;
  }

  /**
   * Writes `bytes` from `from` to `to` as DATA of a stream. Where the output still ends with DATA of the same stream,
   * that frame grows, up to `maxFrameBytes`: a thousand small messages leave in a few frames.
   */
  data(
    streamId: number,
    bytes: Uint8Array,
    from: number,
    to: number,
    endStream: boolean,
    maxFrameBytes: number,
  ): void {
    const length = to - from;
    const open = this.#openData;
    let at: number;
    if (open !== undefined && open.streamId === streamId && open.length + length <= maxFrameBytes) {
      at = this.#output.reserve(length);
      open.length += length;
      this.#patchData(open.at, open.length, endStream);
      if (endStream) this.#openData = undefined;
    } else {
      const header = this.#header(length, FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId);
      at = header + FRAME_HEADER_BYTES;
      this.#openData = endStream ? undefined : { streamId, at: header, length };
    }
    copy(bytes, from, to, this.#output.bytes, at);
  }

  /** Writes a header block as HEADERS and as many CONTINUATION as it needs (§6.2, §6.10). */
  headers(streamId: number, block: Uint8Array, endStream: boolean, maxFrameBytes: number): void {
    let type: number = FrameType.HEADERS;
    let flags: number = endStream ? Flag.END_STREAM : 0;
    let from = 0;
    do {
      const to = Math.min(block.length, from + maxFrameBytes);
      if (to === block.length) flags |= Flag.END_HEADERS;
      const at = this.#header(to - from, type, flags, streamId);
      copy(block, from, to, this.#output.bytes, at + FRAME_HEADER_BYTES);
      type = FrameType.CONTINUATION;
      flags = 0;
      from = to;
    } while (from < block.length);
  }

  /** Writes SETTINGS with the given identifier and value pairs (§6.5). */
  settings(pairs: readonly (readonly [number, number])[]): void {
    let at = this.#header(pairs.length * 6, FrameType.SETTINGS, 0, 0) + FRAME_HEADER_BYTES;
    const bytes = this.#output.bytes;
    for (const [identifier, value] of pairs) {
      bytes[at] = identifier >>> 8;
      bytes[at + 1] = identifier;
      writeUint32(bytes, at + 2, value);
      at += 6;
    }
  }

  /** Acknowledges the peer's SETTINGS (§6.5.3). */
  settingsAck(): void {
    this.#header(0, FrameType.SETTINGS, Flag.ACK, 0);
  }

  /** Writes PING with 8 opaque octets (§6.7). */
  ping(opaque: Uint8Array, ack: boolean): void {
    const at = this.#header(8, FrameType.PING, ack ? Flag.ACK : 0, 0);
    copy(opaque, 0, 8, this.#output.bytes, at + FRAME_HEADER_BYTES);
  }

  /** Ends one stream (§6.4). */
  rstStream(streamId: number, code: number): void {
    const at = this.#header(4, FrameType.RST_STREAM, 0, streamId);
    writeUint32(this.#output.bytes, at + FRAME_HEADER_BYTES, code);
  }

  /** Ends the connection, or announces its end (§6.8). */
  goaway(lastStreamId: number, code: number, debug: Uint8Array): void {
    const at = this.#header(8 + debug.length, FrameType.GOAWAY, 0, 0) + FRAME_HEADER_BYTES;
    writeUint32(this.#output.bytes, at, lastStreamId);
    writeUint32(this.#output.bytes, at + 4, code);
    copy(debug, 0, debug.length, this.#output.bytes, at + 8);
  }

  /** Opens a window by `increment` (§6.9); stream 0 is the connection. */
  windowUpdate(streamId: number, increment: number): void {
    const at = this.#header(4, FrameType.WINDOW_UPDATE, 0, streamId);
    writeUint32(this.#output.bytes, at + FRAME_HEADER_BYTES, increment);
  }

  #header(length: number, type: number, flags: number, streamId: number): number {
    this.#openData = undefined;
    const at = this.#output.reserve(FRAME_HEADER_BYTES + length);
    const bytes = this.#output.bytes;
    bytes[at] = length >>> 16;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length;
    bytes[at + 3] = type;
    bytes[at + 4] = flags;
    writeUint32(bytes, at + 5, streamId);
    return at;
  }

  #patchData(at: number, length: number, endStream: boolean): void {
    const bytes = this.#output.bytes;
    bytes[at] = length >>> 16;
    bytes[at + 1] = length >>> 8;
    bytes[at + 2] = length;
    if (endStream) bytes[at + 4] = Flag.END_STREAM;
  }
}

function writeUint32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Below this many bytes a loop beats the call into the runtime. */
const SET_FROM_BYTES = 48;

function copy(source: Uint8Array, from: number, to: number, target: Uint8Array, at: number): void {
  if (to - from >= SET_FROM_BYTES) {
    target.set(from === 0 && to === source.length ? source : source.subarray(from, to), at);
    return;
  }
  for (let i = from; i < to; i++) target[at++] = source[i] ?? 0;
}
