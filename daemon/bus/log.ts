import type { LogHead, NodeName, Store, StoredMessage } from "../store/store.ts";
import type { Arrivals } from "./arrivals.ts";
import { BusError, toBusError } from "./error.ts";
import type { BusLimits } from "./limits.ts";
import { Message } from "./message.ts";
import { type RecentBudget, RecentMessages } from "./recent_messages.ts";
import type { Subscription } from "./subscription.ts";

/** Heads that were deleted, both ends included. */
interface HeadRange {
  readonly from: number;
  readonly to: number;
}

/** One topic of one origin: its head, and who follows it live. */
export class Log {
  readonly topic: string;
  readonly origin: NodeName;
  readonly #store: Store;
  readonly #recent: RecentMessages;
  readonly #subscriptions = new Set<Subscription>();
  readonly #arrivals: Arrivals;
  readonly #changed: (log: Log) => void;
  /** The data directory in which the log was written; "" where that is unknown. */
  incarnation: string;
  #head: number;
  #sequence: number;
  /** Whether the log is about to be set aside: the store may have done so already. */
  #leaving = false;
  #departures = 0;
  /** For each page on its way from the store the ranges that were deleted since it was asked for. */
  readonly #deletedMeanwhile = new Set<HeadRange[]>();

  /** `changed` is called when messages were committed, or the log was set aside. */
  constructor(
    { topic, origin, headId, sequence, incarnation }: LogHead,
    store: Store,
    budget: RecentBudget,
    limits: BusLimits,
    arrivals: Arrivals,
    changed: (log: Log) => void,
  ) {
    this.topic = topic;
    this.origin = origin;
    this.incarnation = incarnation;
    this.#head = headId;
    this.#sequence = sequence;
    this.#changed = changed;
    this.#store = store;
    this.#arrivals = arrivals;
    this.#recent = new RecentMessages(budget, limits);
  }

  /** The newest committed head; 0 when there is no message. */
  get head(): number {
    return this.#head;
  }

  /** The sequence of the newest committed message, among those of all logs of this node; 0 when there is none. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Whether anybody follows it live. */
  get followed(): boolean {
    return this.#subscriptions.size > 0;
  }

  /** Whether anybody takes messages as they are committed. */
  get live(): boolean {
    return this.followed || this.#arrivals.consumed;
  }

  /** The next committed message. Subscribers learn of it by {@link wake}. */
  commit(message: Message): void {
    this.#head = message.headId;
    this.#sequence = message.sequence;
    if (this.followed) this.#recent.push(message);
    this.#arrivals.commit(message);
  }

  /** The same of messages that nobody has in memory. */
  advance(headId: number, sequence: number): void {
    this.#head = headId;
    this.#sequence = sequence;
    this.#arrivals.advance(sequence);
  }

  /** Hands what was committed to the subscribers that wait for it. */
  wake(): void {
    let needed = Infinity;
    for (const subscription of this.#subscriptions) {
      subscription.wake();
      needed = Math.min(needed, subscription.cursor);
    }
    // What nobody waits for would grow old, and cost the collector more than all that leaves at once.
    this.#recent.dropBefore(needed);
    this.#arrivals.wake();
    this.#changed(this);
  }

  /** How often it was begun to set the log aside. */
  get departures(): number {
    return this.#departures;
  }

  /** The log is being set aside until `clear`, or not after all. */
  leaving(leaves: boolean): void {
    this.#leaving = leaves;
    if (leaves) this.#departures++;
  }

  /** After the log was set aside: it has no messages, and whoever follows it must begin anew. */
  clear(): void {
    this.disconnect();
    this.#leaving = false;
    this.#recent.clear();
    this.#arrivals.forget();
    this.#head = 0;
    this.#sequence = 0;
    this.incarnation = "";
    this.#changed(this);
  }

  markDeleted(from: number, to: number): void {
    for (const ranges of this.#deletedMeanwhile) ranges.push({ from, to });
    this.#recent.markDeleted(({ headId }) => headId >= from && headId <= to);
    this.#arrivals.markDeleted(this.topic, this.origin, from, to);
  }

  /** Committed messages from a head on out of memory; undefined when they must be read from the store. */
  recentPage(from: number, messages: number, bytes: number): Message[] | undefined {
    return this.#recent.page(from, messages, bytes);
  }

  /**
   * Committed messages from a head on out of the store, at least one; `from` is at most the head. Fails with
   * "unavailable" when the log is set aside meanwhile.
   */
  async storedPage(from: number, messages: number, bytes: number): Promise<Message[]> {
    const action = `read "${this.topic}"`;
    const deleted: HeadRange[] = [];
    this.#deletedMeanwhile.add(deleted);
    let stored: readonly StoredMessage[];
    try {
      stored = await this.#store.read(this.topic, this.origin, from, { messages, bytes });
    } catch (error) {
      throw toBusError(action, error);
    } finally {
      this.#deletedMeanwhile.delete(deleted);
    }
    const page: Message[] = [];
    for (const each of stored) {
      const { headId } = each;
      // The store may be ahead of us by a commit whose answer is still on its way.
      if (headId > this.#head) break;
      const message = Message.stored(this.topic, this.origin, each);
      page.push(
        deleted.some((range) => headId >= range.from && headId <= range.to) ? message.erased() : message,
      );
    }
    if (page[0]?.headId === from) return page;
    if (this.#leaving || from > this.#head) {
      throw new BusError("unavailable", `Cannot ${action}: the log was set aside meanwhile; begin anew`);
    }
    throw new BusError("internal", `Cannot ${action}: the store lost head ${from}`);
  }

  join(subscription: Subscription): void {
    this.#subscriptions.add(subscription);
  }

  leave(subscription: Subscription): void {
    this.#subscriptions.delete(subscription);
    if (!this.followed) this.#recent.clear();
  }

  /** Ends every subscription because the bus closes, or the log was set aside. */
  disconnect(): void {
    for (const subscription of [...this.#subscriptions]) subscription.disconnect();
  }
}
