/** Bounds of the command line. */
export const CLI_LIMITS = {
  /** Bytes of a payload from a file or standard input; more is a usage error, before more is read. */
  payloadBytes: 4_194_304,
  /** Bytes of a binary payload that are shown to people; more are counted. */
  shownBytes: 64,
  /** Bytes of a PEM file; more is a usage error. */
  pemBytes: 4_194_304,
  /** Bytes of a file with one token; more is no token. */
  tokenBytes: 4_096,
  /** Bytes of a file of tokens; more is no such file. */
  authFileBytes: 16_777_216,
  /** Bytes of a state file; more is no state file. */
  stateBytes: 65_536,
} as const;
