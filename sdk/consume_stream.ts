import type { ConsumeSource } from "./consume_source.ts";
import { MessageStream } from "./message_stream.ts";

/** The messages of many topics, in the order in which the daemon stored them. */
export class ConsumeStream extends MessageStream {
  readonly #consumed: ConsumeSource;

  /** Made by {@linkcode Client.consume}. */
  constructor(source: ConsumeSource) {
    super(source);
    this.#consumed = source;
  }

  /**
   * Where a later `consume` goes on, with `from: { cursor }`: behind the last batch that was taken whole. Of a batch
   * of which only a part was taken, everything comes again: take whole batches with {@linkcode nextBatch} where that
   * matters. Empty before the daemon's first answer. It holds for the daemon and data directory that gave it; where a
   * backup of that was restored, the stream fails with FAILED_PRECONDITION unless it is sure that nothing is missed.
   */
  get cursor(): string {
    return this.#consumed.cursor(this.taken);
  }

  /** Whether everything that was stored has been taken: what follows is new. */
  get caughtUp(): boolean {
    return this.#consumed.caughtUp && this.taken;
  }
}
