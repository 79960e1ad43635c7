import type { StoreError } from "../error.ts";
import type { ByteReader } from "./byte_reader.ts";

/** Who waits for an answer. */
export interface PendingCall {
  answered(body: ByteReader): void;
  failed(error: StoreError): void;
}

/**
 * The calls without an answer, each with a number that no other of them has. Numbers are used again at once: a place in
 * an array for each, and not a `Map`, whose tables make all that ever passes through them grow old (see StreamMap).
 */
export class PendingCalls {
  readonly #calls: (PendingCall | undefined)[] = [];
  readonly #free: number[] = [];
  #size = 0;

  /** How many there are. */
  get size(): number {
    return this.#size;
  }

  /** Takes a call on, and gives its number; the first one ever has the number 0. */
  add(call: PendingCall): number {
    const number = this.#free.pop() ?? this.#calls.length;
    this.#calls[number] = call;
    this.#size++;
    return number;
  }

  /** Takes out the call of a number; undefined where there is none. */
  take(number: number): PendingCall | undefined {
    const call = this.#calls[number];
    if (call === undefined) return undefined;
    this.#calls[number] = undefined;
    this.#free.push(number);
    this.#size--;
    return call;
  }

  /** Takes all out. */
  takeAll(): PendingCall[] {
    return [...this.#calls.keys()].flatMap((number) => this.take(number) ?? []);
  }
}
