/** Frame types (RFC 9113 §6). */
export const FrameType = {
  DATA: 0x0,
  HEADERS: 0x1,
  PRIORITY: 0x2,
  RST_STREAM: 0x3,
  SETTINGS: 0x4,
  PUSH_PROMISE: 0x5,
  PING: 0x6,
  GOAWAY: 0x7,
  WINDOW_UPDATE: 0x8,
  CONTINUATION: 0x9,
} as const;

/** Flag bits of a frame header; the meaning of 0x1 depends on the type. */
export const Flag = {
  ACK: 0x1,
  END_STREAM: 0x1,
  END_HEADERS: 0x4,
  PADDED: 0x8,
  PRIORITY: 0x20,
} as const;

/** Bytes of a frame header (RFC 9113 §4.1). */
export const FRAME_HEADER_BYTES = 9;

/** One frame as it came: nothing but its length is checked yet. */
export interface Frame {
  /** One of {@linkcode FrameType}, or a type we do not know. */
  readonly type: number;
  readonly flags: number;
  readonly streamId: number;
  /** A view on the received bytes. */
  readonly payload: Uint8Array;
}
