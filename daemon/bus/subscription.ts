import { BusError, closingError } from "./error.ts";
import type { Log } from "./log.ts";
import type { Message } from "./message.ts";

/** A `next` that waits for a message to be committed. */
interface Waiting {
  readonly kind: "waiting";
  readonly resolve: (page: readonly Message[] | Promise<readonly Message[]>) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

type State =
  | { readonly kind: "idle" }
  | { readonly kind: "reading" }
  | Waiting
  | { readonly kind: "closed" }
  | { readonly kind: "disconnected" };

const IDLE: State = { kind: "idle" };
const READING: State = { kind: "reading" };
const CLOSED: State = { kind: "closed" };
const DISCONNECTED: State = { kind: "disconnected" };

/**
 * Follows one log from a head on: everything stored, then live, each message once and in head order. It is only a
 * cursor: a slow reader holds no memory here and is served from the store again.
 */
export class Subscription {
  readonly #log: Log;
  readonly #pageMessages: number;
  readonly #pageBytes: number;
  readonly #left: () => void;
  #cursor: number;
  #state: State = IDLE;

  /** Made by `Bus.subscribe`. `left` is called once, when it no longer follows the log. */
  constructor(log: Log, cursor: number, pageMessages: number, pageBytes: number, left: () => void) {
    this.#log = log;
    this.#cursor = cursor;
    this.#pageMessages = pageMessages;
    this.#pageBytes = pageBytes;
    this.#left = left;
    log.join(this);
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
    switch (this.#state.kind) {
      case "closed":
        return Promise.resolve([]);
      case "disconnected":
        return Promise.reject(closingError(`follow "${this.#log.topic}"`));
      case "reading":
      case "waiting":
        return Promise.reject(
          new BusError("failed_precondition", "Cannot read on: the page before has not arrived; wait for it"),
        );
      case "idle":
        break;
    }
    if (signal?.aborted) return Promise.reject(signal.reason);
    if (this.#cursor > this.#log.head) return this.#wait(signal);
    const page = this.#log.recentPage(this.#cursor, this.#pageMessages, this.#pageBytes);
    return page === undefined ? this.#read(signal) : Promise.resolve(this.#advance(page));
  }

  /** Ends it; a waiting `next` settles with an empty page. Idempotent. */
  close(): void {
    const before = this.#end(CLOSED);
    if (before?.kind === "waiting") before.resolve([]);
  }

  /** Ends it because the bus closes. Called by the log. */
  disconnect(): void {
    const before = this.#end(DISCONNECTED);
    if (before?.kind === "waiting") before.reject(closingError(`follow "${this.#log.topic}"`));
  }

  /** Something was committed. Called by the log. */
  wake(): void {
    const waiting = this.#state;
    if (waiting.kind !== "waiting" || this.#cursor > this.#log.head) return;
    waiting.signal?.removeEventListener("abort", this.#onAbort);
    this.#state = IDLE;
    const page = this.#log.recentPage(this.#cursor, this.#pageMessages, this.#pageBytes);
    // The commit can be larger than what memory keeps: then it is read back like any other past.
    waiting.resolve(page === undefined ? this.#read(waiting.signal) : this.#advance(page));
  }

  #wait(signal: AbortSignal | undefined): Promise<readonly Message[]> {
    return new Promise((resolve, reject) => {
      this.#state = { kind: "waiting", resolve, reject, signal };
      signal?.addEventListener("abort", this.#onAbort);
    });
  }

  async #read(signal: AbortSignal | undefined): Promise<readonly Message[]> {
    this.#state = READING;
    try {
      const page = await this.#log.storedPage(this.#cursor, this.#pageMessages, this.#pageBytes);
      signal?.throwIfAborted();
      if (this.#isOver(DISCONNECTED)) throw closingError(`follow "${this.#log.topic}"`);
      return this.#isOver(CLOSED) ? [] : this.#advance(page);
    } finally {
      if (this.#state === READING) this.#state = IDLE;
    }
  }

  /** A question of its own, because the state may change while `#read` waits. */
  #isOver(state: State): boolean {
    return this.#state === state;
  }

  #advance(page: Message[]): readonly Message[] {
    this.#cursor += page.length;
    return page;
  }

  /** The state before; undefined when it had already ended. */
  #end(state: State): State | undefined {
    const before = this.#state;
    if (before === CLOSED || before === DISCONNECTED) return undefined;
    if (before.kind === "waiting") before.signal?.removeEventListener("abort", this.#onAbort);
    this.#state = state;
    this.#log.leave(this);
    this.#left();
    return before;
  }

  readonly #onAbort = (): void => {
    const waiting = this.#state;
    if (waiting.kind !== "waiting") return;
    waiting.signal?.removeEventListener("abort", this.#onAbort);
    this.#state = IDLE;
    waiting.reject(waiting.signal?.reason);
  };
}
