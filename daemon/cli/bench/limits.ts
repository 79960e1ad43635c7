/** Bounds of `bench`. A value beyond one is a usage error. */
export const BENCH_LIMITS = {
  /** Messages of one workload. */
  messages: 100_000_000,
  /** Bytes of a payload: what a message may have without headers. */
  payloadBytes: 4_177_920,
  /** Publishes in flight, or of one wave. */
  inFlight: 100_000,
  /** Subscribers at once, each with a connection of its own. */
  subscribers: 10_000,
  /** Publishes a second of the open loop. */
  rate: 1_000_000,
  /** Seconds of one workload. */
  seconds: 3_600,
  /** Messages of a fan-out on their way to some subscriber; the publisher waits before one more. */
  fanoutInFlight: 256,
  /**
   * Publishes of the open loop without an answer; the next waits. It still counts from when it was due, so what a slow
   * daemon costs shows all the same.
   */
  openLoopInFlight: 50_000,
  /** Messages that one call erases at the end, so that it ends in time. */
  deletedAtOnce: 100_000,
} as const;
