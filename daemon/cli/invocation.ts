import type { CliIo } from "./io.ts";

/** One run of the command line: its surroundings, and how it ends. */
export interface Invocation {
  readonly io: CliIo;
  /** Set by the command that ran. */
  exitCode: number;
}
