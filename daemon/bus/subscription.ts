import type { Log } from "./log.ts";
import type { Message } from "./message.ts";
import { Pager } from "./pager.ts";

const NOTHING: readonly Message[] = [];

/**
 * Follows one log from a head on: everything stored, then live, each message once and in head order. It is only a
 * cursor: a slow reader holds no memory here and is served from the store again.
 */
export class Subscription {
  readonly #log: Log;
  readonly #pageMessages: number;
  readonly #pageBytes: number;
  readonly #pager: Pager<readonly Message[], void>;
  #cursor: number;

  /** Made by `Bus.subscribe`. `left` is called once, when it no longer follows the log. */
  constructor(log: Log, cursor: number, pageMessages: number, pageBytes: number, left: () => void) {
    this.#log = log;
    this.#cursor = cursor;
    this.#pageMessages = pageMessages;
    this.#pageBytes = pageBytes;
    this.#pager = new Pager({
      action: `follow "${log.topic}"`,
      empty: NOTHING,
      look: () => this.#look(),
      read: () => this.#read(),
      left: () => {
        log.leave(this);
        left();
      },
    });
    log.join(this);
  }

  /** The head of the message that comes next. */
  get cursor(): number {
    return this.#cursor;
  }

  /** Whether messages are committed that {@link next} has not returned yet: then it does not wait for new ones. */
  get behind(): boolean {
    return this.#cursor <= this.#log.head;
  }

  /**
   * The next messages, at least one; waits while there is none. An empty page: the subscription was closed.
   *
   * One call at a time, else it rejects with failed_precondition. Rejects with the signal's reason when that aborts,
   * with "unavailable" when the bus closes, with "internal" when the store fails; after an abort or a failure the
   * next call goes on where the last page ended.
   */
  next(signal?: AbortSignal): Promise<readonly Message[]> {
    return this.#pager.next(undefined, signal);
  }

  /** Ends it; a waiting `next` settles with an empty page. Idempotent. */
  close(): void {
    this.#pager.close();
  }

  /** Ends it because the bus closes. Called by the log. */
  disconnect(): void {
    this.#pager.disconnect();
  }

  /** Something was committed. Called by the log. */
  wake(): void {
    this.#pager.wake();
  }

  #look(): readonly Message[] | "nothing" | "stored" {
    if (!this.behind) return "nothing";
    // A commit can be larger than what memory keeps: then it is read back like any other past.
    const page = this.#log.recentPage(this.#cursor, this.#pageMessages, this.#pageBytes);
    return page === undefined ? "stored" : this.#advance(page);
  }

  async #read(): Promise<() => readonly Message[]> {
    const page = await this.#log.storedPage(this.#cursor, this.#pageMessages, this.#pageBytes);
    return () => this.#advance(page);
  }

  #advance(page: Message[]): readonly Message[] {
    this.#cursor += page.length;
    return page;
  }
}
