/** The calls of a connection, as far as the pool needs to know them. */
export interface TurnWaiter {
  /** Tries again: a turn has become free. */
  advance(): void;
}

/** The turns of all connections of a server: so many at a time, in the order in which connections asked in vain. */
export class TurnPool {
  readonly #limit: number;
  readonly #waiting = new Set<TurnWaiter>();
  #taken = 0;

  /** At most `limit` have their turn at the same time. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes a turn; where all are taken, false, and `waiter` is told when one has become free. */
  tryTake(waiter: TurnWaiter): boolean {
    if (this.#taken >= this.#limit) {
      this.#waiting.add(waiter);
      return false;
    }
    this.#taken++;
    return true;
  }

  /** A turn is over. */
  end(): void {
    this.#taken--;
    for (const waiter of this.#waiting) {
      if (this.#taken >= this.#limit) return;
      this.#waiting.delete(waiter);
      waiter.advance();
    }
  }
}
