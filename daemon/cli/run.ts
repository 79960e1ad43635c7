import type { Failure } from "./error.ts";
import { ExitCode } from "./exit_code.ts";
import { type CliIo, ClosedOutput } from "./io.ts";
import { plainServeFlags, serve } from "./plain_serve.ts";

/**
 * Runs one command line (without the program's name) and returns its exit code. Never throws: what goes wrong is one
 * line on standard error, or with `--json` one object of the schema "msgbus.error/1".
 */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  try {
    const flags = plainServeFlags(argv);
    if (flags !== undefined) return await serve(flags, io);
    // Loaded here, since the memory of the parser and of the client is nothing that a running daemon should hold.
    const { runCommand } = await import("./run_command.ts");
    return await runCommand(argv, io);
  } catch (error) {
    if (error instanceof ClosedOutput) return ExitCode.OK;
    const { failureOf } = await import("./error.ts");
    const failure = failureOf(error);
    try {
      await io.stderr.write(failureText(failure, argv.includes("--json")));
    } catch {
      // Nobody reads standard error: the exit code is all there is to say.
    }
    return failure.exitCode;
  }
}

function failureText({ code, message, exitCode }: Failure, json: boolean): string {
  if (!json) return `msgbusd: ${message}\n`;
  return `${JSON.stringify({ schema: "msgbus.error/1", code, message, exit_code: exitCode })}\n`;
}
