/** How many producers each owner has. */
export class ProducerCounts {
  readonly #byOwner = new Map<string, number>();
  readonly #byCount = new Map<number, Set<string>>();
  #most = 0;
  #total = 0;

  /** Over all owners. */
  get total(): number {
    return this.#total;
  }

  /** An owner has `count` more. */
  add(owner: string, count = 1): void {
    this.#total += count;
    this.#set(owner, (this.#byOwner.get(owner) ?? 0) + count);
  }

  /** An owner has one less. */
  remove(owner: string): void {
    const count = this.#byOwner.get(owner);
    if (count === undefined) return;
    this.#total--;
    this.#set(owner, count - 1);
  }

  /** The owners that have the most: mostly one, but thousands where each has as many. */
  get ownersOfMost(): ReadonlySet<string> {
    return this.#byCount.get(this.#most) ?? new Set();
  }

  /** Forgets all of them. */
  clear(): void {
    this.#byOwner.clear();
    this.#byCount.clear();
    this.#most = 0;
    this.#total = 0;
  }

  #set(owner: string, count: number): void {
    const before = this.#byOwner.get(owner) ?? 0;
    const equals = this.#byCount.get(before);
    equals?.delete(owner);
    if (equals?.size === 0) this.#byCount.delete(before);
    if (count === 0) this.#byOwner.delete(owner);
    else {
      this.#byOwner.set(owner, count);
      const others = this.#byCount.get(count);
      if (others === undefined) this.#byCount.set(count, new Set([owner]));
      else others.add(owner);
    }
    // One less at most: then it is this owner that has the most now.
    this.#most = this.#byCount.has(this.#most) ? Math.max(this.#most, count) : count;
  }
}
