/** Bounds of the settings; a value beyond one is a ConfigError. */
export const CONFIG_LIMITS = {
  /** UTF-8 bytes of each part of the node's name; what the bus takes too. */
  nameBytes: 1_024,
  /** Addresses to listen on. */
  listeners: 16,
  /** Origins of pages that may connect by WebSocket. */
  webSocketOrigins: 64,
  /** Peers to pull from. */
  peers: 1_024,
  /** Certificates that peers may have. */
  peerFingerprints: 1_024,
  /** Patterns of topics to copy. */
  syncTopics: 1_024,
  /** Shortest time between two pulls from a peer, in milliseconds: below it a daemon would do little else. */
  minSyncIntervalMs: 10,
  /** Longest time between two pulls, in milliseconds: one day. */
  maxSyncIntervalMs: 86_400_000,
  /** Messages of one pull; Fetch serves no more at once. */
  maxSyncBatchLimit: 10_000,
  /** Size from which on messages are compressed: no message is larger. */
  maxMinCompressBytes: 4 << 20,
  /** Idempotency keys and runs of producers that are remembered: at a hundred bytes each, 10 GB. */
  maxDedupKeys: 100_000_000,
  /** Shortest time that they are remembered, in milliseconds: a retry should come within it. */
  minDedupAgeMs: 1_000,
  /** Longest time, in milliseconds: ten years. */
  maxDedupAgeMs: 315_360_000_000,
} as const;
