import type { Clock } from "../clock.ts";

/** A clock that stands still until it is told. */
export class ManualClock implements Clock {
  #nowMs = 0;
  readonly #timers = new Map<symbol, { readonly atMs: number; readonly callback: () => void }>();

  nowMs(): number {
    return this.#nowMs;
  }

  after(ms: number, callback: () => void): () => void {
    const key = Symbol();
    this.#timers.set(key, { atMs: this.#nowMs + ms, callback });
    return () => this.#timers.delete(key);
  }

  /** How many callbacks wait. */
  get timers(): number {
    return this.#timers.size;
  }

  /** Lets time pass; callbacks that become due are called in their order. */
  async advance(ms: number): Promise<void> {
    const end = this.#nowMs + ms;
    for (;;) {
      const due = [...this.#timers].filter(([, { atMs }]) =>
        atMs <= end
      ).sort(([, a], [, b]) => a.atMs - b.atMs)[0];
      if (due === undefined) break;
      const [key, { atMs, callback }] = due;
      this.#timers.delete(key);
      this.#nowMs = atMs;
      callback();
      await turn();
    }
    this.#nowMs = end;
    await turn();
  }
}

/** Lets everything happen that needs no more bytes and no more time. */
export async function turn(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}
