import type { StoreError } from "../error.ts";
import { MessageReader } from "../message_codec.ts";
import { differsError, gapError, isRange, noRangeError, type Replicated } from "../replication.ts";
import type { LogsAside } from "./logs_aside.ts";
import { ChunkWriter } from "./chunk.ts";
import type { FifoEntry, FifoTables } from "./fifo_tables.ts";
import { joined } from "../joined.ts";
import type { LogTables } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { MessageComparison } from "./message_comparison.ts";
import { stretches } from "./stretches.ts";

/** A ReplicatedBatch as the store thread has it. */
export interface ReplicatedEntries {
  readonly log: LogTail;
  readonly incarnation: string;
  readonly firstHead: number;
  /** The lowest head that is deleted; undefined when none is. */
  readonly firstDeletedHead: number | undefined;
  readonly count: number;
  /** The messages as in `message_codec.ts`. */
  readonly messages: Uint8Array;
  readonly deletes: readonly {
    readonly log: LogTail;
    readonly from: number;
    readonly to: number;
    /** 0 where nothing of it is erased. */
    readonly erasedTo: number;
  }[];
  readonly enqueues: readonly { readonly headId: number; readonly entry: FifoEntry }[];
}

/** All that the tables tell about it: whether the erasure worked is known after the commit only. */
export type ReplicatedRows = Omit<Replicated, "erased"> & { readonly erases: boolean };

/** What is read at a time to compare it. */
const COMPARED = { messages: 1_024, bytes: 4 << 20 };

/** Applies batches to the tables, within a transaction of the connection. */
export class Replication {
  readonly #logs: LogTables;
  readonly #fifo: FifoTables;
  readonly #aside: LogsAside;

  constructor(logs: LogTables, fifo: FifoTables, aside: LogsAside) {
    this.#logs = logs;
    this.#fifo = fifo;
    this.#aside = aside;
  }

  /** Whether a batch might erase something that is stored, as far as the ends of the logs can tell. */
  mayErase({ log, incarnation, firstHead, firstDeletedHead, count, deletes }: ReplicatedEntries): boolean {
    if (firstDeletedHead !== undefined && firstDeletedHead <= log.head) return true;
    if (deletes.some(({ log, from, erasedTo }) => Math.max(from, erasedTo + 1) <= log.head)) return true;
    if (!this.#aside.mayReach(log, firstHead)) return false;
    return firstDeletedHead !== undefined ||
      this.#logs.deleted(log, firstHead, firstHead + count - 1, incarnation).length > 0;
  }

  /** A StoreError it returns was found before any change. */
  apply(batch: ReplicatedEntries): ReplicatedRows | StoreError {
    const { log, firstHead, deletes } = batch;
    if (firstHead > log.head + 1) return gapError(log.topic, firstHead, log.head);
    const wrong = deletes.find((range) => !isRange(range));
    if (wrong !== undefined) return noRangeError({ ...wrong, topic: wrong.log.topic });
    const newlyDeletedHeads = this.#compare(batch);
    if (!Array.isArray(newlyDeletedHeads)) return newlyDeletedHeads;

    let erased = 0;
    for (const { log, from, to, erasedTo } of deletes) {
      const eraseFrom = Math.max(from, erasedTo + 1);
      erased += this.#logs.delete(log, from, to, eraseFrom, batch.incarnation);
      erased += this.#aside.erase(log, eraseFrom, to);
    }
    for (const [from, to] of stretches(newlyDeletedHeads)) {
      erased += this.#logs.erase(log, from, to) + this.#aside.erase(log, from, to);
    }
    if (batch.incarnation !== "") this.#logs.setIncarnation(log, batch.incarnation);

    const headBefore = log.head;
    const { deletions: storedDeleted, remembered } = this.#deletions(batch);
    const { firstSequence, deletedHeads } = this.#append(batch, storedDeleted);
    // What is left is looked through for each batch.
    if (remembered) this.#logs.forgetDeleted(log, batch.incarnation);
    if (storedDeleted.includes(1)) erased += this.#aside.erase(log, headBefore + 1, log.head);
    const isNew = (head: number) =>
      head > headBefore && storedDeleted[head - firstHead] === 0 && !this.#aside.have(log, head);
    return {
      headId: log.head,
      appended: log.head - headBefore,
      firstSequence,
      deletedHeads,
      newlyDeletedHeads,
      enqueued: batch.enqueues.map(({ headId, entry }) => isNew(headId) ? this.#fifo.enqueue(entry) : 0),
      erases: erased > 0,
    };
  }

  /** Appends what is behind the head. */
  #append({ log, firstHead, messages }: ReplicatedEntries, storedDeleted: Uint8Array) {
    const deletedHeads: number[] = [];
    let firstSequence = 0;
    const chunks = new ChunkWriter(({ count, contentBytes, messages }) => {
      const placed = this.#logs.append(log, { count, contentBytes, messages: messages.slice() });
      if (firstSequence === 0) firstSequence = placed.sequence;
    });
    const message = new MessageReader(messages);
    const first = log.head + 1;
    for (let head = firstHead; message.next(); head++) {
      if (head < first) continue;
      const deleted = storedDeleted[head - firstHead] === 1;
      chunks.copy(message, deleted);
      if (deleted && !message.deleted) deletedHeads.push(head);
    }
    chunks.end();
    return { firstSequence, deletedHeads };
  }

  /** The heads of stored messages that the batch has as deleted, or that the batch contradicts what is stored. */
  #compare({ log, firstHead, count, messages }: ReplicatedEntries): number[] | StoreError {
    const deleted: number[] = [];
    const last = Math.min(log.head, firstHead + count - 1);
    if (firstHead > last) return deleted;
    this.#logs.flush();
    const comparison = new MessageComparison();
    const message = new MessageReader(messages);
    for (let head = firstHead; head <= last;) {
      const limits = { ...COMPARED, messages: Math.min(COMPARED.messages, last - head + 1) };
      const stored = new MessageReader(joined(this.#logs.read(log, head, limits).slices));
      for (; stored.next() && message.next(); head++) {
        const field = comparison.differentField(stored, message);
        if (field !== undefined) return differsError(log.topic, head, field);
        if (message.deleted && !stored.deleted) deleted.push(head);
      }
    }
    return deleted;
  }

  /**
   * For each message 1 if it is to be stored deleted, else 0: the remembered ranges are looked up once for all. And whether
   * there were any.
   */
  #deletions(batch: ReplicatedEntries) {
    const { log, incarnation, firstHead, firstDeletedHead, count, messages } = batch;
    const deletions = new Uint8Array(count);
    if (firstDeletedHead !== undefined) {
      const message = new MessageReader(messages);
      for (let at = 0; message.next(); at++) deletions[at] = message.deleted ? 1 : 0;
    }
    const ranges = this.#logs.deleted(log, firstHead, firstHead + count - 1, incarnation);
    for (const [from, to] of ranges) {
      deletions.fill(1, Math.max(0, from - firstHead), Math.max(0, to - firstHead + 1));
    }
    return { deletions, remembered: ranges.length > 0 };
  }
}
