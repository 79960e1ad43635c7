/** What the publishing thread of an open loop is told. */
export interface OpenLoopOrder {
  readonly address: string;
  readonly topic: string;
  readonly messages: number;
  /** Messages a second. */
  readonly rate: number;
  readonly payloadBytes: number;
}

/** What it says when all is acknowledged. */
export interface OpenLoopReport {
  /** Milliseconds that each message was sent after it was due. */
  readonly lateMs: Float64Array;
}

/** Milliseconds on a clock that threads have in common. */
export function sharedNow(): number {
  return performance.timeOrigin + performance.now();
}
