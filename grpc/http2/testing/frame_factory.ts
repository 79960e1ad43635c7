import { Flag, FrameType } from "../frame/frame_type.ts";
import { HpackEncoder } from "../hpack/encoder.ts";
import type { HeaderField } from "../hpack/header_field.ts";
import { CLIENT_PREFACE } from "../preface.ts";

/** Makes frames for tests, right ones and wrong ones: nothing is checked here. */
export class FrameFactory {
  readonly #hpack = new HpackEncoder({ maxTableBytes: 4_096 });

  /** Bounds the table of {@linkcode block}, which then says so. */
  tableBytes(maxTableBytes: number): void {
    this.#hpack.setMaxTableBytes(maxTableBytes);
  }

  /** What a client sends first: the preface and SETTINGS. */
  hello(settings: readonly (readonly [number, number])[] = []): Uint8Array {
    return concat(CLIENT_PREFACE, this.settings(settings));
  }

  /** Any frame. */
  frame(
    type: number,
    flags: number,
    streamId: number,
    payload: Uint8Array | readonly number[] = [],
  ): Uint8Array {
    const body = Uint8Array.from(payload);
    return concat(
      [body.length >>> 16, body.length >>> 8, body.length, type, flags],
      [streamId >>> 24, streamId >>> 16, streamId >>> 8, streamId],
      body,
    );
  }

  /** A header block by a table that lives as long as the factory. */
  block(fields: Readonly<Record<string, string>> | readonly HeaderField[]): Uint8Array {
    const list = Array.isArray(fields)
      ? fields as readonly HeaderField[]
      : Object.entries(fields).map(([name, value]) => ({ name, value }));
    return this.#hpack.encode(list);
  }

  /** HEADERS of a request or a response, whole. */
  headers(
    streamId: number,
    fields: Readonly<Record<string, string>> | readonly HeaderField[],
    { endStream = false, endHeaders = true }: { endStream?: boolean; endHeaders?: boolean } = {},
  ): Uint8Array {
    const flags = (endStream ? Flag.END_STREAM : 0) | (endHeaders ? Flag.END_HEADERS : 0);
    return this.frame(FrameType.HEADERS, flags, streamId, this.block(fields));
  }

  /** DATA. */
  data(streamId: number, bytes: Uint8Array | readonly number[], endStream = false): Uint8Array {
    return this.frame(FrameType.DATA, endStream ? Flag.END_STREAM : 0, streamId, bytes);
  }

  /** SETTINGS. */
  settings(pairs: readonly (readonly [number, number])[] = []): Uint8Array {
    return this.frame(
      FrameType.SETTINGS,
      0,
      0,
      pairs.flatMap(([id, value]) => [id >>> 8, id & 0xff, ...uint32(value)]),
    );
  }

  /** The acknowledgement of SETTINGS. */
  settingsAck(): Uint8Array {
    return this.frame(FrameType.SETTINGS, Flag.ACK, 0);
  }

  /** WINDOW_UPDATE. */
  windowUpdate(streamId: number, increment: number): Uint8Array {
    return this.frame(FrameType.WINDOW_UPDATE, 0, streamId, uint32(increment));
  }

  /** RST_STREAM. */
  rstStream(streamId: number, code: number): Uint8Array {
    return this.frame(FrameType.RST_STREAM, 0, streamId, uint32(code));
  }

  /** PRIORITY, which makes a stream depend on another. */
  priority(streamId: number, dependsOn = 0): Uint8Array {
    return this.frame(FrameType.PRIORITY, 0, streamId, [...uint32(dependsOn), 15]);
  }

  /** PING. */
  ping(ack = false): Uint8Array {
    return this.frame(FrameType.PING, ack ? Flag.ACK : 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]);
  }

  /** GOAWAY. */
  goaway(lastStreamId: number, code: number): Uint8Array {
    return this.frame(FrameType.GOAWAY, 0, 0, [...uint32(lastStreamId), ...uint32(code)]);
  }
}

/** A request as gRPC sends it. */
export const REQUEST: Readonly<Record<string, string>> = {
  ":method": "POST",
  ":scheme": "http",
  ":path": "/test.Service/Method",
  ":authority": "localhost",
  "te": "trailers",
  "content-type": "application/grpc",
};

/** The headers of an answer as gRPC sends it. */
export const ANSWER: Readonly<Record<string, string>> = {
  ":status": "200",
  "content-type": "application/grpc",
};

/** One array of all pieces. */
export function concat(...pieces: readonly (Uint8Array | readonly number[])[]): Uint8Array {
  const whole = new Uint8Array(pieces.reduce((sum, piece) => sum + piece.length, 0));
  let at = 0;
  for (const piece of pieces) {
    whole.set(piece, at);
    at += piece.length;
  }
  return whole;
}

/** 32 bits, big endian. */
export function uint32(value: number): number[] {
  return [value >>> 24, (value >>> 16) & 0xff, (value >>> 8) & 0xff, value & 0xff];
}
