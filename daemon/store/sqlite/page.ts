import { DamagedMessagesError, MessageReader, MessageWriter } from "../message_codec.ts";
import type { ReadLimits } from "../store.ts";

/** What the table says of a chunk beside its messages. */
export type ChunkRow = readonly [
  log: number,
  firstHead: number,
  firstSequence: number,
  count: number,
  /** Of its messages as they are kept. */
  bytes: number,
];

/** Messages of one log in a page that follow one another. */
export interface PagePart {
  readonly log: number;
  readonly firstHead: number;
  readonly firstSequence: number;
  count: number;
}

/** Whether the message at which a reader stands is to be in a page. */
export type Wanted = (message: MessageReader) => boolean;

/** Picks messages out of chunks, as they are kept, until a limit is reached. */
export class Page {
  readonly parts: PagePart[] = [];
  readonly #slices: Uint8Array[] = [];
  readonly #wanted: Wanted | undefined;
  readonly #reader = new MessageReader(NO_BYTES);
  readonly #first = new MessageWriter();
  #messagesLeft: number;
  #bytesLeft: number;
  #full = false;
  /** Messages picked last that lie one after the other; not yet in `#slices`. */
  #source: Uint8Array = NO_BYTES;
  #from = 0;
  #to = 0;

  /** `wanted` is left out where every message is. */
  constructor(limits: ReadLimits, wanted?: Wanted) {
    this.#messagesLeft = limits.messages;
    this.#bytesLeft = limits.bytes;
    this.#wanted = wanted;
  }

  /** Whether a limit is reached: what follows is for the next page. */
  get full(): boolean {
    return this.#full;
  }

  /** What may still come. */
  get left(): ReadLimits {
    return { messages: this.#messagesLeft, bytes: this.#bytesLeft };
  }

  /** The messages of all parts, one after the other. */
  get slices(): readonly Uint8Array[] {
    this.#endSlice();
    return this.#slices;
  }

  /**
   * Takes messages of a chunk, which begin at a place of `content`, without the first `skipped` ones. Says how many of
   * the chunk were looked at: all, unless the page is full. Throws DamagedMessagesError.
   */
  take(
    [log, firstHead, firstSequence, count, bytes]: ChunkRow,
    content: Uint8Array,
    at: number,
    skipped: number,
  ): number {
    const reader = this.#reader;
    reader.reset(content, at, at + bytes);
    for (let index = 0; index < count; index++) {
      if (!reader.next()) throw new DamagedMessagesError(reader.end);
      if (index < skipped || this.#wanted?.(reader) === false) continue;
      const size = reader.contentBytes;
      this.#full = size > this.#bytesLeft && this.parts.length > 0;
      if (this.#full) return index;
      this.#bytesLeft -= size;
      this.#pick(content);
      this.#place(log, firstHead + index, firstSequence + index);
      this.#full = --this.#messagesLeft === 0;
      if (this.#full) return index + 1;
    }
    if (reader.next()) throw new DamagedMessagesError(reader.start);
    return count;
  }

  #pick(content: Uint8Array): void {
    const reader = this.#reader;
    if (this.#source === content && this.#to === reader.start) {
      this.#to = reader.end;
      return;
    }
    this.#endSlice();
    this.#source = content;
    this.#to = reader.end;
    this.#from = reader.isNamed ? reader.start : reader.end;
    if (reader.isNamed) return;
    // The message that says its id is left out.
    this.#first.clear();
    this.#first.copy(reader, false);
    this.#slices.push(this.#first.written.slice());
  }

  #place(log: number, head: number, sequence: number): void {
    const last = this.parts.at(-1);
    if (
      last !== undefined && last.log === log && last.firstHead + last.count === head &&
      last.firstSequence + last.count === sequence
    ) last.count++;
    else this.parts.push({ log, firstHead: head, firstSequence: sequence, count: 1 });
  }

  #endSlice(): void {
    if (this.#from < this.#to) this.#slices.push(this.#source.subarray(this.#from, this.#to));
    this.#from = this.#to = 0;
    this.#source = NO_BYTES;
  }
}

const NO_BYTES = new Uint8Array();
