/** Lets every microtask run. Taken before a run forbids the clocks and timers of the runtime. */
const turn = setImmediate;

interface Event {
  readonly at: number;
  readonly order: number;
  readonly run: () => void;
  cancelled: boolean;
}

/** Simulated time: one event after the other, each with everything that follows from it at once. */
export class Scheduler {
  /** Milliseconds since the run began. */
  now = 0;
  /** Events that ran. */
  steps = 0;
  readonly #heap: Event[] = [];
  #order = 0;

  /** Runs something after so many milliseconds, unless the returned function is called before. */
  after(ms: number, run: () => void): () => void {
    const event: Event = { at: this.now + Math.max(0, ms), order: this.#order++, run, cancelled: false };
    this.#push(event);
    return () => event.cancelled = true;
  }

  sleep(ms: number): Promise<void> {
    return new Promise((resolve) => this.after(ms, resolve));
  }

  /** Runs all events up to a time. */
  async runUntil(time: number): Promise<void> {
    await this.#microtasks();
    for (let next = this.#heap[0]; next !== undefined && next.at <= time; next = this.#heap[0]) {
      this.#pop();
      if (next.cancelled) continue;
      this.now = next.at;
      this.steps++;
      next.run();
      await this.#microtasks();
    }
    this.now = time;
  }

  /** Runs events until a promise settles. Fails when it has not after so many milliseconds. */
  async finish<T>(promise: Promise<T>, limitMs: number, what: string): Promise<T> {
    let settled = false;
    promise.finally(() => settled = true).catch(() => {});
    for (const end = this.now + limitMs; !settled && this.now < end;) await this.runUntil(this.now + 10);
    if (!settled) throw new Error(`it did not end within ${limitMs} ms: ${what}`);
    return await promise;
  }

  #microtasks(): Promise<void> {
    return new Promise((resolve) => turn(resolve));
  }

  #push(event: Event): void {
    const heap = this.#heap;
    let at = heap.push(event) - 1;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      const above = heap[parent];
      if (above === undefined || isBefore(above, event)) break;
      heap[at] = above;
      at = parent;
    }
    heap[at] = event;
  }

  #pop(): void {
    const heap = this.#heap;
    const last = heap.pop();
    if (last === undefined || heap.length === 0) return;
    let at = 0;
    for (;;) {
      let child = 2 * at + 1;
      let below = heap[child];
      if (below === undefined) break;
      const right = heap[child + 1];
      if (right !== undefined && isBefore(right, below)) [child, below] = [child + 1, right];
      if (isBefore(last, below)) break;
      heap[at] = below;
      at = child;
    }
    heap[at] = last;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.at < b.at || a.at === b.at && a.order < b.order;
}
