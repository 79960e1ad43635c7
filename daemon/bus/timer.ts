/** Calls back once after so many milliseconds, unless the returned function is called first. */
export type Timer = (ms: number, callback: () => void) => () => void;

/** The timers of the runtime. */
export const systemTimer: Timer = (ms, callback) => {
  const handle = setTimeout(callback, ms);
  return () => clearTimeout(handle);
};
