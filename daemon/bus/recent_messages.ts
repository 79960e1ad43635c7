import type { BusLimits } from "./limits.ts";
import { MESSAGE_OVERHEAD_BYTES } from "./limits.ts";
import { Message } from "./message.ts";

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

/** Left-over places at the front of the array are given back beyond this many. */
const COMPACT_AT = 1_024;

/** The newest messages of one log, without a gap up to its head, shared by all its live subscribers. */
export class RecentMessages {
  readonly #budget: RecentBudget;
  readonly #limits: BusLimits;
  /** Entries from `#start` on are in use. */
  #entries: Entry[] = [];
  #start = 0;
  #bytes = 0;

  constructor(budget: RecentBudget, limits: BusLimits) {
    this.#budget = budget;
    this.#limits = limits;
  }

  /** The head of the oldest message here; undefined when empty. */
  get firstHeadId(): number | undefined {
    return this.#entries[this.#start]?.message.headId;
  }

  push(message: Message): void {
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
    this.#start++;
    this.#bytes -= entry.bytes;
    this.#budget.remove(entry);
    if (this.#start >= COMPACT_AT && this.#start * 2 >= this.#entries.length) {
      this.#entries = this.#entries.slice(this.#start);
      this.#start = 0;
    }
  }

  /**
   * The messages from a head on, at least one, as many as fit into both bounds; undefined when that head is not here.
   */
  page(fromHeadId: number, messages: number, bytes: number): Message[] | undefined {
    const first = this.firstHeadId;
    if (first === undefined || fromHeadId < first) return undefined;
    const page: Message[] = [];
    let at = this.#start + fromHeadId - first;
    for (let entry = this.#entries[at]; entry !== undefined; entry = this.#entries[++at]) {
      bytes -= entry.bytes;
      if (page.length > 0 && (bytes < 0 || page.length === messages)) break;
      page.push(entry.message);
    }
    return page.length > 0 ? page : undefined;
  }

  /** Replaces the messages of a deleted range, so that nobody is handed their payload any more. */
  markDeleted(from: number, to: number): void {
    for (let at = this.#start; at < this.#entries.length; at++) {
      const entry = this.#entries[at];
      if (entry === undefined || entry.message.headId > to) return;
      if (entry.message.headId >= from) entry.message = tombstone(entry.message);
    }
  }

  clear(): void {
    while (this.firstHeadId !== undefined) this.dropOldest();
    this.#entries = [];
    this.#start = 0;
  }
}

const NO_BYTES = new Uint8Array();

function tombstone({ topic, origin, headId, sequence, id, createdAtMs }: Message): Message {
  return new Message(topic, origin, headId, sequence, id, createdAtMs, NO_BYTES, NO_BYTES, true);
}
