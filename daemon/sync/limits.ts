/** Bounds and times of the synchronization. */

/** Logs that a session follows at once; what is caught up makes room for what is not. The answerer refuses more. */
export const MAX_FOLLOWED_LOGS = 256;
/** Logs that an answerer still sends to, those included that were left meanwhile: beyond it follows must wait. */
export const MAX_SENDERS = 2 * MAX_FOLLOWED_LOGS;
/** Patterns that a caller may give: each topic is held against all of them. */
export const MAX_FILTER_PATTERNS = 1_000;
/** Messages of one batch. */
export const BATCH_MESSAGES = 1_000;
/** Bytes of messages that were received and are not durable yet, before reading goes on. */
export const MAX_PENDING_BYTES = 8 << 20;
/** Logs that are told of in one response. */
export const LOGS_PER_RESPONSE = 500;
/** Milliseconds between two positions that an answerer tells. */
export const TOLD_INTERVAL_MS = 1_000;
/** Milliseconds after which what is known of a peer is written down, unless a fork or a failure wants it at once. */
export const RECORD_INTERVAL_MS = 5_000;
/** Milliseconds that a log's peer may be late with what another peer already has, before the other is asked. */
export const TAKE_OVER_MS = 50;
/** While that other peer goes on, it is looked at less and less often: after twice as long each time, up to this. */
export const MAX_TAKE_OVER_MS = 3_200;
/** Milliseconds for which it is watched before its pace is known. */
export const PACE_WINDOW_MS = 5_000;
/** Milliseconds that the rest of a log takes at most at the pace of its peer, before another is tried that has it too. */
export const MAX_REST_MS = 30_000;
/** How many times as quick a peer must have been to get a log back from another. */
export const QUICKER = 2;
/** Milliseconds for which a peer that was slower than that leaves a log alone. */
export const SLOW_PAUSE_MS = 2_000;
/** Milliseconds without a message of a log after which its peer leaves it to another that has more, whatever it says. */
export const STALLED_MS = 20_000;
/** Milliseconds for which it then leaves the log alone, so that the other has time; each further time twice as long. */
export const FIRST_STALL_PAUSE_MS = 30_000;
/** Milliseconds that such a pause never exceeds. */
export const MAX_STALL_PAUSE_MS = 300_000;
/** Verifications that run at once. */
export const MAX_VERIFICATIONS = 16;
/**
 * Milliseconds that a unary question to a peer may take; and the answer to a hello, or the list of all heads, beside what
 * a link of 16 kB/s needs for their bytes.
 */
export const QUESTION_TIMEOUT_MS = 10_000;
/** Milliseconds between two attempts to reach a peer that can't be reached; a random part of it is left out. */
export const PROBE_INTERVAL_MS = 600;
/** Milliseconds for the last words to a peer: over a link that was cut they never arrive, and a new connection waits for them. */
export const CLOSE_TIMEOUT_MS = 50;
/** A connection that held this many milliseconds is made anew at once when it is lost; others wait, lest a peer be stormed. */
export const HELD_MS = 1_000;
/** What "at once" means at most: many peers may have lost their connections at the same time. */
export const AT_ONCE_MS = 100;
/** Milliseconds before the first repetition after any other failure; each further one takes twice as long. */
export const FIRST_BACKOFF_MS = 500;
/** Milliseconds that such a wait never exceeds. */
export const MAX_BACKOFF_MS = 30_000;
/** A session that held this many milliseconds makes the failures before it forgotten. */
export const STEADY_MS = 10_000;
/** Logs that are copied at once by polling. */
export const POLLED_LOGS_AT_ONCE = 4;
/**
 * Milliseconds of silence, after something came by a session, before the peer is asked whether it is there; and the least
 * that its answer is waited for. The system repeats what a cut link has lost after longer and longer times, which a new
 * connection does not wait for.
 */
export const QUIET_MS = 700;
/** Milliseconds without a byte from a peer before it is asked whether it is there: a link that was cut says nothing. */
export const KEEP_ALIVE_INTERVAL_MS = 1_000;
/** Milliseconds that the answer may take at least before the peer counts as gone, see KeepAlive in @msgbus/grpc. */
export const KEEP_ALIVE_TIMEOUT_MS = 700;
/** Bytes that the names of logs in a hello may have: with more, the peer is asked to tell of everything. It takes 4 MiB. */
export const MAX_HELLO_NAME_BYTES = 2 << 20;
/** Bytes of requests that wait for a peer to read them, beside its hello: one that does not is given up. */
export const MAX_UNSENT_BYTES = 1 << 20;
/** Heads of a long list that are read, or looked at, in a row: everything else has its turn in between. */
export const HEADS_PER_TURN = 2_000;
/** Logs that a peer may have: each costs memory and a row for as long as the peer is known. One with more is refused. */
export const MAX_LOGS_OF_PEER = 500_000;
/** UTF-16 units of a topic, or a part of an origin, that is kept though no log may have it, since it exceeds NAME_BYTES. */
export const MAX_TOLD_NAME_LENGTH = 4_096;
/** Messages that a received batch may have, where BATCH_MESSAGES are what we send. */
export const MAX_RECEIVED_MESSAGES = 10_000;
/** Bytes of a received message beside its id, payload and headers: ours have 30, other versions may have more fields. */
export const MAX_RECEIVED_PADDING_BYTES = 1_024;
/** Logs and heads that one response may tell of, where LOGS_PER_RESPONSE are what we send. */
export const MAX_RECEIVED_LOGS = 10_000;
