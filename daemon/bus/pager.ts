import { BusError, closingError } from "./error.ts";

/** What a {@link Pager} takes its pages from. */
export interface PageSource<Page, Ask> {
  /** What is being done, for errors: "Cannot …". */
  readonly action: string;
  /** The page of who has closed. */
  readonly empty: Page;
  /**
   * A page without the store. "nothing": there is none yet, so whoever asks waits (on) until {@link Pager.wake}.
   * "stored": it must be read. `waited` says that it is asked for somebody who was told to wait before.
   */
  look(ask: Ask, waited: boolean): Page | "nothing" | "stored";
  /** Reads a page; what it returns makes the page and moves on, and is called only where the page is still wanted. */
  read(ask: Ask): Promise<() => Page>;
  /** It has ended: nothing is asked any more. Called once. */
  left(): void;
}

/** A `next` that waits. */
interface Waiting<Page, Ask> {
  readonly kind: "waiting";
  readonly ask: Ask;
  readonly resolve: (page: Page | Promise<Page>) => void;
  readonly reject: (reason: unknown) => void;
  readonly signal: AbortSignal | undefined;
}

type State<Page, Ask> =
  | { readonly kind: "idle" }
  | { readonly kind: "reading" }
  | Waiting<Page, Ask>
  | { readonly kind: "closed" }
  | { readonly kind: "disconnected" };

const IDLE = { kind: "idle" } as const;
const READING = { kind: "reading" } as const;
const CLOSED = { kind: "closed" } as const;
const DISCONNECTED = { kind: "disconnected" } as const;

/** Answers one `next` after another: at once, from the store, or when something comes. */
export class Pager<Page, Ask> {
  readonly #source: PageSource<Page, Ask>;
  #state: State<Page, Ask> = IDLE;

  constructor(source: PageSource<Page, Ask>) {
    this.#source = source;
  }

  /** Whether somebody waits for something to come. */
  get waiting(): boolean {
    return this.#state.kind === "waiting";
  }

  /**
   * The next page. One call at a time, else it rejects with failed_precondition. Rejects with the signal's reason when
   * that aborts, with "unavailable" after {@link disconnect}, and as the source does; the next call goes on where the
   * last page ended. After {@link close} the source's empty page.
   */
  next(ask: Ask, signal?: AbortSignal): Promise<Page> {
    switch (this.#state.kind) {
      case "closed":
        return Promise.resolve(this.#source.empty);
      case "disconnected":
        return Promise.reject(closingError(this.#source.action));
      case "reading":
      case "waiting":
        return Promise.reject(
          new BusError("failed_precondition", "Cannot read on: the page before has not arrived; wait for it"),
        );
      case "idle":
        break;
    }
    if (signal?.aborted) return Promise.reject(signal.reason);
    const page = this.#source.look(ask, false);
    if (page === "nothing") return this.#wait(ask, signal);
    return page === "stored" ? this.#read(ask, signal) : Promise.resolve(page);
  }

  /** Something may have come for who waits. */
  wake(): void {
    const waiting = this.#state;
    if (waiting.kind !== "waiting") return;
    const page = this.#source.look(waiting.ask, true);
    if (page === "nothing") return;
    this.#stopWaiting(waiting);
    waiting.resolve(page === "stored" ? this.#read(waiting.ask, waiting.signal) : page);
  }

  /** Gives a page to who waits. */
  give(page: Page): void {
    const waiting = this.#state;
    if (waiting.kind !== "waiting") return;
    this.#stopWaiting(waiting);
    waiting.resolve(page);
  }

  /** Ends it; a waiting `next` settles with the empty page. Idempotent. */
  close(): void {
    const before = this.#end(CLOSED);
    if (before?.kind === "waiting") before.resolve(this.#source.empty);
  }

  /** Ends it because the bus closes. Idempotent. */
  disconnect(): void {
    const before = this.#end(DISCONNECTED);
    if (before?.kind === "waiting") before.reject(closingError(this.#source.action));
  }

  #wait(ask: Ask, signal: AbortSignal | undefined): Promise<Page> {
    return new Promise((resolve, reject) => {
      this.#state = { kind: "waiting", ask, resolve, reject, signal };
      signal?.addEventListener("abort", this.#onAbort);
    });
  }

  #stopWaiting({ signal }: Waiting<Page, Ask>): void {
    signal?.removeEventListener("abort", this.#onAbort);
    this.#state = IDLE;
  }

  async #read(ask: Ask, signal: AbortSignal | undefined): Promise<Page> {
    this.#state = READING;
    try {
      const page = await this.#source.read(ask);
      signal?.throwIfAborted();
      if (this.#isOver(DISCONNECTED)) throw closingError(this.#source.action);
      return this.#isOver(CLOSED) ? this.#source.empty : page();
    } finally {
      if (this.#state === READING) this.#state = IDLE;
    }
  }

  /** A question of its own, because the state may change while `#read` waits. */
  #isOver(state: State<Page, Ask>): boolean {
    return this.#state === state;
  }

  /** The state before; undefined when it had already ended. */
  #end(state: State<Page, Ask>): State<Page, Ask> | undefined {
    const before = this.#state;
    if (before === CLOSED || before === DISCONNECTED) return undefined;
    if (before.kind === "waiting") before.signal?.removeEventListener("abort", this.#onAbort);
    this.#state = state;
    this.#source.left();
    return before;
  }

  readonly #onAbort = (): void => {
    const waiting = this.#state;
    if (waiting.kind !== "waiting") return;
    this.#stopWaiting(waiting);
    waiting.reject(waiting.signal?.reason);
  };
}
