import { CommanderError } from "commander";
import { CliError } from "./error.ts";
import { ExitCode } from "./exit_code.ts";
import type { Invocation } from "./invocation.ts";
import type { CliIo } from "./io.ts";
import { makeProgram } from "./program.ts";

/** Parses a command line, runs its command and returns the exit code. Throws what the command throws, and CliError. */
export async function runCommand(argv: readonly string[], io: CliIo): Promise<number> {
  const invocation: Invocation = { io, exitCode: ExitCode.OK };
  const out: string[] = [];
  const program = makeProgram(invocation, { out: (text) => out.push(text), err: () => {} });
  try {
    await program.parseAsync([...argv], { from: "user" });
  } catch (error) {
    if (!(error instanceof CommanderError)) throw error;
    if (error.exitCode !== ExitCode.OK) throw usageError(error);
  }
  if (out.length > 0) await io.stdout.write(out.join(""));
  return invocation.exitCode;
}

function usageError(error: CommanderError): CliError {
  // `msgbusd fifo` without a command: the parser would print its help there.
  if (error.code === "commander.help") return new CliError("USAGE", "The command is missing; see --help");
  const text = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ").replace(/\.$/, "");
  return new CliError("USAGE", `${text}; see --help`);
}
