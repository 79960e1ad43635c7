import {
  CHECKPOINT_BYTES,
  CHECKPOINT_RETRY_MS,
  SHORT_CHECKPOINT_MS,
  SMALL_CHECKPOINT_BYTES,
} from "./limits.ts";

/** A page and a half for the end of `chunks`, which every commit of messages writes anew. */
const COMMIT_OVERHEAD_BYTES = 4096 + 24;

/** When the write-ahead log is to be copied into the database, and whether it must be erased. No I/O, no clock. */
export class WriteAheadLog {
  /** Estimated bytes since the last checkpoint. */
  #bytes = 0;
  /** Bytes after which the next one is due. */
  #dueBytes = SMALL_CHECKPOINT_BYTES;
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
    return (this.#erasureDue || this.#bytes >= this.#dueBytes) && now >= this.#notBefore;
  }

  /** Writes waited so long for a checkpoint. */
  checkpointed(emptied: boolean, tookMs: number): void {
    const smallMs = tookMs * Math.min(1, SMALL_CHECKPOINT_BYTES / this.#bytes);
    this.#dueBytes = smallMs <= SHORT_CHECKPOINT_MS ? SMALL_CHECKPOINT_BYTES : CHECKPOINT_BYTES;
    this.#bytes = 0;
    if (emptied) this.#erasureDue = false;
  }

  /** There was no space: trying again at once would only keep the disk busy. */
  checkpointFailed(now: number): void {
    this.#notBefore = now + CHECKPOINT_RETRY_MS;
  }
}
