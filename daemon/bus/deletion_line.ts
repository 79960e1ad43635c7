interface Waiting {
  readonly heads: number;
  readonly start: () => void;
}

/**
 * Bounds what all deletions together have on their way to the store, which does everything in its order: whoever writes
 * waits for no more than that. They begin in the order in which they came; many short ones go together.
 */
export class DeletionLine {
  readonly #maxHeads: number;
  #heads = 0;
  readonly #waiting: Waiting[] = [];

  /** `maxHeads` are deleted at a time; more than that go alone. */
  constructor(maxHeads: number) {
    this.#maxHeads = maxHeads;
  }

  /** Calls, at once where there is room, what deletes so many heads. Settles as that does. */
  run<T>(heads: number, call: () => Promise<T>): Promise<T> {
    if (this.#waiting.length === 0 && this.#hasRoom(heads)) return this.#run(heads, call);
    return new Promise((resolve) => {
      this.#waiting.push({ heads, start: () => resolve(this.#run(heads, call)) });
    });
  }

  async #run<T>(heads: number, call: () => Promise<T>): Promise<T> {
    this.#heads += heads;
    try {
      return await call();
    } finally {
      this.#heads -= heads;
      this.#startNext();
    }
  }

  #startNext(): void {
    for (
      let [next] = this.#waiting;
      next !== undefined && this.#hasRoom(next.heads);
      [next] = this.#waiting
    ) {
      this.#waiting.shift();
      next.start();
    }
  }

  #hasRoom(heads: number): boolean {
    return this.#heads === 0 || this.#heads + heads <= this.#maxHeads;
  }
}
