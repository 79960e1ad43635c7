/** Bounds of the client. */
export const SDK_LIMITS = {
  /** Messages that one Fetch asks for; the daemon serves no more at once. Longer fetches are several calls. */
  fetchPageMessages: 10_000,
  /** Messages that the daemon reads at once for a subscription that says nothing about it. */
  subscribePageMessages: 1_000,
  /** Messages that a subscription may ask the daemon to read at once. Larger: RangeError. */
  maxPageMessages: 10_000,
  /** Largest message received where the options say nothing: 4 MiB of payload, and what belongs to it. */
  maxMessageBytes: 8_388_608,
  /** Largest list of the heads of all logs; `maxMessageBytes` where that is more. 64 MiB: 60,000 logs with names of 1,000 bytes. */
  maxHeadsBytes: 67_108_864,
  /** Bytes of messages that one request of a stream holds; one larger message is a request of its own. */
  publishBatchBytes: 131_072,
  /** Larger requests than this the daemon does not take: 4 MiB. */
  maxPublishRequestBytes: 4_194_304,
  /** Bytes of messages that a stream sends before the first of them is acknowledged; the rest waits here. */
  publishWindowBytes: 8_388_608,
  /** Bytes of messages that may wait to be acknowledged. Beyond it, publishing ends with RESOURCE_EXHAUSTED. */
  maxWaitingPublishBytes: 67_108_864,
  /** Milliseconds after which a stream without messages is left for calls of their own. */
  publishStreamIdleMs: 1_000,
  /** Messages that a daemon sends to a consumer before the first of them is taken. */
  consumeWindowMessages: 20_000,
  /** The same in bytes of payloads and headers. */
  consumeWindowBytes: 4_194_304,
  /** Patterns of one consumer; more are refused by the daemon. */
  maxConsumePatterns: 100,
} as const;
