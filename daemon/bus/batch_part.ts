import type { NodeName, OnceMessage } from "../store/store.ts";
import type { BatchMessage } from "./requests.ts";
import type { Uuid } from "./uuid.ts";

/** An accepted message of a batch. The store takes it as it is. */
export class BatchEntry implements OnceMessage {
  readonly topic: string;
  readonly origin: NodeName;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
  readonly createdAtMs: number;
  readonly follows: boolean;
  readonly key: string | undefined;
  readonly #first: Uuid;
  readonly #place: number;

  /** Its id is `first` plus `place`; `follows` as in NewMessage. */
  constructor(
    { topic, payload, headers, key }: BatchMessage,
    origin: NodeName,
    createdAtMs: number,
    first: Uuid,
    place: number,
    follows: boolean,
  ) {
    this.topic = topic;
    this.origin = origin;
    this.payload = payload;
    this.headers = headers;
    this.createdAtMs = createdAtMs;
    this.follows = follows;
    this.key = key;
    this.#first = first;
    this.#place = place;
  }

  get id(): string {
    return this.#first.plus(this.#place).text;
  }
}

/**
 * Accepted messages that follow one another in the batch: their sequences do, too. While the store writes them, only what
 * their answers need is held, and those of logs that somebody follows: what is held for a commit's time grows old, and the
 * collector's work with it.
 */
export class BatchPart {
  /** The place of the first in the batch. */
  readonly at: number;
  readonly createdAtMs: number;
  #count = 0;
  readonly #first: Uuid;
  /** Topics in the order of the messages, each with the place of the first in this part. */
  readonly #topics: { readonly topic: string; readonly from: number }[] = [];
  #keys: Map<number, string> | undefined;
  /** By their places; those that need not be held are left out. */
  #followed: BatchEntry[] | undefined;

  /** `first` is the id of the first message of the batch. */
  constructor(at: number, first: Uuid, createdAtMs: number) {
    this.at = at;
    this.#first = first;
    this.createdAtMs = createdAtMs;
  }

  get count(): number {
    return this.#count;
  }

  /** The next message; one whose log somebody follows has bytes of its own. */
  add(entry: BatchEntry, followed: boolean): void {
    const place = this.#count++;
    if (entry.topic !== this.#topics.at(-1)?.topic) this.#topics.push({ topic: entry.topic, from: place });
    if (entry.key !== undefined) (this.#keys ??= new Map()).set(place, entry.key);
    if (followed) (this.#followed ??= [])[place] = entry;
  }

  /** The message at a place of this part, where it is held. */
  followed(place: number): BatchEntry | undefined {
    return this.#followed?.[place];
  }

  topic(place: number): string {
    let [low, high] = [0, this.#topics.length - 1];
    while (low < high) {
      const middle = (low + high + 1) >>> 1;
      if ((this.#topics[middle]?.from ?? 0) <= place) low = middle;
      else high = middle - 1;
    }
    return this.#topics[low]?.topic ?? "";
  }

  key(place: number): string | undefined {
    return this.#keys?.get(place);
  }

  uuid(place: number): Uuid {
    return this.#first.plus(this.at + place);
  }
}
