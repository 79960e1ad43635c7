/**
 * What the bus needs from durable storage, and what every storage promises. Implementations: `sqlite/` (a file),
 * `memory/` (nothing kept). `contract.ts` and `test_*_contract.ts` prove these promises for each of them.
 *
 * @module
 */

export { StoreError, type StoreErrorCode } from "./error.ts";
export { isOtherIncarnation } from "./incarnation.ts";
export { joined } from "./joined.ts";
export {
  entriesOfHeaders,
  fieldNumber,
  FIRST_LATER_FIELD,
  FIRST_LATER_TAG,
  isKeptWireType,
  laterFieldEnd,
} from "./later_fields.ts";
export { LogMap } from "./log_map.ts";
export { type DedupLimits, DEFAULT_DEDUP_LIMITS } from "./once.ts";
export type {
  AppendedRun,
  AppendingProducer,
  Duplicate,
  OnceMessage,
  OnceOutcome,
  OnceRefusal,
  ProducerName,
  ProducerPlace,
} from "./once.ts";
export { MAX_OPENINGS, type Opening } from "./opening.ts";
export { parseUuid, UUID_BYTES } from "./uuid_bytes.ts";
export type {
  ArchivedLog,
  DeletedRange,
  MarkedRange,
  Replicated,
  ReplicatedBatch,
  ReplicatedMessage,
} from "./replication.ts";

import type { AppendingProducer, OnceMessage, OnceOutcome, ProducerName, ProducerPlace } from "./once.ts";
import type { ArchivedLog, Replicated, ReplicatedBatch } from "./replication.ts";

/** The name of a node: three parts, none of them interpreted by the store. */
export interface NodeName {
  readonly tenantId: string;
  readonly blName: string;
  readonly deviceId: string;
}

/** The name of a log. */
export interface LogName {
  readonly topic: string;
  readonly origin: NodeName;
}

/** A message to append. A store has what it needs of it when the call returns: its bytes may change then. */
export interface NewMessage extends LogName {
  /** Any text. A canonical UUID (lower case, with dashes) is kept in 16 bytes, or none where it follows. */
  readonly id: string;
  /**
   * True: the id is the UUID of the message before it in this batch plus one, as a number of 128 bits, and
   * `createdAtMs` is the same. Then a store need not read `id`. Default false.
   */
  readonly follows?: boolean;
  /** Milliseconds since the Unix epoch, a safe integer from 0 on. */
  readonly createdAtMs: number;
  readonly payload: Uint8Array;
  /**
   * Encoded entries of a protobuf map with the field number 6, as `bus/headers.ts` writes them; empty = none. Other
   * bytes are a mistake of the caller, for which the call rejects with a TypeError.
   */
  readonly headers: Uint8Array;
}

/** Where an appended message stands. */
export interface Appended {
  /** 1, 2, 3 … within topic and origin, without gaps. */
  readonly headId: number;
  /** 1, 2, 3 … over all logs of this node, in the order of appending. */
  readonly sequence: number;
}

/** Where a message lies among others, as `message_codec.ts` writes them. */
export interface KeptBytes {
  readonly bytes: Uint8Array;
  readonly from: number;
  readonly to: number;
  /** Whether its id is among them; otherwise it follows that of the message before. */
  readonly named: boolean;
  /** Bytes of its id as text. */
  readonly idLength: number;
  /** Writes that text: cheaper than making a string of it. */
  putId(into: Uint8Array, at: number): void;
}

/** A message as it was read back. Its topic and origin are those of the call. */
export interface StoredMessage extends Appended {
  /** Possibly made when it is asked for: an object spread may lack it. */
  readonly id: string;
  readonly createdAtMs: number;
  /** Empty when deleted. A view: the messages of one page share one buffer. */
  readonly payload: Uint8Array;
  /** Empty when deleted or none. */
  readonly headers: Uint8Array;
  readonly deleted: boolean;
  /** Its bytes, where the store has them at hand. */
  readonly kept?: KeptBytes | undefined;
}

/** A message as it was read back with those of other logs. */
export interface SequencedMessage extends StoredMessage, LogName {}

