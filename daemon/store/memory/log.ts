import { isSameBytes } from "../content_comparison.ts";
import { noSuchRange } from "../error.ts";
import { isOtherIncarnation } from "../incarnation.ts";
import { entriesOfHeaders } from "../later_fields.ts";
import { differsError, firstHeadOf, gapError } from "../replication.ts";
import type { Extent, NodeName, ReadLimits, ReplicatedBatch, StoredMessage } from "../store.ts";

const NO_BYTES = new Uint8Array();

/** One log in memory. */
export class MemoryLog {
  readonly topic: string;
  readonly origin: NodeName;
  /** "" where unknown. */
  incarnation = "";
  /** The sequences of the node by the keys that they were stored with. */
  readonly keys = new Map<string, number>();
  /** The message with head n is at n - 1. */
  readonly #messages: StoredMessage[] = [];
  /** The ranges deleted beyond the head, for messages that arrive later. */
  #deletes: { readonly from: number; readonly to: number; readonly incarnation: string }[] = [];

  constructor(topic: string, origin: NodeName) {
    this.topic = topic;
    this.origin = origin;
  }

  /** The newest head; 0 when there is no message. */
  get head(): number {
    return this.#messages.length;
  }

  /** The sequence of the newest message; 0 when there is none. */
  get sequence(): number {
    return this.#messages.at(-1)?.sequence ?? 0;
  }

  /** The message at a head; undefined where there is none. */
  at(head: number): StoredMessage | undefined {
    return this.#messages[head - 1];
  }

  /** Takes a message with a copy of its bytes. */
  push(message: StoredMessage): void {
    const { payload, headers, deleted } = message;
    this.#messages.push({ ...message, payload: kept(payload, deleted), headers: kept(headers, deleted) });
  }

  /** See `Store.read`. */
  read(from: number, limits: ReadLimits): StoredMessage[] {
    const page: StoredMessage[] = [];
    let bytes = 0;
    for (let at = from - 1; at < this.#messages.length && page.length < limits.messages; at++) {
      const message = this.#messages[at];
      if (message === undefined) break;
      bytes += message.payload.length + message.headers.length;
      if (bytes > limits.bytes && page.length > 0) break;
      page.push(message);
    }
    return page;
  }

  /** Deletes messages that exist, and says how many were not deleted before. Throws "conflict". */
  deleteStored(from: number, to: number): number {
    if (from < 1 || from > to || to > this.head) throw noSuchRange(from, to, this.head);
    return this.erase(from, to);
  }

  /** Erases what is stored of a range, unless it is of another incarnation, and remembers it where it lies beyond the head. */
  delete(from: number, to: number, incarnation: string): void {
    if (to > this.head) this.#deletes.push({ from, to, incarnation });
    if (!isOtherIncarnation(this.incarnation, incarnation)) this.erase(from, to);
  }

  /** See `Store.extent`. */
  extent(from: number, to: number, most: number): Extent {
    let bytes = 0;
    for (let head = from; head <= Math.min(to, this.head); head++) {
      const message = this.#messages[head - 1];
      const more = message === undefined ? 0 : message.payload.length + message.headers.length;
      if (head > from && bytes + more > most) return { to: head - 1, bytes };
      bytes += more;
    }
    return { to, bytes };
  }

  /** Erases stored messages, and says how many were not deleted before. */
  erase(from: number, to: number): number {
    let count = 0;
    for (let head = from; head <= Math.min(to, this.head); head++) if (this.mark(head)) count++;
    return count;
  }

  /** Erases what another log of the same name has deleted, where both have the same message. */
  eraseLike(other: MemoryLog): void {
    for (const { headId, id, deleted } of other.#messages) {
      if (deleted && this.at(headId)?.id === id) this.mark(headId);
    }
  }

  /** Ranges deleted before cover nothing more. */
  forgetDeletes(): void {
    this.#deletes = [];
  }

  /** Forgets the ranges that have all their messages, but for those of another incarnation. */
  forgetDeleted(incarnation: string): void {
    const isLeft = (range: { readonly to: number; readonly incarnation: string }) =>
      range.to > this.head || isOtherIncarnation(range.incarnation, incarnation);
    if (this.#deletes.length > 0) this.#deletes = this.#deletes.filter(isLeft);
  }

  /** Whether the message at a head was not deleted before; it is now. */
  mark(head: number): boolean {
    const message = this.#messages[head - 1];
    if (message === undefined || message.deleted) return false;
    this.#messages[head - 1] = { ...message, payload: NO_BYTES, headers: NO_BYTES, deleted: true };
    return true;
  }

  /** Whether a range deleted before covers a head of an incarnation. */
  covers(head: number, incarnation: string): boolean {
    return this.#deletes.some((range) =>
      range.from <= head && head <= range.to && !isOtherIncarnation(range.incarnation, incarnation)
    );
  }

  /** The heads of stored messages that the batch has as deleted. Throws "gap" or "conflict", see `Store.replicate`. */
  compare(batch: ReplicatedBatch): number[] {
    const first = firstHeadOf(batch);
    if (first > this.head + 1) throw gapError(this.topic, first, this.head);
    const deleted: number[] = [];
    for (const message of batch.messages) {
      const stored = this.#messages[message.headId - 1];
      if (stored === undefined) break;
      const field = differentField(stored, message);
      if (field !== undefined) throw differsError(this.topic, message.headId, field);
      if (message.deleted && !stored.deleted) deleted.push(message.headId);
    }
    return deleted;
  }
}

function kept(bytes: Uint8Array, deleted: boolean): Uint8Array {
  return deleted || bytes.length === 0 ? NO_BYTES : bytes.slice();
}

type Compared = Pick<StoredMessage, "id" | "createdAtMs" | "payload" | "headers" | "deleted">;

function differentField(a: Compared, b: Compared): string | undefined {
  if (a.id !== b.id) return "id";
  if (a.createdAtMs !== b.createdAtMs) return "time";
  if (a.deleted || b.deleted) return undefined;
  if (!isSameBytes(a.payload, b.payload)) return "payload";
  // What a later version said may have been lost on the way of one of them.
  return isSameBytes(entriesOfHeaders(a.headers), entriesOfHeaders(b.headers)) ? undefined : "headers";
}
