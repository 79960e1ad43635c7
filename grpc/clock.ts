/** Time as a parameter: the protocol code and the tests bring their own. */
export interface Clock {
  /** Monotonic milliseconds; only differences mean something. */
  nowMs(): number;
  /** Calls back once after `ms` milliseconds, unless the returned function is called first. */
  after(ms: number, callback: () => void): () => void;
}

/** Timers of the runtime take at most this delay; longer ones fire at once. */
const MAX_TIMER_MS = 0x7fff_ffff;

/** The clock of the runtime. */
export const systemClock: Clock = {
  nowMs: () => performance.now(),
  after(ms, callback) {
    const handle = setTimeout(callback, Math.min(ms, MAX_TIMER_MS));
    return () => clearTimeout(handle);
  },
};
