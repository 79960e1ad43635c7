import type { Message } from "./message.ts";

/** Where a stream's messages come from. */
export interface MessageSource {
  /** The next messages, at least one; null after the last, or when it was closed. Throws MsgbusError. Not to be called again before it settles. */
  nextBatch(): Promise<readonly Message[] | null>;
  /** Ends it; a pending `nextBatch` settles with null. May be called again. */
  close(): void;
}

/**
 * Messages in head order, for one reader: with `for await`, or batch by batch with {@linkcode nextBatch}, which is
 * faster. It asks the daemon for more only when everything it gave was taken. Leaving the loop closes it.
 */
export class MessageStream implements AsyncIterableIterator<Message, undefined, undefined>, AsyncDisposable {
  readonly #source: MessageSource;
  #batch: readonly Message[] = [];
  #at = 0;
  #ended = false;
  #reading: Promise<void> | undefined;

  /** Made by {@linkcode Client.fetch}, {@linkcode Client.subscribe} and {@linkcode Client.consume}. */
  constructor(source: MessageSource) {
    this.#source = source;
  }

  /** The next message. Throws MsgbusError; after that, and after {@linkcode close}, the stream is over. */
  next(): Promise<IteratorResult<Message, undefined>> {
    const message = this.#batch[this.#at];
    if (message === undefined) return this.#nextOfSource();
    this.#at++;
    return Promise.resolve({ done: false, value: message });
  }

  /** All messages that are here, at least one; null when the stream is over. Throws MsgbusError. */
  async nextBatch(): Promise<readonly Message[] | null> {
    while (await this.#fill()) {
      if (this.#at >= this.#batch.length) continue;
      const rest = this.#at === 0 ? this.#batch : this.#batch.slice(this.#at);
      this.#batch = [];
      this.#at = 0;
      return rest;
    }
    return null;
  }

  /** Whether everything that the source gave has been taken. */
  protected get taken(): boolean {
    return this.#at >= this.#batch.length;
  }

  /** Ends the stream at once: messages that were not taken are dropped. May be called again. */
  close(): void {
    this.#ended = true;
    this.#batch = [];
    this.#at = 0;
    this.#source.close();
  }

  /** Called when a loop is left. */
  return(): Promise<IteratorResult<Message, undefined>> {
    this.close();
    return Promise.resolve({ done: true, value: undefined });
  }

  /** The stream itself. */
  [Symbol.asyncIterator](): this {
    return this;
  }

  /** Closes at the end of an `await using` block. */
  [Symbol.asyncDispose](): Promise<void> {
    this.close();
    return Promise.resolve();
  }

  async #nextOfSource(): Promise<IteratorResult<Message, undefined>> {
    while (await this.#fill()) {
      // Another call may have taken what came between.
      const message = this.#batch[this.#at];
      if (message === undefined) continue;
      this.#at++;
      return { done: false, value: message };
    }
    return { done: true, value: undefined };
  }

  /** Waits until there is a message; false when the stream is over. */
  async #fill(): Promise<boolean> {
    while (this.#at >= this.#batch.length) {
      if (this.#ended) return false;
      await (this.#reading ??= this.#read());
    }
    return true;
  }

  async #read(): Promise<void> {
    try {
      const batch = await this.#source.nextBatch();
      if (batch === null) this.#ended = true;
      if (this.#ended || batch === null) return;
      this.#batch = batch;
      this.#at = 0;
    } catch (error) {
      this.#ended = true;
      throw error;
    } finally {
      this.#reading = undefined;
    }
  }
}
