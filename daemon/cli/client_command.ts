import { type Client, connect, type TlsClientOptions } from "@msgbus/sdk";
import type { Command, CommandOptions } from "commander";
import { timeoutArgument } from "./arguments.ts";
import { addTlsFlags, readTlsFlags } from "./client_tls.ts";
import { CliError } from "./error.ts";
import { ExitCode } from "./exit_code.ts";
import type { Invocation } from "./invocation.ts";
import type { CliIo } from "./io.ts";
import { CLI_LIMITS } from "./limits.ts";
import { Printer } from "./printer.ts";

const DEFAULT_TARGET = "127.0.0.1:50051";
const DEFAULT_TIMEOUT_MS = 30_000;

/** What a command that asks a daemon works with. */
export interface ClientSession {
  readonly client: Client;
  /** A client of the same daemon with a connection of its own. Whoever asks for it closes it. */
  readonly another: () => Client;
  readonly printer: Printer;
  readonly io: CliIo;
}

/** Adds a command with what all commands that ask a daemon have in common. */
export function clientCommand(
  parent: Command,
  nameAndArguments: string,
  description: string,
  options: CommandOptions = {},
): Command {
  const command = parent.command(nameAndArguments, options)
    .description(description)
    .option(
      "--connect <target>",
      `The daemon to ask: host:port, https://host:port, ws://host:port, wss://host:port, quic://host:port or unix:/path [default: ${DEFAULT_TARGET}, MSGBUS_CONNECT]`,
    );
  return addTlsFlags(command)
    .option(
      "--token-file <file>",
      "The file with the token to send [MSGBUS_TOKEN_FILE, or the token: MSGBUS_TOKEN]",
    )
    .option(
      "--timeout-ms <ms>",
      `Milliseconds that an answer may take [default: ${DEFAULT_TIMEOUT_MS}]`,
      timeoutArgument,
    )
    .option("--json", "One JSON object per line, for programs");
}

/** Runs a command's work with a client, which is closed afterwards. The work returns an exit code; nothing means 0. */
export async function withClient(
  command: Command,
  invocation: Invocation,
  work: (session: ClientSession) => Promise<ExitCode | void>,
): Promise<void> {
  const { io } = invocation;
  const options = command.opts<{ connect?: string; timeoutMs?: number; json?: true; tokenFile?: string }>();
  const target = options.connect ?? (io.env("MSGBUS_CONNECT") || DEFAULT_TARGET);
  const tls = await readTlsFlags(command, io);
  const token = await readToken(options.tokenFile ?? (io.env("MSGBUS_TOKEN_FILE") || undefined), io);
  const another = () => open(target, options.timeoutMs ?? DEFAULT_TIMEOUT_MS, tls, token);
  const client = another();
  try {
    const printer = new Printer(io, options.json ?? false);
    invocation.exitCode = await work({ client, another, printer, io }) ?? ExitCode.OK;
  } finally {
    await client.close();
  }
}

/** The token in a file or, without one, in the environment; never on the command line, which every user can read. */
async function readToken(path: string | undefined, io: CliIo): Promise<string | undefined> {
  if (path === undefined) return io.env("MSGBUS_TOKEN") || undefined;
  try {
    const bytes = await io.files.read(path, CLI_LIMITS.tokenBytes);
    if (bytes === undefined) throw new Error("it does not exist");
    return new TextDecoder().decode(bytes).trim();
  } catch (error) {
    const reason = error instanceof Error ? error.message : String(error);
    throw new CliError("USAGE", `Cannot read --token-file "${path}": ${reason}`);
  }
}

function open(
  target: string,
  timeoutMs: number,
  tls: TlsClientOptions | undefined,
  token: string | undefined,
): Client {
  try {
    return connect(target, {
      timeoutMs,
      connectTimeoutMs: timeoutMs,
      userAgent: "msgbusd-cli",
      ...(tls && { tls }),
      ...(token !== undefined && { token }),
    });
  } catch (error) {
    if (error instanceof TypeError) throw new CliError("USAGE", `--connect: ${error.message}`);
    throw error;
  }
}
