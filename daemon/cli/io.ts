import type { Config } from "../config/config.ts";

/** Where a command writes to. */
export interface Output {
  /** Settles when the bytes were taken. Throws {@linkcode ClosedOutput} when nobody reads them any more. */
  write(data: string): Promise<void>;
  /** Whether a person looks at it. */
  readonly isTerminal: boolean;
}

/** The reader of an output is gone (`msgbusd sub orders | head`): the command ends, and that is no error. */
export class ClosedOutput extends Error {
  override readonly name = "ClosedOutput";
}

/** The files that commands read and write. What fails throws an Error whose text says why. */
export interface CliFiles {
  /** The bytes of a file; undefined where it does not exist. Throws where it has more than `maxBytes`. */
  read(path: string, maxBytes: number): Promise<Uint8Array | undefined>;
  /** Replaces a file as a whole, so that a crash leaves the old or the new content; makes its folder where absent. */
  replace(path: string, content: string): Promise<void>;
  /** Keeps other processes that ask for the same out until the returned function is called, or this process ends. */
  lock(path: string): Promise<() => void>;
  /** Why the file can't be opened for reading; undefined where it can. */
  whyUnreadable(path: string): string | undefined;
}

/** Everything of its surroundings that the command line uses. */
export interface CliIo {
  readonly stdout: Output;
  readonly stderr: Output;
  /** Standard input until its end. Throws where it has more than `maxBytes`. */
  stdin(maxBytes: number): Promise<Uint8Array>;
  /** An environment variable. */
  env(name: string): string | undefined;
  readonly files: CliFiles;
  /** Calls back at each SIGINT or SIGTERM until the returned function is called. */
  onInterrupt(callback: () => void): () => void;
  /** Runs the daemon; settles with the exit code when it has stopped. */
  startDaemon(config: Config): Promise<number>;
  /** What `version` tells beside our own version, such as ["deno", "2.9.6"]. */
  runtimeVersions(): readonly (readonly [name: string, version: string])[];
}
