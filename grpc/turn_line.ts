import type { TurnPool } from "./turn_pool.ts";

/** Who may have to wait for its turn. */
export interface TurnTaker {
  /** Whether there is room for what it would make. */
  readonly hasRoom: boolean;
}

/** One that waits, and how it is told. */
interface Waiting {
  readonly taker: TurnTaker;
  readonly go: () => void;
}

/**
 * The calls of a connection that would read or make something to send, in the order in which they came: a few at a time
 * have their turn, and only while there is room for what they make. Whoever has no room lets the others pass.
 */
export class TurnLine {
  readonly #limit: number;
  readonly #pool: TurnPool;
  readonly #waiting = new Set<Waiting>();
  #taken = 0;

  /** At most `limit` have their turn at the same time, of those that all connections have. */
  constructor(limit: number, pool: TurnPool) {
    this.#limit = limit;
    this.#pool = pool;
  }

  /** Takes a turn at once; false where there is no room, or all turns are taken. To be followed by {@linkcode end}. */
  tryTake(taker: TurnTaker): boolean {
    if (this.#taken >= this.#limit || !taker.hasRoom || !this.#pool.tryTake(this)) return false;
    this.#taken++;
    return true;
  }

  /** Joins the line; `go` is called when the turn has come, and is to be followed by {@linkcode end}. Returns how to leave. */
  join(taker: TurnTaker, go: () => void): () => void {
    const waiting = { taker, go };
    this.#waiting.add(waiting);
    return () => void this.#waiting.delete(waiting);
  }

  /** A turn is over. */
  end(): void {
    this.#taken--;
    this.#pool.end();
    this.advance();
  }

  /** Lets in whose turn it is. To be called when there may be more room than before. */
  advance(): void {
    for (const waiting of this.#waiting) {
      if (this.#taken >= this.#limit) return;
      if (!waiting.taker.hasRoom) continue;
      if (!this.#pool.tryTake(this)) return;
      this.#waiting.delete(waiting);
      this.#taken++;
      waiting.go();
    }
  }
}
