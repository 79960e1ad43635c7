import { StoreError } from "./error.ts";
import type { NewFifoMessage, NodeName } from "./store.ts";

/** A message as another node's log has it. The same rule about its bytes as for `NewMessage`. */
export interface ReplicatedMessage {
  readonly headId: number;
  readonly id: string;
  /** Milliseconds since the Unix epoch, a safe integer. */
  readonly createdAtMs: number;
  /** Empty when deleted. */
  readonly payload: Uint8Array;
  /** Empty when deleted or none. */
  readonly headers: Uint8Array;
  readonly deleted: boolean;
}

/** Heads of a log, both ends included: 1 <= `from` <= `to`. */
export interface DeletedRange {
  readonly topic: string;
  readonly from: number;
  readonly to: number;
}

/** A range that a copied marker deletes. */
export interface MarkedRange extends DeletedRange {
  /** The last head of those that `Store.eraseRange` erased before, from the first one on. Default none. */
  readonly erasedTo?: number | undefined;
}

/** Messages of one log, copied from another node, and what they bring about; applied in one transaction. */
export interface ReplicatedBatch {
  readonly topic: string;
  readonly origin: NodeName;
  /** The incarnation of the log they come from; "" where unknown. */
  readonly incarnation: string;
  /** At least one; their heads follow one another. */
  readonly messages: readonly ReplicatedMessage[];
  /**
   * Ranges of logs of the same origin that these messages (delete markers) delete. A range may lie beyond the head of
   * its log, or name a log that does not exist yet: it is remembered for the messages that arrive later, unless those
   * are of another incarnation: an origin that began anew did not delete them. Nor is anything erased of a log that is
   * known to be of another one.
   */
  readonly deletes: readonly MarkedRange[];
  /**
   * Messages for queues of this node. Each is enqueued only when the message with its `headId` is newly appended by
   * this call, and not stored deleted, and no log set aside has the same message there: then it was enqueued before.
   */
  readonly enqueues: readonly { readonly headId: number; readonly message: NewFifoMessage }[];
}

/** What `Store.replicate` did. */
export interface Replicated {
  /** The log's head afterwards. */
  readonly headId: number;
  /** How many of the messages were new, always the last ones of the batch: heads `headId - appended + 1` to `headId`. */
  readonly appended: number;
  /** The sequence of the first one that was new; theirs follow one another. 0 when none was. */
  readonly firstSequence: number;
  /** Heads of new messages that did not arrive deleted but are stored so, because a remembered range covers them. */
  readonly deletedHeads: readonly number[];
  /** Heads of messages stored before that are deleted now because they arrived deleted. */
  readonly newlyDeletedHeads: readonly number[];
  /** The sequences of `enqueues` in their queues, in order; 0 for those not enqueued. */
  readonly enqueued: readonly number[];
  /** As in `Deletion`; true when there was nothing to erase. */
  readonly erased: boolean;
}

/** A log that was set aside. */
export interface ArchivedLog {
  readonly topic: string;
  readonly origin: NodeName;
  /** Unique for topic and origin. */
  readonly name: string;
  readonly headId: number;
}

/** The first head of a batch. Throws "gap" when the heads do not follow one another, or there is none. */
export function firstHeadOf({ topic, messages }: ReplicatedBatch): number {
  const first = messages[0]?.headId ?? 0;
  if (first < 1 || messages.some(({ headId }, at) => headId !== first + at)) {
    const state = "the heads of its messages do not follow one another";
    throw new StoreError(
      "gap",
      `Cannot copy a batch of "${topic}": ${state}; name each head from the first on`,
    );
  }
  return first;
}

/** What copying fails with when messages between the head and the batch are missing. */
export function gapError(topic: string, firstHead: number, head: number): StoreError {
  const wish = `copy from head ${head + 1} on`;
  return new StoreError(
    "gap",
    `Cannot copy head ${firstHead} of "${topic}": the head here is ${head}; ${wish}`,
  );
}

/** What copying fails with when another message is stored at a head. `field` is the first one that differs. */
export function differsError(topic: string, headId: number, field: string): StoreError {
  const state = `a message with another ${field} is stored there`;
  return new StoreError(
    "conflict",
    `Cannot copy head ${headId} of "${topic}": ${state}; set one of the logs aside`,
  );
}

/** What copying fails with when a range to delete is none. */
export function noRangeError({ topic, from, to }: DeletedRange): StoreError {
  const wish = "name a first head from 1 on and a last one not below it";
  return new StoreError(
    "conflict",
    `Cannot delete heads ${from} to ${to} of "${topic}": they are no range; ${wish}`,
  );
}

/** Whether a range has at least one head. */
export function isRange({ from, to }: { readonly from: number; readonly to: number }): boolean {
  return from >= 1 && from <= to;
}

/** What setting a log aside fails with when it has no messages. */
export function noSuchLog(topic: string): StoreError {
  const wish = "name a log that has messages";
  return new StoreError("conflict", `Cannot set the log of "${topic}" aside: there is no such log; ${wish}`);
}

/** The name for a log that is set aside, other than those taken. */
export function archiveName(incarnation: string, taken: (name: string) => boolean): string {
  const base = incarnation === "" ? "unknown" : incarnation;
  let name = base;
  for (let number = 2; taken(name); number++) name = `${base}.${number}`;
  return name;
}
