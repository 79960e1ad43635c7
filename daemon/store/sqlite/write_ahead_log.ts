import { CHECKPOINT_BYTES, CHECKPOINT_RETRY_MS } from "./limits.ts";

/** A page and a half for the end of `chunks`, which every commit of messages writes anew. */
const COMMIT_OVERHEAD_BYTES = 4096 + 24;

/** When the write-ahead log is to be copied into the database, and whether it must be erased. No I/O, no clock. */
export class WriteAheadLog {
  /** Estimated bytes since the last checkpoint. */
  #bytes = 0;
  #erasureDue: boolean;
  #notBefore = -Infinity;

  /** `erasureDue`: what an earlier process left in the log may have been deleted. */
  constructor(erasureDue: boolean) {
    this.#erasureDue = erasureDue;
  }

  /** Whether deleted bytes may still be in the files. */
  get erasureDue(): boolean {
    return this.#erasureDue;
  }

  grew(bytes: number): void {
    this.#bytes += bytes + COMMIT_OVERHEAD_BYTES;
  }

  /** From now on only an emptied log will do. */
  requireErasure(): void {
    this.#erasureDue = true;
  }

  /** Whether to checkpoint now. Times are milliseconds of one clock that never goes back. */
  checkpointDue(now: number): boolean {
    return (this.#erasureDue || this.#bytes >= CHECKPOINT_BYTES) && now >= this.#notBefore;
  }

  checkpointed(emptied: boolean): void {
    this.#bytes = 0;
    if (emptied) this.#erasureDue = false;
  }

  /** There was no space: trying again at once would only keep the disk busy. */
  checkpointFailed(now: number): void {
    this.#notBefore = now + CHECKPOINT_RETRY_MS;
  }
}
