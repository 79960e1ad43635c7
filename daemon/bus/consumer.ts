import type { ReadLimits, Store } from "../store/store.ts";
import type { Arrivals } from "./arrivals.ts";
import { toBusError } from "./error.ts";
import { CONSUMER_PROGRESS_MS } from "./limits.ts";
import type { LogFilter } from "./log_filter.ts";
import { Message } from "./message.ts";
import { Pager } from "./pager.ts";
import type { Timer } from "./timer.ts";

/** Messages of any logs, in the order in which this node stored them. */
export interface ConsumedPage {
  /** May be empty, where what was looked at is not wanted. */
  readonly messages: readonly Message[];
  /** Everything that was committed by then has been looked at. */
  readonly caughtUp: boolean;
  /** Empty, and its place is worth telling: for `CONSUMER_PROGRESS_MS` nothing that was looked at was wanted. */
  readonly progress: boolean;
}

/** What is left out of what a filter wants. */
export interface ConsumerLimits {
  /** Messages below this head, in each log. */
  readonly fromHeadId: number;
  /** Messages created before this, in milliseconds since the Unix epoch. */
  readonly createdFromMs: number;
  /** Deleted messages. */
  readonly skipDeleted: boolean;
}

const NOTHING: ConsumedPage = { messages: [], caughtUp: false, progress: false };

/**
 * Reads the messages of many logs in the order in which this node stored them, then follows them live, each once. It is
 * only a cursor: a slow reader holds no memory here and is served from the store again.
 */
export class Consumer {
  readonly #store: Store;
  readonly #arrivals: Arrivals;
  readonly #filter: LogFilter;
  readonly #limits: ConsumerLimits;
  readonly #timer: Timer;
  /** Set from the first message that was not wanted until a page was given, or the time is over. */
  #cancelTimer: (() => void) | undefined;
  #progressDue = false;
  /** The sequence to look at next. */
  #next: number;
  readonly #pager: Pager<ConsumedPage, ReadLimits>;

