const FIRST_CAPACITY = 4;
/** Places that stay where the last stream has gone; more of them are given back. */
const MOST_KEPT = 64;
/** Below this part of the places a search is short. */
const FILLED_PART = 0.5;
/** 2^32 divided by the golden ratio: numbers that follow one another are spread over all places. */
const SPREAD = 0x9e37_79b1;

/**
 * What belongs to the streams of a connection, by their numbers. A `Map` would do but for the collector: when it replaces
 * its table, the old one goes on to refer to the new one, and once one of them is old, everything that ever passes through
 * counts as referred to, and grows old, too. Streams come and go; this has one table for all of them until it grows.
 */
export class StreamMap<T> {
  /** 0 where a place is free: no stream has that number. */
  #ids: number[] = [];
  #values: (T | undefined)[] = [];
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** What belongs to a stream. */
  get(id: number): T | undefined {
    return this.#size === 0 ? undefined : this.#values[this.#placeOf(id)];
  }

  /** Adds what belongs to a stream, or replaces it. */
  set(id: number, value: T): void {
    if (this.#size >= this.#ids.length * FILLED_PART) this.#grow();
    const at = this.#placeOf(id);
    if (this.#ids[at] === 0) {
      this.#ids[at] = id;
      this.#size++;
    }
    this.#values[at] = value;
  }

  /** Takes out what belongs to a stream; nothing happens where there is none. */
  delete(id: number): void {
    if (this.#size === 0) return;
    const mask = this.#ids.length - 1;
    let free = this.#placeOf(id);
    if (this.#ids[free] === 0) return;
    this.#size--;
    // Those behind it that stand there only because it was taken move up.
    for (let at = (free + 1) & mask; this.#ids[at] !== 0; at = (at + 1) & mask) {
      const wish = this.#wish(this.#ids[at] ?? 0);
      if (((at - wish) & mask) < ((at - free) & mask)) continue;
      this.#ids[free] = this.#ids[at] ?? 0;
      this.#values[free] = this.#values[at];
      free = at;
    }
    this.#ids[free] = 0;
    this.#values[free] = undefined;
    if (this.#size === 0 && mask >= MOST_KEPT) this.clear();
  }

  /** All there are, by the numbers of their streams. What is added or taken out later makes no difference. */
  values(): T[] {
    const places = [...this.#ids.keys()].filter((at) => this.#ids[at] !== 0);
    places.sort((a, b) => (this.#ids[a] ?? 0) - (this.#ids[b] ?? 0));
    const values: T[] = [];
    for (const at of places) {
      const value = this.#values[at];
      if (value !== undefined) values.push(value);
    }
    return values;
  }

  /** Takes all out. */
  clear(): void {
    this.#ids = [];
    this.#values = [];
    this.#size = 0;
  }

  #wish(id: number): number {
    return (Math.imul(id, SPREAD) >>> 8) & (this.#ids.length - 1);
  }

  /** Where it is, or the free place where it would go. */
  #placeOf(id: number): number {
    const mask = this.#ids.length - 1;
    let at = this.#wish(id);
    while (this.#ids[at] !== 0 && this.#ids[at] !== id) at = (at + 1) & mask;
    return at;
  }

  #grow(): void {
    const [ids, values] = [this.#ids, this.#values];
    const capacity = Math.max(FIRST_CAPACITY, 2 * ids.length);
    this.#ids = new Array<number>(capacity).fill(0);
    this.#values = new Array<T | undefined>(capacity).fill(undefined);
    ids.forEach((id, from) => {
      if (id === 0) return;
      const at = this.#placeOf(id);
      this.#ids[at] = id;
      this.#values[at] = values[from];
    });
  }
}
