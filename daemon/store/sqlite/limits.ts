/**
 * One direction of the link between the event loop and the store thread, a power of two. It holds what arrives during
 * one commit (hundreds of small publishes); larger frames pass in pieces, and the sender queues what does not fit.
 */
export const RING_BYTES = 1 << 20;

/** Requests the store thread takes from the link before it works on them; the rest waits in the link. */
export const INTAKE_BYTES = 16 << 20;

/** Frames of requests that wait for their commit lie in this much memory, used again and again; more get their own. */
export const FRAME_MEMORY_BYTES = 2 << 20;

/** Messages of one chunk: reading one of them means to pass over those before it. */
export const CHUNK_MESSAGES = 256;

/**
 * Payload and header bytes of one chunk, unless its only message has more. Deleting one message writes the whole chunk
 * anew.
 */
export const CHUNK_BYTES = 32 << 10;

/** Chunks that one `readAll` looks at: 2 ms where it wants none of them. */
export const SCANNED_CHUNKS = 2_048;

/** Bytes of chunks that one `readAll` reads, about: 2 to 4 ms. */
export const SCANNED_BYTES = 4 << 20;

/** Messages of chunks that one `readAll` reads, about: 5 ms where all of them are deleted. */
export const SCANNED_MESSAGES = 32_768;

/** Lists of logs that the store thread remembers for `readAll`; beyond that the oldest one must be sent again. */
export const KNOWN_LISTS = 64;

/** Producers that the store thread holds in memory; the others are read when they append. */
export const KNOWN_PRODUCERS = 1_000;

/**
 * Keys and runs of producers that one call forgets, beside twice as many as the call before it added: so there is never
 * a pause, and what is too much becomes less with every call.
 */
export const EXPIRED_ROWS = 256;

/** Producers that one call forgets. */
export const EXPIRED_PRODUCERS = 16;

/** It is written this often that a producer was used, and in a sixteenth of the time that it is remembered. */
export const PRODUCER_USE_MS = 60_000;

/** A commit takes no further call beyond this many messages; one larger call is still one commit. */
export const COMMIT_MESSAGES = 4_096;

/** The same in payload and header bytes, so that one commit does not keep the others waiting for long. */
export const COMMIT_BYTES = 8 << 20;

/** Page bytes answered between two commits while writes are waiting; then the writes have their turn. */
export const READ_TURN_BYTES = 4 << 20;

/** The same in time, but for one read that takes longer. */
export const READ_TURN_MS = 10;

/**
 * The write-ahead log is copied into the database when about this much was written: after longer times where the disk
 * is slow, whose syncs cost more than their bytes. It bounds the work of opening after a crash.
 */
export const CHECKPOINT_BYTES = 4 << 20;

/**
 * The same where a checkpoint of so much is short, as on any disk that is no card: writes wait for it, 2 ms instead of 6
 * (with 10,000 messages a second, a p99 from publish to delivery of 12.0 instead of 14.3 ms by the mean of five runs in
 * turn on a busy disk), and with 5,000 in flight 368,000 messages a second were published instead of 316,000.
 */
export const SMALL_CHECKPOINT_BYTES = 1 << 20;

/** What a checkpoint of those bytes may take for that, in milliseconds. */
export const SHORT_CHECKPOINT_MS = 5;

/** A log that grew beyond this (by one huge commit) is cut to it after its checkpoint. */
export const WAL_BYTES_KEPT = 4 * CHECKPOINT_BYTES;

/** A checkpoint that failed for lack of space is repeated after this long: soon for people, seldom for the disk. */
export const CHECKPOINT_RETRY_MS = 1_000;

/**
 * Whether a thread may wait awake for the other: with one processor it would only keep it from working. Falling asleep
 * and being woken costs 50 to 100 us a time on a virtual machine, twice in each lone publish: with both waits below,
 * one publish at a time went from 1,570 to 2,200 a second beside an fdatasync of 3,500; either alone gained nothing.
 */
export const WAITING_AWAKE_PAYS: boolean = navigator.hardwareConcurrency > 1;

/**
 * So many calls in a row, each writing one message and each called when the one before was answered, are somebody who waits
 * for every answer: only then waiting awake pays. Where messages come by themselves, others need the processor: with 10,000 a
 * second the store thread was busy for 46 % of the time, and what came had to wait for it.
 */
export const LONE_CALLS = 4;

/** The event loop waits awake for an answer that usually comes sooner: a commit on a fast disk. */
export const SHORT_ANSWER_MS = 0.6;

/** The store thread waits awake for a request that usually comes sooner: the way to a client on this machine and back. */
export const SHORT_REQUEST_MS = 0.5;

/**
 * How long either waits awake where that is usual, before it sleeps all the same. With less, one wait in twenty put the
 * other thread to sleep as well: one publish at a time was 0.81 times as fast as the disk with 0.5 and 0.6 ms, 0.85 with
 * 1.5 ms (medians of five rounds in turn).
 */
export const MOST_SPIN_MS = 2;

/**
 * How long the event loop looks at the link at a time before it has a turn: each turn leaves 7 kB of garbage. With a turn
 * for each look that was 290 MB a second, and one publish at a time 0.77 times as fast as the disk, with this 0.85.
 */
export const LOOK_MS = 0.1;
