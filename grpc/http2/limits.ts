/**
 * What one HTTP/2 connection may cost. Each limit says what happens when it is reached.
 */
export interface Http2Limits {
  /** Largest frame payload that we accept, announced as SETTINGS_MAX_FRAME_SIZE; beyond it FRAME_SIZE_ERROR. 16,384 to 16,777,215. */
  readonly maxFrameBytes: number;
  /** HPACK table for the peer's headers, announced as SETTINGS_HEADER_TABLE_SIZE; beyond it COMPRESSION_ERROR. */
  readonly headerTableBytes: number;
  /** Decoded size of one header list (RFC 9113 §6.5.2 counts 32 octets a field on top); beyond it the stream is reset with ENHANCE_YOUR_CALM, beyond four times that the connection ends with it (CVE-2016-6581). */
  readonly maxHeaderListBytes: number;
  /** Fields of one header list; beyond it the stream is reset with ENHANCE_YOUR_CALM. */
  readonly maxHeaderFields: number;
  /**
   * The same size over the lists of all open streams, and so at most a field for every 32 octets of it; one more stream
   * is refused with REFUSED_STREAM (CVE-2026-49975).
   */
  readonly maxOpenHeaderListBytes: number;
  /** Compressed bytes of one header block over all its frames; beyond it the connection ends with ENHANCE_YOUR_CALM. */
  readonly maxHeaderBlockBytes: number;
  /** CONTINUATION frames of one header block; beyond it the connection ends with ENHANCE_YOUR_CALM. */
  readonly maxContinuationFrames: number;
  /** Streams that the peer may hold open, announced as SETTINGS_MAX_CONCURRENT_STREAMS; one more is refused with REFUSED_STREAM. */
  readonly maxConcurrentStreams: number;
  /** Unread bytes that the peer may send on one stream, announced as SETTINGS_INITIAL_WINDOW_SIZE; beyond it FLOW_CONTROL_ERROR. */
  readonly streamWindowBytes: number;
  /** Unread bytes that the peer may send on all streams together; at least 65,535; beyond it FLOW_CONTROL_ERROR. */
  readonly connectionWindowBytes: number;
  /** Payload of the frames that we send, however large the peer takes them: a larger one would fill the output alone, and keep the other streams waiting. At least 16,384. */
  readonly maxSentFrameBytes: number;
  /** Output that waits for the socket before DATA stays in the queue of its stream. */
  readonly maxWaitingOutputBytes: number;
  /** Output that waits for the socket, answers to PING and SETTINGS included, before the connection ends with ENHANCE_YOUR_CALM. */
  readonly maxOutputBytes: number;
  /** Streams reset by the peer, or by us for its fault; over the rate the connection ends with ENHANCE_YOUR_CALM (CVE-2023-44487, CVE-2025-8671). */
  readonly resets: RateLimit;
  /** PING frames that we must answer; over the rate the connection ends with ENHANCE_YOUR_CALM (CVE-2019-9512). */
  readonly pings: RateLimit;
  /** SETTINGS frames that we must answer; over the rate the connection ends with ENHANCE_YOUR_CALM (CVE-2019-9515). */
  readonly settings: RateLimit;
  /**
   * Frames that carry nothing (empty DATA without END_STREAM, PRIORITY, unknown types, HEADERS of a stream that we
   * reset, WINDOW_UPDATE by less than five bytes or beyond what our own frames explain); over the rate the
   * connection ends with ENHANCE_YOUR_CALM (CVE-2019-9511, CVE-2019-9513, CVE-2019-9518).
   */
  readonly idleFrames: RateLimit;
  /**
   * Bytes by which DATA frames without END_STREAM stay below three bytes each; larger frames make up for it. Over the
   * rate the connection ends with ENHANCE_YOUR_CALM. No honest sender gets there: the smallest gRPC messages have 5
   * bytes in one frame, or 6 in two.
   */
  readonly tinyData: RateLimit;
}

/** A token bucket: `burst` at once, refilled with `perSecond`. */
export interface RateLimit {
  /** How many may come at once. */
  readonly burst: number;
  /** How many may come a second in the long run. */
  readonly perSecond: number;
}

/** The limits of a connection that sets none. */
export const DEFAULT_HTTP2_LIMITS: Http2Limits = {
  maxFrameBytes: 16_384,
  headerTableBytes: 4_096,
  maxHeaderListBytes: 16_384,
  maxHeaderFields: 128,
  maxOpenHeaderListBytes: 4_194_304,
  maxHeaderBlockBytes: 32_768,
  maxContinuationFrames: 8,
  maxConcurrentStreams: 1_024,
  streamWindowBytes: 262_144,
  connectionWindowBytes: 1_048_576,
  maxSentFrameBytes: 65_536,
  maxWaitingOutputBytes: 262_144,
  maxOutputBytes: 1_048_576,
  // The numbers of nghttp2: an honest client that cancels for a living stays below 33 a second on average.
  resets: { burst: 1_000, perSecond: 33 },
  pings: { burst: 100, perSecond: 10 },
  settings: { burst: 100, perSecond: 10 },
  idleFrames: { burst: 1_000, perSecond: 100 },
  tinyData: { burst: 3_000, perSecond: 300 },
};
