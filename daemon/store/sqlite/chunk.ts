import { type MessageReader, MessageWriter } from "../message_codec.ts";
import type { NewMessage } from "../store.ts";
import { CHUNK_BYTES, CHUNK_MESSAGES } from "./limits.ts";
import type { LogTail } from "./log_tail.ts";

/** Messages of one log that follow one another: a row of the table, or a part of one that is not written yet. */
export interface Chunk {
  readonly count: number;
  /** Payload and header bytes. */
  readonly contentBytes: number;
  /** As in `message_codec.ts`; the first one names its id. */
  readonly messages: Uint8Array;
}

/** A chunk for a log that is already known. */
export interface LogChunk extends Chunk {
  readonly log: LogTail;
}

/** Whether messages fit behind others in one chunk. */
export function fits(
  chunk: Pick<Chunk, "count" | "contentBytes">,
  count: number,
  contentBytes: number,
): boolean {
  return chunk.count + count <= CHUNK_MESSAGES && chunk.contentBytes + contentBytes <= CHUNK_BYTES;
}

/** Writes messages and cuts them into chunks. */
export class ChunkWriter implements Chunk {
  readonly #writer = new MessageWriter();
  readonly #done: (chunk: Chunk) => void;
  #contentBytes = 0;

  /** `done` gets each chunk, whose bytes are valid until it returns. */
  constructor(done: (chunk: Chunk) => void) {
    this.#done = done;
  }

  get count(): number {
    return this.#writer.count;
  }

  get contentBytes(): number {
    return this.#contentBytes;
  }

  get messages(): Uint8Array {
    return this.#writer.written;
  }

  add(message: NewMessage): void {
    const { follows, createdAtMs, payload, headers } = message;
    this.#makeRoom(payload.length + headers.length);
    if (follows === true && this.#writer.addNext(payload, headers)) return;
    this.#writer.add(message.id, createdAtMs, payload, headers); // the id of one that follows is not even made
  }

  /** Adds the message at which a reader stands, as a deleted one where `deleted`. */
  copy(from: MessageReader, deleted: boolean): void {
    this.#makeRoom(deleted ? 0 : from.contentBytes);
    this.#writer.copy(from, deleted);
  }

  /** Ends the chunk, if there is one: the next message is of another one. */
  end(): void {
    if (this.count > 0) this.#done(this);
    this.#writer.reset();
    this.#contentBytes = 0;
  }

  /** Forgets all messages, also what could follow them. To be called before each batch. */
  clear(): void {
    this.#writer.clear();
    this.#contentBytes = 0;
  }

  #makeRoom(contentBytes: number): void {
    if (this.count > 0 && !fits(this, 1, contentBytes)) this.end();
    this.#contentBytes += contentBytes;
  }
}
