import { CliError } from "./error.ts";
import type { CliIo } from "./io.ts";
import { CLI_LIMITS } from "./limits.ts";

/** The payload that a command line names: an argument, "-" for standard input, or a file. Throws CliError. */
export async function readPayload(
  io: CliIo,
  argument: string | undefined,
  file: string | undefined,
): Promise<string | Uint8Array> {
  if (file !== undefined) {
    if (argument !== undefined) {
      throw new CliError("USAGE", "Cannot take both a payload and --file; give one");
    }
    return await readFile(io, file);
  }
  if (argument === undefined) {
    throw new CliError("USAGE", "The payload is missing; give it, or - for standard input, or --file");
  }
  if (argument !== "-") return argument;
  return await orUsage("standard input", () => io.stdin(CLI_LIMITS.payloadBytes));
}

async function readFile(io: CliIo, path: string): Promise<Uint8Array> {
  const bytes = await orUsage(
    `--file ${JSON.stringify(path)}`,
    () => io.files.read(path, CLI_LIMITS.payloadBytes),
  );
  if (bytes !== undefined) return bytes;
  throw new CliError("USAGE", `Cannot read --file ${JSON.stringify(path)}: it does not exist; give another`);
}

async function orUsage<T>(what: string, read: () => Promise<T>): Promise<T> {
  try {
    return await read();
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new CliError("USAGE", `Cannot read ${what}: ${why}`);
  }
}
