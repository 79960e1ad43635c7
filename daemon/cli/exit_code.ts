/** Exit codes of the command line; the help text lists them. */
export const ExitCode = {
  /** Done. */
  OK: 0,
  /** The answer is negative: not ready, not accepted, nothing there. */
  NEGATIVE: 1,
  /** The command line or the configuration is wrong; the daemon could not start. */
  USAGE: 2,
  /** The daemon can't be reached, or does not answer in time. */
  UNREACHABLE: 3,
  /** The daemon refused. */
  REFUSED: 4,
  /** A fault of this program. */
  INTERNAL: 70,
} as const;

/** An exit code of {@linkcode ExitCode}. */
export type ExitCode = typeof ExitCode[keyof typeof ExitCode];

/** The exit codes, for the help text. */
export const EXIT_CODE_HELP = `
Exit codes:
  0   done
  1   the answer is negative: not ready, not accepted, nothing there
  2   the command line or the configuration is wrong, or the daemon can't start
  3   the daemon can't be reached, or does not answer in time
  4   the daemon refused; the text names the status
  70  a fault of this program
`;
