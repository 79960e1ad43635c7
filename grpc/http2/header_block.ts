import { ErrorCode } from "./error_code.ts";
import { Flag, type Frame, FrameType } from "./frame/frame_type.ts";
import { readUint31 } from "./frame/frame_decoder.ts";
import { HpackDecoder } from "./hpack/decoder.ts";
import { HpackError } from "./hpack/error.ts";
import type { HeaderField } from "./hpack/header_field.ts";
import { DEFAULT_TABLE_BYTES } from "./hpack/limits.ts";
import { Http2Error } from "./http2_error.ts";
import type { Http2Limits } from "./limits.ts";

/** A list this many times over the announced limit is no mistake: to decode more of them is work for nothing. */
const BOMB_FACTOR = 4;

/** A whole, decoded header block. */
export interface HeaderBlock {
  readonly streamId: number;
  readonly fields: readonly HeaderField[];
  readonly endStream: boolean;
  /** The list was over our limits; what is over them was not kept. */
  readonly tooLarge: boolean;
  /** The size of the list (RFC 9113 §6.5.2). */
  readonly listBytes: number;
  /** The priority fields name the stream itself (RFC 7540 §5.3.1). */
  readonly selfDependent: boolean;
}

interface OpenBlock {
  readonly streamId: number;
  readonly endStream: boolean;
  readonly selfDependent: boolean;
  readonly fragments: Uint8Array[];
  bytes: number;
}

/** Gathers HEADERS and its CONTINUATION frames (RFC 9113 §6.2, §6.10) and decodes them, within the limits. */
export class HeaderBlockReader {
  readonly #limits: Http2Limits;
  readonly #hpack: HpackDecoder;
  #open: OpenBlock | undefined;

  /** Decodes within the limits that are announced. */
  constructor(limits: Http2Limits) {
    this.#limits = limits;
    this.#hpack = new HpackDecoder({
      // Until the peer knows our SETTINGS it may count with the RFC's size (RFC 9113 §4.3.1).
      maxTableBytes: Math.max(limits.headerTableBytes, DEFAULT_TABLE_BYTES),
      maxListBytes: limits.maxHeaderListBytes,
      maxFields: limits.maxHeaderFields,
    });
  }

  /** Whether a block waits for its CONTINUATION. */
  get open(): boolean {
    return this.#open !== undefined;
  }

  /** The peer has applied our SETTINGS: its table is bounded by what they say, and it says so itself (RFC 7541 §4.2). */
  settingsAcknowledged(): void {
    this.#hpack.setMaxTableBytes(this.#limits.headerTableBytes);
  }

  /** Reads a HEADERS or CONTINUATION frame; returns the block when it is whole. Throws connection errors. */
  read(frame: Frame): HeaderBlock | undefined {
    const open = frame.type === FrameType.HEADERS ? this.#begin(frame) : this.#continue(frame);
    if ((frame.flags & Flag.END_HEADERS) === 0) return undefined;
    this.#open = undefined;
    return this.#decode(open);
  }

  #begin(frame: Frame): OpenBlock {
    const { streamId, payload, flags } = frame;
    if (streamId === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0 (§6.2)");
    const priorityAt = (flags & Flag.PADDED) === 0 ? 0 : 1;
    const from = priorityAt + ((flags & Flag.PRIORITY) === 0 ? 0 : 5);
    if (payload.length < from) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "HEADERS has no room for what its flags say (§4.2)");
    }
    const to = (flags & Flag.PADDED) === 0 ? payload.length : payload.length - (payload[0] ?? 0);
    if (from > to) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "the padding is longer than HEADERS (§6.2)");
    }
    const fragment = payload.subarray(from, to);
    this.#open = {
      streamId,
      endStream: (flags & Flag.END_STREAM) !== 0,
      selfDependent: (flags & Flag.PRIORITY) !== 0 && readUint31(payload, priorityAt) === streamId,
      fragments: [fragment],
      bytes: fragment.length,
    };
    return this.#checked(this.#open);
  }

  #continue(frame: Frame): OpenBlock {
    const open = this.#open;
    if (open === undefined || open.streamId !== frame.streamId) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "CONTINUATION without its HEADERS (§6.10)");
    }
    open.fragments.push(frame.payload);
    open.bytes += frame.payload.length;
    return this.#checked(open);
  }

  #checked(open: OpenBlock): OpenBlock {
    if (open.bytes > this.#limits.maxHeaderBlockBytes) {
      throw new Http2Error(
        ErrorCode.ENHANCE_YOUR_CALM,
        `a header block has more than ${this.#limits.maxHeaderBlockBytes} bytes`,
      );
    }
    if (open.fragments.length - 1 > this.#limits.maxContinuationFrames) {
      throw new Http2Error(
        ErrorCode.ENHANCE_YOUR_CALM,
        `a header block has more than ${this.#limits.maxContinuationFrames} CONTINUATION frames`,
      );
    }
    return open;
  }

  #decode(open: OpenBlock): HeaderBlock {
    try {
      const { fields, tooLarge, listBytes } = this.#hpack.decode(joined(open));
      if (listBytes > BOMB_FACTOR * this.#limits.maxHeaderListBytes) {
        throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, `a header list has ${listBytes} bytes`);
      }
      return {
        streamId: open.streamId,
        fields,
        endStream: open.endStream,
        tooLarge,
        listBytes,
        selfDependent: open.selfDependent,
      };
    } catch (error) {
      if (!(error instanceof HpackError)) throw error;
      throw new Http2Error(ErrorCode.COMPRESSION_ERROR, error.message);
    }
  }
}

function joined(open: OpenBlock): Uint8Array {
  const [first] = open.fragments;
  if (open.fragments.length === 1 && first !== undefined) return first;
  const whole = new Uint8Array(open.bytes);
  let at = 0;
  for (const fragment of open.fragments) {
    whole.set(fragment, at);
    at += fragment.length;
  }
  return whole;
}
