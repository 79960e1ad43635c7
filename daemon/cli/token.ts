import type { Command } from "commander";
import { type AuthFile, formatAuthFile, parseAuthFile, type TokenEntry } from "../auth/auth_file.ts";
import { AuthFileError } from "../auth/error.ts";
import { newToken } from "../auth/token.ts";
import type { GrantList } from "../bus/grants.ts";
import { CliError } from "./error.ts";
import type { Invocation } from "./invocation.ts";
import type { CliIo } from "./io.ts";
import { CLI_LIMITS } from "./limits.ts";
import { Printer } from "./printer.ts";
import { table } from "./table.ts";

const EMPTY: AuthFile = { tokens: [], certificates: [] };

/** `token`: who may use a daemon that runs with `--auth-file`. Works on the file, with or without a daemon. */
export function addToken(program: Command, invocation: Invocation): void {
  const token = program.command("token").description("Make and revoke the tokens of a daemon's --auth-file");
  addCreate(token, invocation);
  addList(token, invocation);
  addRevoke(token, invocation);
}

function fileCommand(parent: Command, nameAndArguments: string, description: string): Command {
  return parent.command(nameAndArguments)
    .description(description)
    .option("--auth-file <file>", "The file of tokens [MSGBUS_AUTH_FILE]")
    .option("--json", "One JSON object per line, for programs");
}

function addCreate(token: Command, invocation: Invocation): void {
  const command = fileCommand(
    token,
    "create",
    "Make a token and print it, this once; the file keeps its hash",
  )
    .argument("<name>", "what to call its owner, in the file and in refusals")
    .option("--publish <pattern>", "Topics to publish to; repeatable", collected)
    .option("--subscribe <pattern>", "Topics to read; repeatable", collected)
    .option("--fifo <pattern>", "Queues to use; repeatable", collected)
    .option("--admin", "Delete from any topic, see all heads and the synchronization")
    .option("--sync", "Read every log, as a peer does")
    .addHelpText(
      "after",
      `
Patterns: a.*.b and a.> or a/+/b and a/#; > alone is every topic.
Example: msgbusd token create sensor-7 --auth-file tokens.json --publish "sensors.>"
The running daemon takes it up at SIGHUP.
`,
    );
  command.action(async (name: string) => {
    const { io } = invocation;
    const { json, publish = [], subscribe = [], fifo = [], admin = false, sync = false } = command.opts<
      { json?: true } & GrantList
    >();
    const allow: GrantList = { publish, subscribe, fifo, admin, sync };
    if (!admin && !sync && publish.length + subscribe.length + fifo.length === 0) {
      throw new CliError(
        "USAGE",
        "The token could do nothing: give --publish, --subscribe, --fifo, --admin or --sync",
      );
    }
    const path = authFilePath(command, io);
    const { id, text } = newToken((into) => crypto.getRandomValues(into));
    const hash = new Uint8Array(await crypto.subtle.digest("SHA-256", new TextEncoder().encode(text)));
    const entry: TokenEntry = { id, name, sha256: hash.toHex(), createdAt: new Date().toISOString(), allow };
    await change(io, path, (file) => ({ ...file, tokens: [...file.tokens, entry] }));
    await new Printer(io, json ?? false).print([{
      record: { schema: "msgbus.token/1", name, id, token: text },
      text: `${text}\n`,
    }]);
  });
}

function addList(token: Command, invocation: Invocation): void {
  const command = fileCommand(token, "list", "Who is in the file, and what they may do");
  command.action(async () => {
    const { io } = invocation;
    const path = authFilePath(command, io);
    const file = await read(io, path);
    if (file === undefined) throw new CliError("NOTHING_THERE", `There is no file "${path}"`);
    const entries = [
      ...file.tokens.map((entry) => ({ kind: "token", ...entry })),
      ...file.certificates.map((entry) => ({ kind: "certificate", ...entry })),
    ];
    const records = entries.map(({ kind, name, allow }) => ({ schema: "msgbus.grant/1", kind, name, allow }));
    const rows = entries.map(({ kind, name, allow }) => [name, kind, grantsText(allow)]);
    await new Printer(io, command.opts<{ json?: true }>().json ?? false)
      .printAll(records, table(["NAME", "KIND", "MAY"], rows));
  });
}

function addRevoke(token: Command, invocation: Invocation): void {
  const command = fileCommand(token, "revoke", "Remove a token; the running daemon follows at SIGHUP")
    .argument("<name>", "its name, as list prints it");
  command.action(async (name: string) => {
    const { io } = invocation;
    const path = authFilePath(command, io);
    await change(io, path, (file) => {
      const tokens = file.tokens.filter((entry) => entry.name !== name);
      if (tokens.length === file.tokens.length) {
        const certificate = file.certificates.some((entry) => entry.name === name);
        const wish = certificate ? "; it is a certificate: remove it from the file by hand" : "";
        throw new CliError("NOTHING_THERE", `No token ${JSON.stringify(name)} in "${path}"${wish}`);
      }
      return { ...file, tokens };
    });
    await new Printer(io, command.opts<{ json?: true }>().json ?? false).print([{
      record: { schema: "msgbus.token_revoked/1", name },
      text: `revoked ${name}\n`,
    }]);
  });
}

function grantsText(
  { publish = [], subscribe = [], fifo = [], admin = false, sync = false }: GrantList,
): string {
  const patterns = Object.entries({ publish, subscribe, fifo })
    .filter(([, list]) => list.length > 0)
    .map(([kind, list]) => `${kind} ${list.join(" ")}`);
  return [...patterns, ...admin ? ["admin"] : [], ...sync ? ["sync"] : []].join(", ");
}

function collected(value: string, before: readonly string[] = []): readonly string[] {
  return [...before, value];
}

function authFilePath(command: Command, io: CliIo): string {
  const path = command.opts<{ authFile?: string }>().authFile ?? io.env("MSGBUS_AUTH_FILE") ?? "";
  if (path === "") throw new CliError("USAGE", "Which file? Give --auth-file or set MSGBUS_AUTH_FILE");
  return path;
}

async function read(io: CliIo, path: string): Promise<AuthFile | undefined> {
  let bytes: Uint8Array | undefined;
  try {
    bytes = await io.files.read(path, CLI_LIMITS.authFileBytes);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError("USAGE", `Cannot read "${path}": ${reason}`);
  }
  return bytes === undefined ? undefined : parsed(new TextDecoder().decode(bytes), path);
}

/** Reads the file, changes it and writes it, while nobody else does: a token that was revoked must not come back. */
async function change(io: CliIo, path: string, changed: (file: AuthFile) => AuthFile): Promise<void> {
  let unlock: () => void;
  try {
    unlock = await io.files.lock(path);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError("USAGE", `Cannot write "${path}": ${reason}`);
  }
  try {
    await write(io, path, changed(await read(io, path) ?? EMPTY));
  } finally {
    unlock();
  }
}

/** Written and read back as the daemon will: what it would refuse never gets into the file. */
async function write(io: CliIo, path: string, file: AuthFile): Promise<void> {
  const text = formatAuthFile(file);
  parsed(text, path);
  try {
    await io.files.replace(path, text);
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError("USAGE", `Cannot write "${path}": ${reason}`);
  }
}

function parsed(text: string, path: string): AuthFile {
  try {
    return parseAuthFile(text, path);
  } catch (error) {
    throw error instanceof AuthFileError ? new CliError("USAGE", error.message) : error;
  }
}
