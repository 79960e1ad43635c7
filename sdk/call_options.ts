/** What may be said of a single call. */
export interface CallOptions {
  /** Milliseconds that the call may take; the client's `timeoutMs` where absent. */
  readonly timeoutMs?: number;
  /** Ends the call with MsgbusError "CANCELLED". The daemon may have done it already. */
  readonly signal?: AbortSignal;
}
