/** Bytes that may be held at the same time, within those of a larger whole where one is given. */
export class ByteBudget {
  readonly #limit: number;
  readonly #whole: ByteBudget | undefined;
  #held = 0;

  /** `limit` bytes, which also count against `whole`. */
  constructor(limit: number, whole?: ByteBudget) {
    this.#limit = limit;
    this.#whole = whole;
  }

  /** Takes `count` bytes; false, and nothing taken, where there are not that many left. */
  take(count: number): boolean {
    if (this.#held + count > this.#limit) return false;
    if (this.#whole !== undefined && !this.#whole.take(count)) return false;
    this.#held += count;
    return true;
  }

  /** Gives `count` bytes back. */
  give(count: number): void {
    this.#held -= count;
    this.#whole?.give(count);
  }
}
