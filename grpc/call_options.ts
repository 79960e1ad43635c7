import type { Metadata } from "./metadata.ts";

/** What a client may say of one call beside its messages. */
export interface CallOptions {
  /** Metadata for the server. */
  readonly metadata?: Metadata;
  /** Milliseconds until the call ends with DEADLINE_EXCEEDED; none where absent. */
  readonly timeoutMs?: number;
  /** Cancels the call, with the status CANCELLED. */
  readonly signal?: AbortSignal;
  /** Told of the metadata that came before the first message. */
  readonly onHeader?: (metadata: Metadata) => void;
  /** Told of the metadata that came with the status, be it OK or not. */
  readonly onTrailer?: (metadata: Metadata) => void;
}
