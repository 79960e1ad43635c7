/** Bytes that wait for the peers of all connections of a server, as the connections tell them. */
export class Backlog {
  readonly #limit: number;
  #bytes = 0;

  /** It is full from `limit` bytes on. */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** So many more bytes wait, or fewer where `count` is below zero. */
  add(count: number): void {
    this.#bytes += count;
  }

  /** Whether so much waits that nothing is to be read ahead for whoever does not take it now. */
  get full(): boolean {
    return this.#bytes >= this.#limit;
  }
}
