import type { Metadata } from "./metadata.ts";

/** How fast something must go on. */
export interface Pace {
  /** Milliseconds that it may take whatever comes. */
  readonly graceMs: number;
  /** Bytes that lengthen this by a millisecond. */
  readonly bytesPerMs: number;
}

/** What a client may say of one call beside its messages. */
export interface CallOptions {
  /** Metadata for the server. */
  readonly metadata?: Metadata;
  /** Milliseconds until the call ends with DEADLINE_EXCEEDED; none where absent. */
  readonly timeoutMs?: number;
  /**
   * Ends the call with DEADLINE_EXCEEDED when it has received less than this pace, or can't begin within its grace: for
   * answers whose size is not known before. The server is not told of it. None where absent.
   */
  readonly pace?: Pace;
  /**
   * Largest message that this call receives, instead of the limit of its channel; one that is cut has this much room of its
   * own, too, besides what the unfinished messages of a connection may hold.
   */
  readonly maxReceiveMessageBytes?: number;
  /** Cancels the call, with the status CANCELLED. */
  readonly signal?: AbortSignal;
  /** Told of the metadata that came before the first message. */
  readonly onHeader?: (metadata: Metadata) => void;
  /** Told of the metadata that came with the status, be it OK or not. */
  readonly onTrailer?: (metadata: Metadata) => void;
}