/** Which messages {@link Store.readAll} is to find. Each part that is there narrows it down. */
export interface SequenceFilter {
  /** Only those of these logs. Whoever hands a list over never changes it again, and hands over the same one again. */
  readonly only?: readonly LogName[];
  /** None of these logs. The same rule as for `only`. */
  readonly except?: readonly LogName[];
  /** No deleted ones. Default false. */
  readonly skipDeleted?: boolean;
  /** Only those with this `createdAtMs` or a later one. */
  readonly createdFromMs?: number;
}

/** Messages over all logs. */
export interface SequencePage {
  /** In the order of their sequences. */
  readonly messages: readonly SequencedMessage[];
  /** Everything below was looked at: go on here. Greater than `from` unless nothing is stored from there on. */
  readonly next: number;
}

/** A log and its newest head. */
export interface LogHead extends LogName {
  readonly headId: number;
  /** The incarnation of the log this one was copied from; "" where unknown, and for a log that was only appended to. */
  readonly incarnation: string;
  /** The sequence of the newest message. */
  readonly sequence: number;
}

/** How much one read may return. */
export interface ReadLimits {
  /** At most this many messages, at least 1. */
  readonly messages: number;
  /** Payload and header bytes; the first message is returned even when it alone is larger. */
  readonly bytes: number;
}

/** Messages of a log that follow one another, and what they take; see {@link Store.extent}. */
export interface Extent {
  /** The last head. */
  readonly to: number;
  /** Bytes that are kept for them, roughly. */
  readonly bytes: number;
}

/** What {@link Store.deleteRange} did. */
export interface Deletion {
  /** Messages newly marked; those deleted before do not count again. */
  readonly deletedCount: number;
  readonly marker: Appended;
  /**
   * False: the messages are deleted for good, but their bytes are still on the disk, because there was no space to
   * erase them (or the store broke meanwhile). The store keeps trying, also after it was opened anew.
   */
  readonly erased: boolean;
}

/** A message for a queue. The same rule about its bytes as for {@link NewMessage}. */
export interface NewFifoMessage {
  readonly queue: string;
  readonly id: string;
  readonly topic: string;
  readonly source: NodeName;
  readonly target: NodeName;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
  readonly createdAtMs: number;
}

/** A message in a queue. */
export interface FifoMessage extends NewFifoMessage {
  /** 1, 2, 3 … per queue, never used twice. */
  readonly sequence: number;
  /** How often it was rejected. */
  readonly attempts: number;
}

/** What is known about copying one log from one peer; identified by peer, topic and origin. */
export interface PeerSyncState {
  readonly peer: string;
  readonly topic: string;
  readonly origin: NodeName;
  readonly localHead: number;
  readonly remoteHead: number;
  readonly lastSyncedHead: number;
  readonly lastAttemptAtMs: number;
  readonly lastSuccessAtMs: number;
  readonly consecutiveFailures: number;
  readonly lastError: string;
  /** The incarnation of the log here; "" where unknown. */
  readonly localIncarnation: string;
  /** The incarnation of the peer's log; "" where unknown. */
  readonly remoteIncarnation: string;
  /** Whether the two logs hold different messages at the same head, and if so, whether that waits for a decision. */
  readonly fork: Fork;
}

/** `none`: the logs agree as far as is known. `open`: they do not. `refused`: they do not, and copying was refused. */
export type Fork = "none" | "open" | "refused";

/** How far the announcements of a peer have been followed. */
export interface PeerCursor {
  readonly peer: string;
  /** The incarnation of the peer's storage. */
  readonly incarnation: string;
  /** The peer's sequence up to which this node has everything, or a state that says what it lacks. */
  readonly sequence: number;
  /** The peer's opening that names that sequence. */
  readonly opening: string;
}

/**
 * Durable logs, queues and peer states of one node.
 *
 * Every call rejects with a {@link StoreError} only, but for a mistake of the caller. Calls may overlap. Writes apply in
 * the order of the calls, each all or nothing; several may share one commit, and a call that fails by itself ("conflict",
 * "gap") does not fail the others. A write settles when it is durable, and writes settle in their order: heads are known
 * by that. A read sees every write that was called before it.
 *
 * When the disk is full, the writes of that commit fail with "full" and leave no trace; later ones may work again.
 * After any other failure to write, and after a read that found the file damaged or its disk failing, every write and
 * `check` fail with "broken" until the store is opened anew, because it is unknown what is on disk; reads may answer.
 */
export interface Store {
  /** This storage's own id: a UUID made when the storage was created, never changed. */
  readonly incarnation: string;

