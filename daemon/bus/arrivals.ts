import type { NodeName } from "../store/store.ts";
import type { Consumer } from "./consumer.ts";
import { type BusLimits, MAX_RECENT_DELETIONS } from "./limits.ts";
import type { Message } from "./message.ts";
import { isSameNode } from "./names.ts";
import { type RecentBudget, RecentMessages } from "./recent_messages.ts";

/** A range of a log that was deleted. */
interface Deletion {
  readonly topic: string;
  readonly origin: NodeName;
  readonly from: number;
  readonly to: number;
}

/** The messages of all logs in the order in which this node committed them, and who consumes them in that order. */
export class Arrivals {
  readonly #recent: RecentMessages;
  readonly #consumers = new Set<Consumer>();
  #sequence = 0;
  #deletions = 0;
  /** The last of them, as far as somebody may ask. */
  #recentDeletions: Deletion[] = [];
  #disconnected = false;

  constructor(budget: RecentBudget, limits: BusLimits) {
    this.#recent = new RecentMessages(budget, limits, ({ sequence }) => sequence);
  }

  /** The sequence of the newest committed message; 0 when there is none. */
  get sequence(): number {
    return this.#sequence;
  }

  /** How often messages were deleted, or a log set aside. */
  get deletions(): number {
    return this.#deletions;
  }

  /**
   * Whether a message was deleted since that was so often: what was read before may be what was erased. Undefined where
   * nobody knows any more, or a log was set aside. To be asked by those that consume.
   */
  deletedSince(deletions: number): ((message: Message) => boolean) | undefined {
    const count = this.#deletions - deletions;
    if (count > this.#recentDeletions.length) return undefined;
    const ranges = this.#recentDeletions.slice(this.#recentDeletions.length - count);
    return (message) => ranges.some((range) => covers(range, message));
  }

  /** Whether anybody consumes; otherwise messages need not be handed over. */
  get consumed(): boolean {
    return this.#consumers.size > 0;
  }

  /** A committed message. Consumers learn of it by {@link wake}. */
  commit(message: Message): void {
    this.advance(message.sequence);
    if (this.consumed) this.#recent.push(message);
  }

  /** The same of a message that nobody has in memory. */
  advance(sequence: number): void {
    this.#sequence = Math.max(this.#sequence, sequence);
  }

  /** Hands what was committed to the consumers that wait for it. */
  wake(): void {
    let needed = Infinity;
    for (const consumer of this.#consumers) {
      consumer.wake();
      needed = Math.min(needed, consumer.sequence + 1);
    }
    this.#recent.dropBefore(needed);
  }

  /** Messages from a sequence on out of memory; undefined when they must be read from the store. */
  recent(from: number, messages: number, bytes: number): Message[] | undefined {
    return this.#recent.page(from, messages, bytes);
  }

  markDeleted(topic: string, origin: NodeName, from: number, to: number): void {
    this.#deletions++;
    if (!this.consumed) return;
    const deletion = { topic, origin, from, to };
    this.#recentDeletions.push(deletion);
    if (this.#recentDeletions.length > MAX_RECENT_DELETIONS) this.#recentDeletions.shift();
    this.#recent.markDeleted((message) => covers(deletion, message));
  }

  /** A log was set aside: what is in memory may be of it. */
  forget(): void {
    this.#deletions++;
    this.#recentDeletions = [];
    this.#recent.clear();
  }

  /** Takes a consumer on, and ends it at once when the bus has closed: it may have been on its way. */
  join(consumer: Consumer): void {
    if (this.#disconnected) return consumer.disconnect();
    this.#consumers.add(consumer);
  }

  leave(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    if (this.consumed) return;
    this.#recentDeletions = [];
    this.#recent.clear();
  }

  /** Ends every consumer because the bus closes. */
  disconnect(): void {
    this.#disconnected = true;
    for (const consumer of [...this.#consumers]) consumer.disconnect();
  }
}

function covers({ topic, origin, from, to }: Deletion, message: Message): boolean {
  return message.headId >= from && message.headId <= to && message.topic === topic &&
    isSameNode(message.origin, origin);
}
