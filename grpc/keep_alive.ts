import { Forbearance } from "./forbearance.ts";
import { SLOWEST_BYTES_PER_MS } from "./limits.ts";

/** A peer may answer this many times later than it did the last time before it counts as gone. */
const ANSWER_FACTOR = 3;

/** When a silent peer is asked whether it is there, and when it counts as gone. No I/O, no clock; times are milliseconds. */
export class KeepAlive {
  readonly #intervalMs: number;
  readonly #timeoutMs: number;
  #lastReceivedMs: number;
  #askedMs: number | undefined;
  #answerMs = 0;
  readonly #forbearance = new Forbearance();
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
    this.#forbearance.look(nowMs);
    const decision = this.#decide(nowMs);
    this.#forbearance.expectLook(nowMs, decision.againMs);
    return decision;
  }

  #decide(nowMs: number): ReturnType<KeepAlive["look"]> {
    const patienceMs = Math.max(
      this.#timeoutMs,
      ANSWER_FACTOR * this.#answerMs,
      Math.ceil(this.#sentBytes / SLOWEST_BYTES_PER_MS),
    );
    if (this.#askedMs !== undefined) {
      const leftMs = this.#askedMs + patienceMs - nowMs;
      if (leftMs > 0) return { now: "wait", againMs: leftMs };
      if (!this.#forbearance.forbear()) return { now: "give up", againMs: 0 };
      this.#askedMs = nowMs;
      return { now: "wait", againMs: patienceMs };
    }
    const leftMs = this.#lastReceivedMs + this.#intervalMs - nowMs;
    if (leftMs > 0) return { now: "wait", againMs: leftMs };
    this.#askedMs = nowMs;
    this.#forbearance.asked();
    return { now: "ask", againMs: patienceMs };
  }
}
