import { CommanderError } from "commander";
import { CliError, type Failure, failureOf } from "./error.ts";
import { ExitCode } from "./exit_code.ts";
import type { Invocation } from "./invocation.ts";
import { type CliIo, ClosedOutput } from "./io.ts";
import { makeProgram } from "./program.ts";

/**
 * Runs one command line (without the program's name) and returns its exit code. Never throws: what goes wrong is one
 * line on standard error, or with `--json` one object of the schema "msgbus.error/1".
 */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const invocation: Invocation = { io, exitCode: ExitCode.OK };
  const out: string[] = [];
  const program = makeProgram(invocation, { out: (text) => out.push(text), err: () => {} });
  try {
    try {
      await program.parseAsync([...argv], { from: "user" });
    } catch (error) {
      if (!(error instanceof CommanderError)) throw error;
      if (error.exitCode !== ExitCode.OK) throw usageError(error);
    }
    if (out.length > 0) await io.stdout.write(out.join(""));
    return invocation.exitCode;
  } catch (error) {
    if (error instanceof ClosedOutput) return ExitCode.OK;
    const failure = failureOf(error);
    try {
      await io.stderr.write(failureText(failure, argv.includes("--json")));
    } catch {
      // Nobody reads standard error: the exit code is all there is to say.
    }
    return failure.exitCode;
  }
}

function usageError(error: CommanderError): CliError {
  // `msgbusd fifo` without a command: the parser would print its help there.
  if (error.code === "commander.help") return new CliError("USAGE", "The command is missing; see --help");
  const text = error.message.replace(/^error: /, "").replace(/\s*\n\s*/g, " ").replace(/\.$/, "");
  return new CliError("USAGE", `${text}; see --help`);
}

function failureText({ code, message, exitCode }: Failure, json: boolean): string {
  if (!json) return `msgbusd: ${message}\n`;
  return `${JSON.stringify({ schema: "msgbus.error/1", code, message, exit_code: exitCode })}\n`;
}
