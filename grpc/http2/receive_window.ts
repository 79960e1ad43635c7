/**
 * What the peer may still send on a stream or a connection (RFC 9113 §6.9). Bytes leave the window when they arrive
 * and come back when they are consumed; the peer is told in steps of half a window, so that not every frame costs one.
 */
export class ReceiveWindow {
  readonly #size: number;
  readonly #graceBytes: number;
  /** Below 0 while the peer used what it has in grace. */
  #available: number;
  #consumed = 0;

  /**
   * `size` is the window to keep open, `announced` what the peer already knows of, and `graceBytes` what it may send
   * beyond the window because it may not know yet how small that is.
   */
  constructor(size: number, announced = size, graceBytes = 0) {
    this.#size = size;
    this.#available = announced;
    this.#graceBytes = graceBytes;
    this.#consumed = size - announced;
  }

  /** Counts arrived bytes; false when the peer sent more than it may. */
  receive(count: number): boolean {
    if (count > this.#available + this.#graceBytes) return false;
    this.#available -= count;
    return true;
  }

  /** Counts consumed bytes; returns the increment to announce now, or 0. */
  consume(count: number): number {
    this.#consumed += count;
    if (this.#consumed * 2 < this.#size) return 0;
    const increment = this.#consumed;
    this.#consumed = 0;
    this.#available += increment;
    return increment;
  }
}
