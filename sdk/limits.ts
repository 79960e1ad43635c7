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
} as const;
