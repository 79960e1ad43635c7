import type { ByteBudget } from "./byte_budget.ts";
import { MessageReader } from "./message_reader.ts";
import type { StatusError } from "./status.ts";

/** How the sending of messages ended. */
type End = { readonly kind: "done" } | { readonly kind: "failed"; readonly error: StatusError };

/**
 * The messages that one direction of a call has received and its reader has not taken yet. The bytes of messages that
 * wait are held back from the flow-control window, so that a reader who does not read stops the sender.
 */
export class MessageQueue implements AsyncIterable<Uint8Array> {
  readonly #reader: MessageReader;
  readonly #consume: (bytes: number) => void;
  #waiting: Uint8Array[] = [];
  #heldBytes = 0;
  #end: End | undefined;
  #wake: (() => void) | undefined;

  /** Messages that are cut take from `budget`; `consume` gives bytes back to the window. */
  constructor(maxMessageBytes: number, budget: ByteBudget, consume: (bytes: number) => void) {
    this.#reader = new MessageReader(maxMessageBytes, budget);
    this.#consume = consume;
  }

  /** Takes a piece of the body. Throws StatusError for what is no message. */
  push(piece: Uint8Array): void {
    this.#heldBytes += piece.length;
    this.#reader.push(piece);
    for (let message = this.#reader.next(); message !== undefined; message = this.#reader.next()) {
      this.#waiting.push(message);
    }
    // A message that is still incomplete must be able to grow: its bytes are never held back.
    if (this.#waiting.length === 0) this.#giveBack();
    else this.#wake?.();
  }

  /** Whether the body may end here: no message is cut. */
  get complete(): boolean {
    return this.#reader.complete;
  }

  /** Messages that wait. */
  get length(): number {
    return this.#waiting.length;
  }

  /** Nothing follows. */
  end(): void {
    this.#end ??= { kind: "done" };
    this.#wake?.();
  }

  /** The call failed: the reader gets the messages that came before, then the error. */
  fail(error: StatusError): void {
    this.#end ??= { kind: "failed", error };
    this.release();
    this.#wake?.();
  }

  /**
   * Gives the bytes of messages that wait back to the window. For a stream that is over: nothing more can come on it,
   * and a reader who never reads must not keep the connection's window shut.
   */
  release(): void {
    this.#reader.abandon();
    this.#giveBack();
  }

  #giveBack(): void {
    const bytes = this.#heldBytes;
    this.#heldBytes = 0;
    if (bytes > 0) this.#consume(bytes);
  }

  /** Drops what waits: nobody will read it. */
  discard(): void {
    this.#waiting = [];
    this.release();
    this.end();
  }

  /** The message at the front, without waiting; undefined when there is none. */
  takeOne(): Uint8Array | undefined {
    const message = this.#waiting.shift();
    if (this.#waiting.length === 0) this.#giveBack();
    return message;
  }

  /** All messages that wait, at least one; null after the last. Throws the call's error. One reader at a time. */
  async takeAll(): Promise<readonly Uint8Array[] | null> {
    while (this.#waiting.length === 0) {
      if (this.#end?.kind === "done") return null;
      if (this.#end?.kind === "failed") throw this.#end.error;
      await new Promise<void>((resolve) => this.#wake = resolve);
      this.#wake = undefined;
    }
    const taken = this.#waiting;
    this.#waiting = [];
    this.#giveBack();
    return taken;
  }

  /** One message after the other. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    for (let messages = await this.takeAll(); messages !== null; messages = await this.takeAll()) {
      yield* messages;
    }
  }
}
