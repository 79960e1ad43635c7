import { AuthFileError } from "./auth/error.ts";
import { BusError } from "./bus/error.ts";
import type { Config } from "./config/config.ts";
import { Daemon } from "./daemon.ts";
import { ListenError } from "./listeners.ts";
import { openLog } from "./log.ts";
import { StoreError } from "./store/store.ts";

/** Exit codes of the daemon itself, as the command line documents them. */
const EXIT_OK = 0;
const EXIT_CANNOT_START = 2;

/** What a running daemon needs of its process. */
export interface DaemonProcess {
  /** Writes one line to standard error before it returns. */
  writeLine(line: string): void;
  /** Calls back at each SIGTERM and SIGINT until the returned function is called. */
  onStop(callback: () => void): () => void;
  /** Calls back at each SIGHUP until the returned function is called. */
  onReload(callback: () => void): () => void;
  /** Ends the process at once. */
  exit(code: number): never;
}

/** Runs a daemon until it is told to stop; returns the exit code of the process. */
export async function runDaemon(config: Config, process: DaemonProcess): Promise<number> {
  const log = openLog(config.logLevel, config.logFormat, (line) => process.writeLine(line));
  let stopRequested: () => void = () => {};
  const stop = new Promise<void>((resolve) => stopRequested = resolve);
  let signals = 0;
  const forget = process.onStop(() => {
    signals++;
    // Whoever asks twice does not want to wait for the calls that run.
    if (signals > 1) process.exit(1);
    stopRequested();
  });
  let daemon: Daemon | undefined;
  let reloadAsked = false;
  // From the beginning: a signal that nobody handles would end the process.
  const forgetReload = process.onReload(() => {
    if (daemon === undefined) reloadAsked = true;
    else void daemon.reload();
  });
  try {
    daemon = await Daemon.start(config, log);
    if (reloadAsked) void daemon.reload();
    await stop;
    await daemon.stop();
    return EXIT_OK;
  } catch (error) {
    if (
      !(error instanceof AuthFileError || error instanceof StoreError || error instanceof ListenError ||
        error instanceof BusError)
    ) {
      throw error;
    }
    process.writeLine(`msgbusd: ${error.message}\n`);
    return EXIT_CANNOT_START;
  } finally {
    forget();
    forgetReload();
  }
}
