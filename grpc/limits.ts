import { DEFAULT_HTTP2_LIMITS, type Http2Limits } from "./http2/limits.ts";

/** What a server or a channel accepts and keeps. */
export interface GrpcLimits {
  /** Largest message that is received; a larger one ends its call with RESOURCE_EXHAUSTED before it is gathered. */
  readonly maxReceiveMessageBytes: number;
  /** Bytes that a call may have waiting for its peer's window before `write` waits. */
  readonly maxQueuedBytes: number;
  /**
   * The same over all calls of a connection: beyond it `write` waits for whatever its call has waiting, and a call of
   * which nothing waits yet ends with UNAVAILABLE when its message would.
   */
  readonly maxQueuedBytesPerConnection: number;
  /**
   * Bytes that may wait on a connection before its calls are let read more to send (`inTurn`), whose windows are shut.
   * A call that has an open window and nothing waiting goes on up to the limit above.
   */
  readonly maxQueuedBytesAhead: number;
  /**
   * Bytes that may wait on all connections of a server together before only calls that have an open window and nothing
   * waiting are let read more to send (`inTurn`): connections that take nothing can be many.
   */
  readonly maxQueuedBytesAheadOfAll: number;
  /** Calls of a connection that may read what to send at the same time (`inTurn`); the others wait in line. */
  readonly maxTurnsPerConnection: number;
  /** The same over all connections of a server. */
  readonly maxTurns: number;
  /** Bytes of messages whose end has not come yet, over all calls of a connection; a call that needs more ends with RESOURCE_EXHAUSTED. */
  readonly maxGatheringBytesPerConnection: number;
  /** The same over all connections of a server. */
  readonly maxGatheringBytes: number;
  /**
   * Connections that a server holds open. One more takes the place of the oldest that has not sent its preface and
   * SETTINGS, else of the one without calls that was silent longest; where all have calls, it is closed at once.
   */
  readonly maxConnections: number;
  /**
   * Milliseconds that a new connection has for its preface and SETTINGS before it is closed, and a request that is no gRPC
   * for its end before it is answered without: there are clients that wait for the answer first.
   */
  readonly handshakeTimeoutMs: number;
  /** Milliseconds without a byte from the peer before a PING is sent; 0 sends none. */
  readonly keepAliveIntervalMs: number;
  /**
   * Milliseconds to wait for an answer to that PING, or for anything else, before the connection is closed; three times as
   * long as the last answer took where that is more, and longer where much was sent before it (see KeepAlive).
   */
  readonly keepAliveTimeoutMs: number;
  /**
   * Milliseconds in which a peer must take something of what waits for it; 0 waits for ever. A call of a server of whose
   * queued bytes none has left for that long (the peer's window is shut) ends with UNAVAILABLE, and a connection that
   * takes no bytes at all is closed. Up to a quarter more passes before it is noticed. A paused reader for whom nothing
   * waits is left alone, and so are the calls of a client, which have deadlines.
   */
  readonly stallTimeoutMs: number;
  /**
   * Milliseconds for which a connection that floods is left alone after its GOAWAY (ENHANCE_YOUR_CALM) before it is closed:
   * nothing of it is read, and whoever connects anew only when it is closed floods so much less often. 0 closes at once.
   */
  readonly calmTimeoutMs: number;
  /** Milliseconds that a closing connection has to deliver its last bytes. */
  readonly closeTimeoutMs: number;
  /** What one connection may cost. */
  readonly http2: Http2Limits;
}

/** The limits of a server or channel that sets none. */
export const DEFAULT_GRPC_LIMITS: GrpcLimits = {
  maxReceiveMessageBytes: 4_194_304,
  maxQueuedBytes: 1_048_576,
  maxQueuedBytesPerConnection: 16_777_216,
  maxQueuedBytesAhead: 1_048_576,
  maxQueuedBytesAheadOfAll: 16_777_216,
  maxTurnsPerConnection: 2,
  maxTurns: 8,
  maxGatheringBytesPerConnection: 33_554_432,
  maxGatheringBytes: 268_435_456,
  maxConnections: 10_240,
  handshakeTimeoutMs: 10_000,
  keepAliveIntervalMs: 60_000,
  keepAliveTimeoutMs: 20_000,
  stallTimeoutMs: 60_000,
  calmTimeoutMs: 250,
  closeTimeoutMs: 1_000,
  http2: DEFAULT_HTTP2_LIMITS,
};

/**
 * Bytes that the slowest link takes in a millisecond: a question arrives behind all that was sent before it, and an answer
 * when its last byte does.
 */
export const SLOWEST_BYTES_PER_MS = 16;
