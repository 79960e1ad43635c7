/** A peer may answer this many times later than it did the last time before it counts as gone. */
const ANSWER_FACTOR = 3;

/**
 * A look that comes so much later than it was to says that this process stood still (stopped, or busy): an answer that
 * came meanwhile is not read yet.
 */
const LATE_MS = 100;

/** Bytes that the slowest link takes in a millisecond: a question arrives behind all that was sent before it. */
const SLOWEST_BYTES_PER_MS = 16;

/** When a silent peer is asked whether it is there, and when it counts as gone. No I/O, no clock; times are milliseconds. */
export class KeepAlive {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  #lastReceivedMs: number;
  #askedMs: number | undefined;
  #answerMs = 0;
  /** When the next look is to be. */
  #dueMs = Infinity;
  /** Whether the peer was given more time since it was asked, because this process stood still. */
  #forborne = false;
  /** Since something came. */
  #sentBytes = 0;

  /**
   * Asks after `intervalMs` without a byte, and waits `timeoutMs` for the answer, or three times as long as the last one
   * took where that is more: far peers answer late; or as long as a link of 16 kB/s needs for
   * what was sent since something came. Anything that comes is an answer. Where the look that would give up
   * comes late, it waits once more. `nowMs` is when the first byte is begun to be waited for.
   */
  constructor(intervalMs: number, timeoutMs: number, nowMs: number) {
    this.#intervalMs = intervalMs;
    this.#timeoutMs = timeoutMs;
    this.#lastReceivedMs = nowMs;
    this.#askedMs = nowMs;
  }

  /** When the peer was heard last. */
  get lastReceivedMs(): number {
    return this.#lastReceivedMs;
  }

  /** Something was sent. */
  sent(bytes: number): void {
    this.#sentBytes += bytes;
  }

  /** Something came. */
  received(nowMs: number): void {
    this.#lastReceivedMs = nowMs;
    this.#sentBytes = 0;
    if (this.#askedMs === undefined) return;
    this.#answerMs = nowMs - this.#askedMs;
    this.#askedMs = undefined;
  }

  /** What to do now, and in how many milliseconds to look again. */
  look(nowMs: number): { readonly now: "wait" | "ask" | "give up"; readonly againMs: number } {
    const isLate = nowMs - this.#dueMs >= LATE_MS;
    const decision = this.#decide(nowMs, isLate);
    this.#dueMs = nowMs + decision.againMs;
    return decision;
  }

  #decide(nowMs: number, isLate: boolean): ReturnType<KeepAlive["look"]> {
    const patienceMs = Math.max(
      this.#timeoutMs,
      ANSWER_FACTOR * this.#answerMs,
      Math.ceil(this.#sentBytes / SLOWEST_BYTES_PER_MS),
    );
    if (this.#askedMs !== undefined) {
      const leftMs = this.#askedMs + patienceMs - nowMs;
      if (leftMs > 0) return { now: "wait", againMs: leftMs };
      if (!isLate || this.#forborne) return { now: "give up", againMs: 0 };
      this.#forborne = true;
      this.#askedMs = nowMs;
      return { now: "wait", againMs: patienceMs };
    }
    const leftMs = this.#lastReceivedMs + this.#intervalMs - nowMs;
    if (leftMs > 0) return { now: "wait", againMs: leftMs };
    this.#askedMs = nowMs;
    this.#forborne = false;
    return { now: "ask", againMs: patienceMs };
  }
}
