/** How many producers each owner has. */
export class ProducerCounts {
  readonly #byOwner = new Map<string, number>();
  #total = 0;

  /** Over all owners. */
  get total(): number {
    return this.#total;
  }

  /** An owner has `count` more. */
  add(owner: string, count = 1): void {
    this.#total += count;
    this.#byOwner.set(owner, (this.#byOwner.get(owner) ?? 0) + count);
  }

  /** An owner has one less. */
  remove(owner: string): void {
    const count = this.#byOwner.get(owner);
    if (count === undefined) return;
    this.#total--;
    if (count === 1) this.#byOwner.delete(owner);
    else this.#byOwner.set(owner, count - 1);
  }

  /** The owners that have the most: mostly one. */
  ownersOfMost(): string[] {
    let [owners, most]: [string[], number] = [[], 0];
    for (const [owner, count] of this.#byOwner) {
      if (count > most) [owners, most] = [[owner], count];
      else if (count === most) owners.push(owner);
    }
    return owners;
  }

  /** Forgets all of them. */
  clear(): void {
    this.#byOwner.clear();
    this.#total = 0;
  }
}
