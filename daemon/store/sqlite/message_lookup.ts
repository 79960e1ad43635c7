import { DamagedMessagesError, MessageReader } from "../message_codec.ts";
import type { ChunkRows } from "./chunk_rows.ts";
import type { ChunkRow } from "./page.ts";

/**
 * Finds messages by their sequences: in turn without passing over those before again. What it has read it does not read
 * anew, so it is of no use after an erasure.
 */
export class MessageLookup {
  /** At the message that was found last. */
  readonly message = new MessageReader(new Uint8Array());
  readonly #chunks: ChunkRows;
  #chunk: ChunkRow | undefined;
  /** Of the message at which the reader stands; one below the first of the chunk before that. */
  #sequence = 0;

  /** `chunks` are the rows from the one with a sequence on up to another sequence. */
  constructor(chunks: ChunkRows) {
    this.#chunks = chunks;
  }

  /** The log's number and the head of the message with a sequence; undefined where there is none. */
  find(sequence: number): { log: number; headId: number } | undefined {
    const chunk = this.#chunkOf(sequence);
    if (chunk === undefined) return undefined;
    for (; this.#sequence < sequence; this.#sequence++) {
      if (!this.message.next()) throw new DamagedMessagesError(this.message.end);
    }
    const [log, firstHead, firstSequence] = chunk;
    return { log, headId: firstHead + sequence - firstSequence };
  }

  #chunkOf(sequence: number): ChunkRow | undefined {
    const open = this.#chunk;
    if (open !== undefined && sequence >= this.#sequence && sequence < open[2] + open[3]) return open;
    const [chunk] = this.#chunks.rows(1, sequence, sequence);
    if (chunk === undefined) return undefined;
    const [, , firstSequence, count, bytes] = chunk;
    if (sequence >= firstSequence + count) return undefined;
    this.#chunk = chunk;
    this.message.reset(this.#chunks.content(1, firstSequence, firstSequence), 0, bytes);
    this.#sequence = firstSequence - 1;
    return chunk;
  }
}
