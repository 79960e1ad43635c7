/**
 * The executable: the daemon and the command line.
 *
 * @module
 */
import { denoIo } from "./cli/deno_io.ts";
import { run } from "./cli/run.ts";
import type { Config } from "./config/config.ts";
import type { DaemonProcess } from "./run_daemon.ts";

const encoder = new TextEncoder();

const daemonProcess: DaemonProcess = {
  writeLine(line) {
    const bytes = encoder.encode(line);
    for (let written = 0; written < bytes.length;) written += Deno.stderr.writeSync(bytes.subarray(written));
  },
  onStop: (callback) => onSignals(["SIGTERM", "SIGINT"], callback),
  onReload: (callback) => onSignals(["SIGHUP"], callback),
  exit: (code) => Deno.exit(code),
};

function onSignals(signals: readonly Deno.Signal[], callback: () => void): () => void {
  for (const signal of signals) Deno.addSignalListener(signal, callback);
  return () => {
    for (const signal of signals) Deno.removeSignalListener(signal, callback);
  };
}

/** Loads the daemon only where it runs: the other commands need nothing of it. */
async function startDaemon(config: Config): Promise<number> {
  const { runDaemon } = await import("./run_daemon.ts");
  return await runDaemon(config, daemonProcess);
}

if (import.meta.main) Deno.exit(await run(Deno.args, denoIo(startDaemon)));
