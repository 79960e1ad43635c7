import type { BusLimits } from "./limits.ts";
import { MESSAGE_OVERHEAD_BYTES } from "./limits.ts";
import type { Message } from "./message.ts";

/** One remembered message. All of them, over all logs, form a list from the oldest to the newest. */
interface Entry {
  message: Message;
  readonly owner: RecentMessages;
  readonly bytes: number;
  older: Entry | undefined;
  newer: Entry | undefined;
}

/** The bound over all logs: the oldest message of any log leaves first. */
export class RecentBudget {
  readonly #limits: BusLimits;
  #bytes = 0;
  #oldest: Entry | undefined;
  #newest: Entry | undefined;

  constructor(limits: BusLimits) {
    this.#limits = limits;
  }

  /** Bytes remembered over all logs. */
  get bytes(): number {
    return this.#bytes;
  }

  add(entry: Entry): void {
    entry.older = this.#newest;
    if (this.#newest === undefined) this.#oldest = entry;
    else this.#newest.newer = entry;
    this.#newest = entry;
    this.#bytes += entry.bytes;
    while (this.#bytes > this.#limits.recentBytes && this.#oldest !== undefined) {
      this.#oldest.owner.dropOldest();
    }
  }

  remove(entry: Entry): void {
    if (entry.older === undefined) this.#oldest = entry.newer;
    else entry.older.newer = entry.newer;
    if (entry.newer === undefined) this.#newest = entry.older;
    else entry.newer.older = entry.older;
    entry.older = entry.newer = undefined;
    this.#bytes -= entry.bytes;
  }
}

/** Left-over places at the front of the array are given back beyond this many; all of them where nothing is left. */
const COMPACT_AT = 1_024;

/**
 * The newest messages of one log, or of all, without a gap up to the newest, shared by all who follow live: as far back as
 * the slowest of them needs, within the limits.
 */
export class RecentMessages {
  readonly #budget: RecentBudget;
  readonly #limits: BusLimits;
  readonly #place: (message: Message) => number;
  /** Entries from `#start` on are in use. */
  #entries: (Entry | undefined)[] = [];
  #start = 0;
  #bytes = 0;

  /** `place` is what counts the messages without a gap: the head in one log, the sequence over all of them. */
  constructor(
    budget: RecentBudget,
    limits: BusLimits,
    place: (message: Message) => number = ({ headId }) => headId,
  ) {
    this.#budget = budget;
    this.#limits = limits;
    this.#place = place;
  }

  /** The place of the oldest message here; undefined when empty. */
  get first(): number | undefined {
    const message = this.#entries[this.#start]?.message;
    return message && this.#place(message);
  }

  /** Takes a message on. Where some before it are missing, or it is not the newest, all others are forgotten. */
  push(message: Message): void {
    const newest = this.#entries.at(-1)?.message;
    if (
      newest !== undefined && this.#entries.length > this.#start &&
      this.#place(newest) + 1 !== this.#place(message)
    ) {
      this.clear();
    }
    const bytes = message.payload.length + message.headers.length + MESSAGE_OVERHEAD_BYTES;
    const entry: Entry = { message, owner: this, bytes, older: undefined, newer: undefined };
    this.#entries.push(entry);
    this.#bytes += bytes;
    this.#budget.add(entry);
    const { recentMessagesPerLog, recentBytesPerLog } = this.#limits;
    while (this.#entries.length - this.#start > recentMessagesPerLog || this.#bytes > recentBytesPerLog) {
      this.dropOldest();
    }
  }

  /** Forgets the oldest message. Nothing happens when there is none. */
  dropOldest(): void {
    const entry = this.#entries[this.#start];
    if (entry === undefined) return;
    this.#entries[this.#start++] = undefined; // until the array is made anew it would stay in memory
    this.#bytes -= entry.bytes;
    this.#budget.remove(entry);
    if (this.#start === this.#entries.length) {
      this.#entries.length = 0;
      this.#start = 0;
    } else if (this.#start >= COMPACT_AT && this.#start * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  /** Forgets the messages before a place: whoever keeps up has them. */
  dropBefore(place: number): void {
    for (let { first } = this; first !== undefined && first < place; first = this.first) this.dropOldest();
  }

  /**
   * The messages from a place on, at least one, as many as fit into both bounds; undefined when that place is not here.
   */
  page(from: number, messages: number, bytes: number): Message[] | undefined {
    const { first } = this;
    if (first === undefined || from < first) return undefined;
    const page: Message[] = [];
    let at = this.#start + from - first;
    for (let entry = this.#entries[at]; entry !== undefined; entry = this.#entries[++at]) {
      bytes -= entry.bytes;
      if (page.length > 0 && (bytes < 0 || page.length === messages)) break;
      page.push(entry.message);
    }
    return page.length > 0 ? page : undefined;
  }

  /** Replaces the messages that are meant, so that nobody is handed their payload any more. */
  markDeleted(isMeant: (message: Message) => boolean): void {
    for (let at = this.#start; at < this.#entries.length; at++) {
      const entry = this.#entries[at];
      if (entry !== undefined && isMeant(entry.message)) entry.message = entry.message.erased();
    }
  }

  clear(): void {
    while (this.#entries.length > this.#start) this.dropOldest();
    this.#entries = [];
    this.#start = 0;
  }
}
