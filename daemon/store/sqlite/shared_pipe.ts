import { RING_BYTES } from "./limits.ts";

// Two counters of bytes, modulo 2^32, on cache lines of their own; the ring follows. Behind each counter, a flag that is
// set while somebody waits for it: waking nobody costs about as much as waking somebody.
const WRITTEN = 0;
const TAKEN = 16;
const WAITS = 1;
const HEADER_BYTES = 128;

/** Looks at a counter between two looks at the time, which costs more. */
const LOOKS_PER_TIME_CHECK = 50;

/** How long a blocked thread sleeps before it looks whether it was terminated. */
const WAIT_MS = 1_000;

/** The memory of a pipe of bytes from one thread to another; each end wraps it in its class. */
export function sharedPipeMemory(ringBytes: number = RING_BYTES): SharedArrayBuffer {
  return new SharedArrayBuffer(HEADER_BYTES + ringBytes);
}

/** What both ends see. The ring's size is a power of two, so positions stay right when the counters wrap. */
class Ring {
  readonly counters: Int32Array<SharedArrayBuffer>;
  readonly bytes: Uint8Array<SharedArrayBuffer>;
  readonly mask: number;

  constructor(memory: SharedArrayBuffer) {
    this.counters = new Int32Array(memory, 0, HEADER_BYTES / 4);
    this.bytes = new Uint8Array(memory, HEADER_BYTES);
    this.mask = this.bytes.length - 1;
  }

  count(counter: number): number {
    return Atomics.load(this.counters, counter);
  }

  advance(counter: number, by: number): void {
    Atomics.add(this.counters, counter, by);
    // Whoever waits has set the flag before it compared the counter: it sees the sum, or this sees the flag.
    if (Atomics.exchange(this.counters, counter + WAITS, 0) !== 0) Atomics.notify(this.counters, counter);
  }

  /** Settles, or is undefined at once, when the counter is no longer `seen`. */
  changed(counter: number, seen: number): Promise<unknown> | undefined {
    Atomics.store(this.counters, counter + WAITS, 1);
    const wait = Atomics.waitAsync(this.counters, counter, seen);
    return wait.async ? wait.value : undefined;
  }

  /** Blocks until the counter is no longer `seen`, or for about `timeoutMs`. Not for the main thread. */
  awaitChange(counter: number, seen: number, timeoutMs: number): void {
    // Nothing but this can end a thread that waits: without a pause now and then, a process whose main program failed
    // would never exit.
    for (let left = timeoutMs; left > 0; left -= WAIT_MS) {
      Atomics.store(this.counters, counter + WAITS, 1);
      if (Atomics.wait(this.counters, counter, seen, Math.min(left, WAIT_MS)) !== "timed-out") return;
    }
  }
}

/** The writing end; there is only one. */
export class PipeWriter {
  readonly #ring: Ring;

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new Ring(memory);
  }

  /** Writes as much as fits, and says how much that was. */
  offer(bytes: Uint8Array): number {
    const { bytes: ring, mask } = this.#ring;
    const written = this.#ring.count(WRITTEN);
    const room = ring.length - ((written - this.#ring.count(TAKEN)) >>> 0);
    const count = Math.min(room, bytes.length);
    if (count === 0) return 0;
    const at = written & mask;
    const first = Math.min(count, ring.length - at);
    ring.set(bytes.subarray(0, first), at);
    if (first < count) ring.set(bytes.subarray(first, count), 0);
    this.#ring.advance(WRITTEN, count);
    return count;
  }

  /** Writes everything, blocking while the ring is full. Not for the main thread. */
  write(bytes: Uint8Array): void {
    let taken = this.#ring.count(TAKEN);
    for (let at = this.offer(bytes); at < bytes.length; at += this.offer(bytes.subarray(at))) {
      this.#ring.awaitChange(TAKEN, taken, Infinity);
      taken = this.#ring.count(TAKEN);
    }
  }

  /** How much was ever taken by the other end (modulo 2^32): to be read before an `offer`, for {@link room}. */
  get taken(): number {
    return this.#ring.count(TAKEN);
  }

  /** Settles, or is undefined at once, when more was taken than `taken`. */
  room(taken: number): Promise<unknown> | undefined {
    return this.#ring.changed(TAKEN, taken);
  }
}

/** The reading end; there is only one. */
export class PipeReader {
  readonly #ring: Ring;

  constructor(memory: SharedArrayBuffer) {
    this.#ring = new Ring(memory);
  }

  /** Bytes that can be taken now. */
  get available(): number {
    return (this.#ring.count(WRITTEN) - this.#ring.count(TAKEN)) >>> 0;
  }

  /** Fills `into` as far as there are bytes, and says how many that were. */
  take(into: Uint8Array): number {
    const { bytes: ring, mask } = this.#ring;
    const count = Math.min(this.available, into.length);
    if (count === 0) return 0;
    const at = this.#ring.count(TAKEN) & mask;
    const first = Math.min(count, ring.length - at);
    into.set(ring.subarray(at, at + first));
    if (first < count) into.set(ring.subarray(0, count - first), first);
    this.#ring.advance(TAKEN, count);
    return count;
  }

  /** Settles, or is undefined at once, when there are bytes. */
  filled(): Promise<unknown> | undefined {
    const taken = this.#ring.count(TAKEN);
    return this.#ring.changed(WRITTEN, taken);
  }

  /** Waits awake for bytes, at most `ms`; false when none came. */
  spinForBytes(ms: number): boolean {
    if (ms === 0) return false;
    const begin = performance.now();
    do {
      for (let look = 0; look < LOOKS_PER_TIME_CHECK; look++) {
        if (this.available > 0) return true;
      }
    } while (performance.now() - begin < ms);
    return false;
  }

  /** Blocks until there are bytes, or for about `timeoutMs`. Not for the main thread. */
  awaitBytes(timeoutMs: number): void {
    const taken = this.#ring.count(TAKEN);
    this.#ring.awaitChange(WRITTEN, taken, timeoutMs);
  }
}
