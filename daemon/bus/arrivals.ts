import type { NodeName } from "../store/store.ts";
import type { Consumer } from "./consumer.ts";
import type { BusLimits } from "./limits.ts";
import type { Message } from "./message.ts";
import { isSameNode } from "./names.ts";
import { type RecentBudget, RecentMessages } from "./recent_messages.ts";

/** The messages of all logs in the order in which this node committed them, and who consumes them in that order. */
export class Arrivals {
  readonly #recent: RecentMessages;
  readonly #consumers = new Set<Consumer>();
  #sequence = 0;
  #deletions = 0;
  #disconnected = false;

  constructor(budget: RecentBudget, limits: BusLimits) {
    this.#recent = new RecentMessages(budget, limits, ({ sequence }) => sequence);
  }

  /** The sequence of the newest committed message; 0 when there is none. */
  get sequence(): number {
    return this.#sequence;
  }

  /** How often messages were deleted: what was read before may be what was erased since. */
  get deletions(): number {
    return this.#deletions;
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
    for (const consumer of this.#consumers) consumer.wake();
  }

  /** Messages from a sequence on out of memory; undefined when they must be read from the store. */
  recent(from: number, messages: number, bytes: number): Message[] | undefined {
    return this.#recent.page(from, messages, bytes);
  }

  markDeleted(topic: string, origin: NodeName, from: number, to: number): void {
    this.#deletions++;
    this.#recent.markDeleted((message) =>
      message.headId >= from && message.headId <= to && message.topic === topic &&
      isSameNode(message.origin, origin)
    );
  }

  /** A log was set aside: what is in memory may be of it. */
  forget(): void {
    this.#deletions++;
    this.#recent.clear();
  }

  /** Takes a consumer on, and ends it at once when the bus has closed: it may have been on its way. */
  join(consumer: Consumer): void {
    if (this.#disconnected) return consumer.disconnect();
    this.#consumers.add(consumer);
  }

  leave(consumer: Consumer): void {
    this.#consumers.delete(consumer);
    if (!this.consumed) this.#recent.clear();
  }

  /** Ends every consumer because the bus closes. */
  disconnect(): void {
    this.#disconnected = true;
    for (const consumer of [...this.#consumers]) consumer.disconnect();
  }
}
