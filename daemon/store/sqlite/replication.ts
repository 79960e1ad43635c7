import type { StoreError } from "../error.ts";
import { differsError, gapError, isRange, noRangeError, type Replicated } from "../replication.ts";
import type { FifoEntry, FifoTables } from "./fifo_tables.ts";
import type { LogEntry, LogTables } from "./log_tables.ts";
import type { LogTail } from "./log_tail.ts";
import { firstDifference } from "./stored_equality.ts";

/** A message copied from another node, for a log that is already known. */
export interface ReplicatedEntry extends LogEntry {
  readonly deleted: boolean;
}

/** A ReplicatedBatch as the store thread has it. */
export interface ReplicatedEntries {
  readonly log: LogTail;
  readonly incarnation: string;
  readonly firstHead: number;
  /** The lowest head that is deleted; undefined when none is. */
  readonly firstDeletedHead: number | undefined;
  readonly messages: readonly ReplicatedEntry[];
  readonly deletes: readonly { readonly log: LogTail; readonly from: number; readonly to: number }[];
  readonly enqueues: readonly { readonly headId: number; readonly entry: FifoEntry }[];
}

/** All that the tables tell about it: whether the erasure worked is known after the commit only. */
export type ReplicatedRows = Omit<Replicated, "erased"> & { readonly erases: boolean };

/** What is read at a time to compare it. */
const COMPARED = { messages: 1_024, bytes: 4 << 20 };

/** Whether a batch might erase something that is stored, as far as the ends of the logs can tell. */
export function mayErase({ log, firstDeletedHead, deletes }: ReplicatedEntries): boolean {
  return (firstDeletedHead !== undefined && firstDeletedHead <= log.head) ||
    deletes.some(({ log, from }) => from <= log.head);
}

/** Applies batches to the tables, within a transaction of the connection. */
export class Replication {
  readonly #logs: LogTables;
  readonly #fifo: FifoTables;

  constructor(logs: LogTables, fifo: FifoTables) {
    this.#logs = logs;
    this.#fifo = fifo;
  }

  /** A StoreError it returns was found before any change. */
  apply(batch: ReplicatedEntries): ReplicatedRows | StoreError {
    const { log, firstHead, messages, deletes } = batch;
    if (firstHead > log.head + 1) return gapError(log.topic, firstHead, log.head);
    const wrong = deletes.find((range) => !isRange(range));
    if (wrong !== undefined) return noRangeError({ ...wrong, topic: wrong.log.topic });
    const newlyDeletedHeads = this.#compare(batch);
    if (!Array.isArray(newlyDeletedHeads)) return newlyDeletedHeads;

    let erased = 0;
    for (const { log, from, to } of deletes) erased += this.#logs.delete(log, from, to);
    for (const [from, to] of stretches(newlyDeletedHeads)) erased += this.#logs.erase(log, from, to);
    if (batch.incarnation !== "") this.#logs.setIncarnation(log, batch.incarnation);

    const headBefore = log.head;
    const storedDeleted = this.#deletions(batch);
    const deletedHeads: number[] = [];
    let firstSequence = 0;
    for (let at = headBefore + 1 - firstHead; at < messages.length; at++) {
      const message = messages[at];
      if (message === undefined) break;
      const deleted = storedDeleted[at] === 1;
      const { headId, sequence } = this.#logs.append(message, deleted);
      if (firstSequence === 0) firstSequence = sequence;
      if (deleted && !message.deleted) deletedHeads.push(headId);
    }
    const isNew = (head: number) => head > headBefore && storedDeleted[head - firstHead] === 0;
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

  /** The heads of stored messages that the batch has as deleted, or that the batch contradicts what is stored. */
  #compare({ log, firstHead, messages }: ReplicatedEntries): number[] | StoreError {
    const deleted: number[] = [];
    const last = Math.min(log.head, firstHead + messages.length - 1);
    if (firstHead <= last) this.#logs.flush();
    for (let head = firstHead; head <= last;) {
      const limits = { ...COMPARED, messages: Math.min(COMPARED.messages, last - head + 1) };
      const before = head;
      for (const page of this.#logs.read(log, head, limits)) {
        const compared = messages.slice(head - firstHead, head - firstHead + page.rows.length);
        const difference = firstDifference(page, compared);
        if (difference !== undefined) return differsError(log.topic, head + difference.at, difference.field);
        for (const [at, [stored, , , , , payloadBytes]] of page.rows.entries()) {
          if (payloadBytes !== null && compared[at]?.deleted === true) deleted.push(stored);
        }
        head += page.rows.length;
      }
      if (head === before) throw new Error(`Cannot compare head ${head}: it is not in its log`);
    }
    return deleted;
  }

  /** For each message 1 if it is to be stored deleted, else 0: the remembered ranges are looked up once for all. */
  #deletions({ log, firstHead, firstDeletedHead, messages }: ReplicatedEntries): Uint8Array {
    const deletions = new Uint8Array(messages.length);
    if (firstDeletedHead !== undefined) {
      messages.forEach(({ deleted }, at) => deletions[at] = deleted ? 1 : 0);
    }
    for (const [from, to] of this.#logs.deleted(log, firstHead, firstHead + messages.length - 1)) {
      deletions.fill(1, Math.max(0, from - firstHead), Math.max(0, to - firstHead + 1));
    }
    return deletions;
  }
}

/** Ascending heads as ranges without gaps. */
function stretches(heads: readonly number[]): [from: number, to: number][] {
  const found: [from: number, to: number][] = [];
  for (const head of heads) {
    const last = found.at(-1);
    if (last !== undefined && last[1] + 1 === head) last[1] = head;
    else found.push([head, head]);
  }
  return found;
}