  /** Made by `Bus.consume`, to begin with the message of a sequence. */
  constructor(
    store: Store,
    arrivals: Arrivals,
    filter: LogFilter,
    limits: ConsumerLimits,
    timer: Timer,
    from: number,
  ) {
    this.#store = store;
    this.#arrivals = arrivals;
    this.#filter = filter;
    this.#limits = limits;
    this.#timer = timer;
    this.#next = from;
    this.#pager = new Pager({
      action: "consume",
      empty: NOTHING,
      look: (pageLimits, waited) => this.#look(pageLimits, waited),
      read: (pageLimits) => this.#read(pageLimits),
      left: () => {
        this.#forgetProgress();
        arrivals.leave(this);
      },
    });
    arrivals.join(this);
  }

  /** Everything up to this sequence has been looked at. */
  get sequence(): number {
    return this.#next - 1;
  }

  /** Whether messages are committed that were not looked at yet: then {@link next} does not wait for new ones. */
  get behind(): boolean {
    return this.#next <= this.#arrivals.sequence;
  }

  /**
   * The next messages, within the limits; waits while nothing is committed that is wanted. A page may be empty: where a
   * part of the store was looked at, where that caught up, where only unwanted messages came for
   * `CONSUMER_PROGRESS_MS`, and after {@link close}.
   *
   * One call at a time, else it rejects with failed_precondition. Rejects with the signal's reason when that aborts,
   * with "unavailable" when the bus closes, with "internal" when the store fails; after an abort or a failure the
   * next call goes on where the last page ended.
   */
  next(limits: ReadLimits, signal?: AbortSignal): Promise<ConsumedPage> {
    return this.#pager.next(limits, signal);
  }

  /** Ends it; a waiting `next` settles with an empty page. Idempotent. */
  close(): void {
    this.#pager.close();
  }

  /** Ends it because the bus closes. */
  disconnect(): void {
    this.#pager.disconnect();
  }

  /** Something was committed. */
  wake(): void {
    this.#pager.wake();
  }

  #look(limits: ReadLimits, waited: boolean): ConsumedPage | "nothing" | "stored" {
    const { behind } = this;
    const page = this.#recent(limits);
    if (page === undefined) return "stored";
    if (page !== "none") return page;
    if (behind) this.#passed();
    // Whoever was behind is told that he is not any more.
    return !waited && (behind || this.#progressDue) ? this.#page([], true) : "nothing";
  }

  /** Messages were looked at that are not wanted. */
  #passed(): void {
    if (this.#progressDue || this.#cancelTimer !== undefined) return;
    this.#cancelTimer = this.#timer(CONSUMER_PROGRESS_MS, () => {
      this.#cancelTimer = undefined;
      this.#progressDue = true;
      if (this.#pager.waiting) this.#pager.give(this.#page([], !this.behind));
    });
  }

  #page(messages: readonly Message[], caughtUp: boolean): ConsumedPage {
    const progress = messages.length === 0 && this.#progressDue;
    if (messages.length > 0 || progress) this.#forgetProgress();
    return { messages, caughtUp, progress };
  }

  #forgetProgress(): void {
    this.#cancelTimer?.();
    this.#cancelTimer = undefined;
    this.#progressDue = false;
  }

  /**
   * What is wanted of the committed messages in memory; "none" when none of them is and all were looked at, undefined
   * when memory does not reach back so far.
   */
  #recent(limits: ReadLimits): ConsumedPage | "none" | undefined {
    const messages: Message[] = [];
    let bytes = 0;
    const { sequence } = this.#arrivals;
    while (this.#next <= sequence) {
      const recent = this.#arrivals.recent(this.#next, limits.messages, limits.bytes);
      if (recent === undefined) {
        if (messages.length === 0) return undefined;
        break;
      }
      for (const message of recent) {
        if (this.#wants(message)) {
          const size = message.payload.length + message.headers.length;
          const full = messages.length === limits.messages || bytes + size > limits.bytes;
          if (full && messages.length > 0) return this.#page(messages, false);
          bytes += size;
          messages.push(message);
        }
        this.#next = message.sequence + 1;
      }
    }
    return messages.length === 0 ? "none" : this.#page(messages, this.#next > sequence);
  }

  #wants({ topic, origin, headId, createdAtMs, deleted }: Message): boolean {
    const { fromHeadId, createdFromMs, skipDeleted } = this.#limits;
    return headId >= fromHeadId && createdAtMs >= createdFromMs && !(skipDeleted && deleted) &&
      this.#filter.wants(topic, origin);
  }

  async #read(limits: ReadLimits): Promise<() => ConsumedPage> {
    const { messages, next } = await this.#readStored(limits);
    return () => {
      this.#next = next;
      if (messages.length === 0) this.#passed();
      return this.#page(messages, !this.behind);
    };
  }

  async #readStored(limits: ReadLimits): Promise<{ readonly messages: Message[]; readonly next: number }> {
    const { skipDeleted, createdFromMs } = this.#limits;
    for (;;) {
      const { deletions, sequence: committed } = this.#arrivals;
      const filter = {
        ...this.#filter.lists,
        skipDeleted,
        ...createdFromMs > 0 && { createdFromMs },
      };
      const page = await this.#store.readAll(this.#next, filter, limits).catch((error: unknown) => {
        throw toBusError("consume", error);
      });
      // What was deleted while this page was on its way has been erased since.
      const isDeleted = this.#arrivals.deletedSince(deletions);
      if (isDeleted === undefined) continue;
      const messages: Message[] = [];
      for (const message of page.messages) {
        // The store may be ahead of us by a commit whose answer is still on its way.
        if (message.sequence > committed) return { messages, next: committed + 1 };
        // The lists may be older than a log.
        const stored = Message.stored(message.topic, message.origin, message);
        const current = isDeleted(stored) ? stored.erased() : stored;
        if (this.#wants(current)) messages.push(current);
      }
      return { messages, next: Math.min(page.next, committed + 1) };
    }
  }
}
