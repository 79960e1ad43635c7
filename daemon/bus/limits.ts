/** Bounds of the bus. `pendingBytes` and `recent…` count payload, headers and 256 bytes per message. */
export interface BusLimits {
  /**
   * Payload and headers of one message together. Larger is rejected with resource_exhausted. Default 4 MiB - 16 KiB: with
   * the longest names around it, a message then fits into gRPC's default message size of 4 MiB on its way out, too.
   */
  readonly messageBytes: number;
  /** Encoded headers of one message. Larger is rejected with resource_exhausted. Default 64 KiB. */
  readonly headerBytes: number;
  /**
   * Accepted and not yet durable, over all calls. A publish beyond it is rejected with resource_exhausted; a batch waits
   * in turn, as long as no more than this waits already. Default 64 MiB.
   */
  readonly pendingBytes: number;
  /** Messages of one page of `fetch`, whatever the request's limit is. Default 1,000. */
  readonly pageMessages: number;
  /** Bytes of one page of `fetch` or `next`; one larger message is a page of its own. Default 1 MiB. */
  readonly pageBytes: number;
  /**
   * Heads that are deleted in one transaction, over all callers; a longer range is deleted in slices, and other writes
   * wait for one of them only. Default 20,000: 21 ms with payloads of 100 bytes; slices of 50,000 took 51 ms.
   */
  readonly deletedHeads: number;
  /** The same in bytes that are kept of the messages; one larger message is a slice of its own. Default 8 MiB. */
  readonly deletedBytes: number;
  /**
   * Messages one log keeps in memory for the live subscribers that do not have them yet; the oldest leave, slower ones read
   * the store. Default 4,096.
   */
  readonly recentMessagesPerLog: number;
  /** The same in bytes. Default 4 MiB. */
  readonly recentBytesPerLog: number;
  /** The same in bytes over all logs. Default 64 MiB. */
  readonly recentBytes: number;
}

const MIB = 1 << 20;

/** The defaults named above. */
export const DEFAULT_BUS_LIMITS: BusLimits = {
  messageBytes: 4 * MIB - (16 << 10),
  headerBytes: 64 << 10,
  pendingBytes: 64 * MIB,
  pageMessages: 1_000,
  pageBytes: 1 * MIB,
  deletedHeads: 20_000,
  deletedBytes: 8 * MIB,
  recentMessagesPerLog: 4_096,
  recentBytesPerLog: 4 * MIB,
  recentBytes: 64 * MIB,
};

/** What a message costs beyond its payload and headers, so that the bounds in bytes hold for empty ones too. */
export const MESSAGE_OVERHEAD_BYTES = 256;

/** A topic, queue, message id or part of a node's name, in UTF-8. Longer is rejected with invalid_argument. */
export const NAME_BYTES = 1_024;

/**
 * The epoch of a producer. A higher one is rejected with invalid_argument: so many can still follow it that every number
 * stays a safe integer.
 */
export const MAX_EPOCH: number = 2 ** 52;

/**
 * What forwarding adds to the headers of a queue message at most: the names of queue, topic and source, whose headers
 * may be as long as any.
 */
export const FORWARDING_HEADER_BYTES = 6 << 10;

/** What a limit or page size of 0 stands for. */
export const DEFAULT_FETCH_LIMIT = 100;

/** Patterns, and origins, of one consumer. More are rejected with invalid_argument. */
export const MAX_CONSUMER_PATTERNS = 100;

/** Logs of a consumer whose places of a head are looked up one by one; where there are more, reading begins with the oldest message. */
export const MAX_LOGS_LOOKED_UP = 16;

/**
 * Milliseconds after which a consumer is told its place, where since it was told only messages that it does not want
 * came: what it has to look at again after a lost connection.
 */
export const CONSUMER_PROGRESS_MS = 1_000;

/** Deletions that are known of while a consumer's page is on its way; where there were more, the page is read again. */
export const MAX_RECENT_DELETIONS = 256;

/** A larger limit or page size is served as this. */
export const MAX_FETCH_LIMIT = 10_000;
