import type { BusLimits } from "./limits.ts";

/** What a deletion has to do. */
export interface DeletionSize {
  readonly heads: number;
  /** Bytes that are kept for them, roughly. */
  readonly bytes: number;
}

interface Waiting {
  readonly size: DeletionSize;
  readonly start: () => void;
}

/**
 * Bounds what all deletions together have on their way to the store, which does everything in its order: whoever writes
 * waits for no more than that. They begin in the order in which they came; many short ones go together.
 */
export class DeletionLine {
  readonly #limits: Pick<BusLimits, "deletedHeads" | "deletedBytes">;
  #underWay = 0;
  #heads = 0;
  #bytes = 0;
  readonly #waiting: Waiting[] = [];

  /** Within the limits deletions go together; one that exceeds them goes alone. */
  constructor(limits: Pick<BusLimits, "deletedHeads" | "deletedBytes">) {
    this.#limits = limits;
  }

  /** Calls, at once where there is room, what deletes so much. Settles as that does. */
  run<T>(size: DeletionSize, call: () => Promise<T>): Promise<T> {
    if (this.#waiting.length === 0 && this.#hasRoom(size)) return this.#run(size, call);
    return new Promise((resolve) => {
      this.#waiting.push({ size, start: () => resolve(this.#run(size, call)) });
    });
  }

  async #run<T>({ heads, bytes }: DeletionSize, call: () => Promise<T>): Promise<T> {
    this.#underWay++;
    this.#heads += heads;
    this.#bytes += bytes;
    try {
      return await call();
    } finally {
      this.#underWay--;
      this.#heads -= heads;
      this.#bytes -= bytes;
      this.#startNext();
    }
  }

  #startNext(): void {
    for (
      let [next] = this.#waiting;
      next !== undefined && this.#hasRoom(next.size);
      [next] = this.#waiting
    ) {
      this.#waiting.shift();
      next.start();
    }
  }

  #hasRoom({ heads, bytes }: DeletionSize): boolean {
    return this.#underWay === 0 || fits(this.#limits, this.#heads + heads, this.#bytes + bytes);
  }
}

/** Whether so much may be deleted at a time. */
export function fits(
  { deletedHeads, deletedBytes }: Pick<BusLimits, "deletedHeads" | "deletedBytes">,
  heads: number,
  bytes: number,
): boolean {
  return heads <= deletedHeads && bytes <= deletedBytes;
}
