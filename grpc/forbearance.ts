/**
 * A look that comes so much later than it was to says that this process stood still (stopped, or busy): an answer that
 * came meanwhile is not read yet.
 */
const LATE_MS = 100;

/** Whether a question deserves more time, because this process stood still while it waited. No clock; times are milliseconds. */
export class Forbearance {
  /** When the next look is to be. */
  #dueMs = Infinity;
  #late = false;
  #forborne = false;

  /** A question was asked. */
  asked(): void {
    this.#forborne = false;
  }

  /** The next look is to be in so many milliseconds. */
  expectLook(nowMs: number, inMs: number): void {
    this.#dueMs = nowMs + inMs;
  }

  /** This is a look. */
  look(nowMs: number): void {
    this.#late = nowMs - this.#dueMs >= LATE_MS;
  }

  /** Whether to wait once more instead of giving up now: this look comes late, and it is the first time since the question. */
  forbear(): boolean {
    if (!this.#late || this.#forborne) return false;
    return this.#forborne = true;
  }
}
