/** Payload and header bytes, and 256 per message, that one PublishStream may have on their way to the disk; then the daemon reads no more of it. */
export const MAX_STREAM_PENDING_BYTES = 8 << 20;

/**
 * Messages that PublishStream hands to the bus at a time; a request with more is taken in parts. Many tiny ones would
 * count for more than all the room on the way to the disk, and keep everybody waiting until nothing else was there.
 */
export const MAX_BATCH_MESSAGES = 16_384;

/**
 * One answer of Consume, encoded, with the names of logs and the cursor; a page that needs more goes in several. A page
 * of thousands of logs whose names are the longest would be 8 MiB; gRPC's default for a message is 4 MiB. Only an answer
 * with one message alone may be larger: by its names and its id, which still have room below 4 MiB.
 */
export const CONSUME_ANSWER_BYTES = (4 << 20) - (16 << 10);

/** Messages of one answer of Consume at most. */
export const CONSUME_PAGE_MESSAGES = 2_000;

/** Payload and header bytes of one answer of Consume, unless its only message has more. */
export const CONSUME_PAGE_BYTES = 256 << 10;

/** Logs of an answer of ListHeads that are encoded before others have their turn: 2 to 4 ms. */
export const HEADS_PER_TURN = 1_000;