  /**
   * The {@link Opening} that names a sequence which a call of this store has settled with, or which was stored before:
   * so a place can be told from the same one in a copy of the data, as {@link lastOf} says. It is the newest one for
   * what was stored before this store was opened: a copy that is older than that does not know it, though it may have
   * the sequence. "" for 0, which needs none.
   */
  openingOf(sequence: number): string;

  /**
   * The last sequence up to which every copy of this storage that knows the opening has the same messages: that before
   * the next opening, or the newest one. Undefined for an opening that is not known: it was another copy's, it stored
   * nothing, or `MAX_OPENINGS` others stored something since.
   */
  lastOf(opening: string): Promise<number | undefined>;

  /** Appends the messages in order and assigns their heads and sequences. An empty batch settles with no result. */
  append(batch: readonly NewMessage[]): Promise<readonly Appended[]>;

  /**
   * Appends those of the messages that are not stored yet, in order; what is remembered of them is written in the same
   * transaction. The outcomes are in the order of the messages, and each message belongs to one.
   *
   * A message with a key that another message of its log in use was stored with is not stored again: it is answered with
   * that one, as long as payload and headers are the same or that one was deleted, and refused otherwise. Of the headers
   * the order makes no difference.
   *
   * So it is with a producer's sequence that was stored before in this epoch, where the topic must be the same, too; a log
   * that was set aside since answers like one in use. A sequence at or below the producer's last one by which no message
   * is known is refused: it was refused before, left out, or stored and forgotten, and it is never stored twice.
   * Sequences may leave gaps. Where a message has a key that is known, its sequence is not looked at: another call may
   * have stored it. All of this holds within one batch, and between calls that share a commit.
   *
   * Fails with "stale_epoch" when the producer is known in a higher epoch; from a lower one it takes over, and an
   * unknown producer becomes known, as by {@link openProducer}.
   *
   * Keys and sequences are forgotten by count and by age ({@link DedupLimits}), the oldest first, a bounded number with
   * each call; consecutive sequences of a producer between which nothing else was appended by this method, or by any
   * other, are one run, which is as old as its newest message and counts once. A retry of something that was forgotten is
   * stored again (a key), or refused while the producer is known (a sequence). Producers are forgotten that appended
   * nothing for that age, give or take a minute, and beyond 10,000 the least recently used one of the owner that
   * has the most (of several such owners, of all of theirs): then a retry is stored again. Messages that are replicated, queued, or mark deletions take no part in any of this.
   */
  appendOnce(batch: readonly OnceMessage[], producer?: AppendingProducer): Promise<readonly OnceOutcome[]>;

  /**
   * Begins to append as a producer, and settles when its epoch is durable. Epoch 0 takes over with the next one; so does
   * an epoch above the known one, with itself; then the last sequence is 0. The known epoch goes on. For an unknown
   * producer 0 means 1. Fails with "stale_epoch" for an epoch below the known one. `nowMs` in milliseconds since the
   * Unix epoch: the producer was used then. At most 2^52 epochs are counted.
   */
  openProducer(name: ProducerName, epoch: number, nowMs: number): Promise<ProducerPlace>;

  /**
   * The messages of a log from `fromHeadId` on (at least 1), in head order: at least one if there is any, deleted
   * ones in their place. Empty for an unknown log.
   */
  read(topic: string, origin: NodeName, fromHeadId: number, limits: ReadLimits): Promise<StoredMessage[]>;

  /**
   * Messages over all logs in use (never of logs set aside) in the order of their sequences, from `from` on (at least
   * 1), those that pass the filter. One call looks at a bounded part of the store, so it may find none although there
   * are some: go on at `next`.
   */
  readAll(from: number, filter: SequenceFilter, limits: ReadLimits): Promise<SequencePage>;

  /** Every log with at least one message, in no particular order. */
  heads(): Promise<readonly LogHead[]>;

