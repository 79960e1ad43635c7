import { DatabaseSync } from "node:sqlite";
import type { Config } from "../config/config.ts";
import { type CliIo, ClosedOutput, type Output } from "./io.ts";

/** What `write` uses of Deno's standard output and error. */
interface DenoOutput {
  write(bytes: Uint8Array): Promise<number>;
  isTerminal(): boolean;
}

/** What reading to the end uses of Deno's files and standard input. */
interface DenoInput {
  read(room: Uint8Array): Promise<number | null>;
}

const encoder = new TextEncoder();
const READ_BYTES = 65_536;

/** The command line's surroundings in Deno. */
export function denoIo(startDaemon: (config: Config) => Promise<number>): CliIo {
  return {
    stdout: outputOf(Deno.stdout),
    stderr: outputOf(Deno.stderr),
    stdin: (maxBytes) => readAll(Deno.stdin, maxBytes),
    env: (name) => Deno.env.get(name),
    files: { read: readFile, replace: replaceFile, lock: lockFile, whyUnreadable },
    onInterrupt,
    startDaemon,
    runtimeVersions: () => [
      ["deno", Deno.version.deno],
      ["v8", Deno.version.v8],
      ["sqlite", sqliteVersion()],
    ],
  };
}

function outputOf(stream: DenoOutput): Output {
  return {
    isTerminal: stream.isTerminal(),
    async write(data) {
      const bytes = encoder.encode(data);
      try {
        for (let at = 0; at < bytes.length;) at += await stream.write(bytes.subarray(at));
      } catch (error) {
        if (error instanceof Deno.errors.BrokenPipe) throw new ClosedOutput(error.message, { cause: error });
        throw error;
      }
    },
  };
}

async function readFile(path: string, maxBytes: number): Promise<Uint8Array | undefined> {
  try {
    using file = await Deno.open(path);
    return await readAll(file, maxBytes);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return undefined;
    throw error;
  }
}

async function readAll(input: DenoInput, maxBytes: number): Promise<Uint8Array> {
  const pieces: Uint8Array[] = [];
  let length = 0;
  for (;;) {
    const room = new Uint8Array(READ_BYTES);
    const count = await input.read(room);
    if (count === null) return joined(pieces, length);
    length += count;
    if (length > maxBytes) throw new Error(`it has more than ${maxBytes} bytes`);
    pieces.push(room.subarray(0, count));
  }
}

function joined(pieces: readonly Uint8Array[], length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let at = 0;
  for (const piece of pieces) {
    bytes.set(piece, at);
    at += piece.length;
  }
  return bytes;
}

/** The lock is on a file beside it: the file itself is replaced. */
async function lockFile(name: string): Promise<() => void> {
  const file = await Deno.open(`${await realPath(name)}.lock`, { create: true, write: true, mode: 0o600 });
  await file.lock(true);
  return () => file.close();
}

async function replaceFile(name: string, content: string): Promise<void> {
  const path = await realPath(name);
  const folder = /^(.+)\/[^/]*$/.exec(path)?.[1];
  if (folder !== undefined) await Deno.mkdir(folder, { recursive: true, mode: 0o700 });
  const fresh = `${path}.${crypto.randomUUID()}`;
  try {
    using file = await Deno.open(fresh, { write: true, createNew: true, mode: 0o600 });
    const bytes = encoder.encode(content);
    for (let at = 0; at < bytes.length;) at += await file.write(bytes.subarray(at));
    // The name must not point to a content that a power cut could still take away.
    await file.sync();
    await keepOwner(path, fresh);
    await Deno.rename(fresh, path);
  } catch (error) {
    await Deno.remove(fresh).catch(() => {});
    throw error;
  }
}

/** The file behind a link, so that the link stays and its file is replaced; the name itself where there is no file yet. */
async function realPath(name: string): Promise<string> {
  try {
    return await Deno.realPath(name);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return name;
    throw error;
  }
}

/** Whoever could read the old file can read the new one: a daemon may run as another user than the command. */
async function keepOwner(path: string, fresh: string): Promise<void> {
  let before: Deno.FileInfo;
  try {
    before = await Deno.stat(path);
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return;
    throw error;
  }
  const after = await Deno.stat(fresh);
  if (before.uid !== after.uid || before.gid !== after.gid) await Deno.chown(fresh, before.uid, before.gid);
  if (before.mode !== null) await Deno.chmod(fresh, before.mode & 0o777);
}

function whyUnreadable(path: string): string | undefined {
  try {
    using file = Deno.openSync(path);
    return file.statSync().isDirectory ? "it is a folder" : undefined;
  } catch (error) {
    if (error instanceof Deno.errors.NotFound) return "it does not exist";
    return error instanceof Error ? error.message : String(error);
  }
}

function onInterrupt(callback: () => void): () => void {
  const signals = ["SIGINT", "SIGTERM"] as const;
  for (const signal of signals) Deno.addSignalListener(signal, callback);
  return () => {
    for (const signal of signals) Deno.removeSignalListener(signal, callback);
  };
}

function sqliteVersion(): string {
  const database = new DatabaseSync(":memory:");
  try {
    return String(database.prepare("select sqlite_version() as version").get()?.version);
  } finally {
    database.close();
  }
}
