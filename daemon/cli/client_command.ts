import { type Client, connect } from "@msgbus/sdk";
import type { Command } from "commander";
import { timeoutArgument } from "./arguments.ts";
import { CliError } from "./error.ts";
import { ExitCode } from "./exit_code.ts";
import type { Invocation } from "./invocation.ts";
import type { CliIo } from "./io.ts";
import { Printer } from "./printer.ts";

const DEFAULT_TARGET = "127.0.0.1:50051";
const DEFAULT_TIMEOUT_MS = 30_000;

/** What a command that asks a daemon works with. */
export interface ClientSession {
  readonly client: Client;
  readonly printer: Printer;
  readonly io: CliIo;
}

/** Adds a command with what all commands that ask a daemon have in common. */
export function clientCommand(parent: Command, nameAndArguments: string, description: string): Command {
  return parent.command(nameAndArguments)
    .description(description)
    .option("--connect <target>", `The daemon to ask [default: ${DEFAULT_TARGET}, MSGBUS_CONNECT]`)
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
  const options = command.opts<{ connect?: string; timeoutMs?: number; json?: true }>();
  const client = open(
    options.connect ?? (io.env("MSGBUS_CONNECT") || DEFAULT_TARGET),
    options.timeoutMs ?? DEFAULT_TIMEOUT_MS,
  );
  try {
    const printer = new Printer(io, options.json ?? false);
    invocation.exitCode = await work({ client, printer, io }) ?? ExitCode.OK;
  } finally {
    await client.close();
  }
}

function open(target: string, timeoutMs: number): Client {
  try {
    return connect(target, { timeoutMs, connectTimeoutMs: timeoutMs, userAgent: "msgbusd-cli" });
  } catch (error) {
    if (error instanceof TypeError) throw new CliError("USAGE", `--connect: ${error.message}`);
    throw error;
  }
}