  /**
   * Marks the messages `from` to `to` (inclusive) deleted, erases their payload and headers from the disk, remembers
   * the range for messages that arrive later by replication, and appends `marker`, in one transaction.
   *
   * Fails with "conflict" when the log does not hold 1 <= `from` <= `to` <= head, and with "full", changing nothing,
   * when there is not enough space to erase. Should another process take that space between the commit and the erasure,
   * the call settles with `erased` false.
   */
  deleteRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    marker: NewMessage,
  ): Promise<Deletion>;

  /**
   * How far the stored messages of a log reach from a head on, within so many bytes and up to `to`: over one at least,
   * whatever it takes. It ends where it costs least to delete up to there, and then from there on. Heads that the log does
   * not hold take nothing.
   */
  extent(topic: string, origin: NodeName, from: number, to: number, bytes: number): Promise<Extent>;

  /**
   * Marks the stored messages `from` to `to` (inclusive) of another node's log deleted, and erases their payload and
   * headers as {@link deleteRange} does, but appends nothing and remembers no range: for a part of a range whose marker
   * is replicated when all its parts are erased. Settles with whether the bytes are erased by now, as in
   * {@link Deletion}. Heads that the log does not hold change nothing, nor
   * does a log that is known to be of another incarnation than the marker's. Fails with "conflict" when the range is none, and
   * with "full", changing nothing.
   */
  eraseRange(
    topic: string,
    origin: NodeName,
    from: number,
    to: number,
    incarnation: string,
  ): Promise<boolean>;

  /**
   * Applies a batch copied from another node.
   *
   * A message at a head that is already stored must be equal to the stored one: id, `createdAtMs`, and payload and
   * headers unless either of the two is deleted. Nothing is overwritten, but `deleted` turns from false to true, and
   * the payload is erased as by {@link deleteRange}; it never turns back. Messages behind the head are appended, those
   * within a remembered range as deleted ones. The log takes on `incarnation` where that is not "".
   *
   * Fails with "gap" when a message would lie beyond head + 1 or the heads do not follow one another, with "conflict"
   * naming the head when the stored message differs, or when a range to delete is none, and with "full"; then nothing
   * has changed. Applying the same batch again changes nothing.
   */
  replicate(batch: ReplicatedBatch): Promise<Replicated>;

  /**
   * Sets a log aside under a name, which it says: its incarnation ("unknown" where that is ""), with ".2", ".3" …
   * behind it where that name is taken for the same topic and origin. Then topic and origin have no messages and no
   * incarnation, and ranges remembered for the log no longer count. Fails with "conflict" when there is no such log.
   *
   * Of a log set aside, what comes to be deleted of the log in its place is erased too, where both have the same message
   * (id) at the same head: up to where they parted.
   *
   * With `forgetDeletes`, for a log of delete markers, no range remembered for any log of that origin counts any more:
   * messages that arrive later are another log's, or markers that are copied anew delete them. Default false.
   */
  archive(topic: string, origin: NodeName, forgetDeletes?: boolean): Promise<string>;

  /** The logs set aside, in no particular order. */
  archivedLogs(): Promise<readonly ArchivedLog[]>;

  /** Like {@link read}, of a log set aside. Empty for an unknown one. */
  readArchived(
    topic: string,
    origin: NodeName,
    name: string,
    fromHeadId: number,
    limits: ReadLimits,
  ): Promise<StoredMessage[]>;

  /** Puts a message at the end of its queue; settles with its sequence. */
  enqueueFifo(message: NewFifoMessage): Promise<number>;

  /** The message in front of a queue; undefined when the queue is empty or unknown. */
  peekFifo(queue: string): Promise<FifoMessage | undefined>;

  /** Removes the front message if it has this id. False, and nothing changed, when another or none is in front. */
  ackFifo(queue: string, id: string): Promise<boolean>;

  /** Adds 1 to the attempts of the front message if it has this id. False, and nothing changed, otherwise. */
  rejectFifo(queue: string, id: string): Promise<boolean>;

  /** Every recorded state, ordered by peer, topic and origin. */
  peerSyncStates(): Promise<readonly PeerSyncState[]>;

  /** What was recorded last for a peer; undefined where nothing was. */
  peerCursor(peer: string): Promise<PeerCursor | undefined>;

  /**
   * Inserts each state, or replaces the one with the same peer, topic and origin, and likewise the cursor of its peer,
   * in one transaction.
   */
  recordPeerSync(states: readonly PeerSyncState[], cursor?: PeerCursor): Promise<void>;

  /** Settles when a real query was answered and writes are still accepted. */
  check(): Promise<void>;

  /** Lets everything pending settle, then releases the store. Later calls fail with "closed". Idempotent. */
  close(): Promise<void>;
}
