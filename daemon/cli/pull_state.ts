import type { NodeId } from "@msgbus/sdk";
import { CliError } from "./error.ts";
import type { CliIo } from "./io.ts";
import { CLI_LIMITS } from "./limits.ts";
import { nodeRecord } from "./printer.ts";

/** A log whose place is kept. */
export interface PulledLog {
  readonly topic: string;
  readonly origin: NodeId;
}

const SCHEMA = "msgbus.pull/1";

/** The file that keeps the place in a log where none is named. Throws CliError where there is no home for it. */
export async function defaultStatePath(io: CliIo, log: PulledLog): Promise<string> {
  const home = io.env("HOME");
  const folder = io.env("XDG_STATE_HOME") || (home && `${home}/.local/state`);
  if (!folder) {
    throw new CliError("USAGE", "Cannot find a place for the state: give --state or set XDG_STATE_HOME");
  }
  // Names of topics may be longer than names of files and hold any character: their hash is neither.
  const { topic, origin } = log;
  const key = new TextEncoder().encode(
    JSON.stringify([topic, origin.tenantId, origin.blName, origin.deviceId]),
  );
  const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", key));
  return `${folder}/msgbus/pull-${hash.toHex().slice(0, 32)}.json`;
}

/** The last head that was printed; 0 for none. Throws CliError for a file that is no state of this log. */
export async function readPulledHead(io: CliIo, path: string, log: PulledLog): Promise<number> {
  let content: Uint8Array | undefined;
  try {
    content = await io.files.read(path, CLI_LIMITS.stateBytes);
  } catch (error) {
    throw unusable(path, error instanceof Error ? error.message : String(error));
  }
  if (content === undefined) return 0;
  const state = parse(new TextDecoder().decode(content));
  if (state === undefined) throw unusable(path, "it is no state of pull");
  if (state.log !== JSON.stringify(logRecord(log))) {
    throw unusable(path, "it belongs to another topic or origin");
  }
  return state.headId;
}

/** Keeps the last head that was printed. Throws CliError where the file can't be written. */
export async function writePulledHead(
  io: CliIo,
  path: string,
  log: PulledLog,
  headId: number,
): Promise<void> {
  try {
    await io.files.replace(
      path,
      `${JSON.stringify({ schema: SCHEMA, ...logRecord(log), head_id: headId })}\n`,
    );
  } catch (error) {
    throw unusable(path, error instanceof Error ? error.message : String(error));
  }
}

function logRecord({ topic, origin }: PulledLog) {
  return { topic, origin: nodeRecord(origin) };
}

function parse(text: string): { readonly log: string; readonly headId: number } | undefined {
  try {
    const { schema, topic, origin, head_id: headId } = JSON.parse(text);
    if (schema !== SCHEMA || !Number.isSafeInteger(headId) || headId < 0) return undefined;
    return { log: JSON.stringify({ topic, origin }), headId };
  } catch {
    // Not JSON, or no object: no state.
    return undefined;
  }
}

function unusable(path: string, why: string): CliError {
  return new CliError("USAGE", `Cannot use state file ${JSON.stringify(path)}: ${why}; give another --state`);
}
