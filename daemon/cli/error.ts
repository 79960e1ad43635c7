import { MsgbusError } from "@msgbus/sdk";
import { ConfigError } from "../config/error.ts";
import { ExitCode } from "./exit_code.ts";

/** Why a command ended without doing what it was told. */
export type CliErrorCode =
  /** The command line, or a file that it names, can't be used. */
  | "USAGE"
  /** There is nothing of what was asked for. */
  | "NOTHING_THERE";

/** A command can't go on. */
export class CliError extends Error {
  override readonly name = "CliError";
  /** What kind of error it is. */
  readonly code: CliErrorCode;

  /** Makes an error; the message is for people. */
  constructor(code: CliErrorCode, message: string) {
    super(message);
    this.code = code;
  }
}

/** What is reported of an error, and how the process ends. */
export interface Failure {
  readonly code: string;
  readonly message: string;
  readonly exitCode: ExitCode;
}

const EXIT_OF_CLI_ERROR = {
  USAGE: ExitCode.USAGE,
  NOTHING_THERE: ExitCode.NEGATIVE,
} as const satisfies Record<CliErrorCode, ExitCode>;

/** The report of anything that a command threw. */
export function failureOf(thrown: unknown): Failure {
  if (thrown instanceof CliError) {
    return { code: thrown.code, message: thrown.message, exitCode: EXIT_OF_CLI_ERROR[thrown.code] };
  }
  if (thrown instanceof ConfigError) {
    return { code: thrown.code.toUpperCase(), message: thrown.message, exitCode: ExitCode.USAGE };
  }
  if (thrown instanceof MsgbusError) {
    const unreachable = thrown.code === "UNAVAILABLE" || thrown.code === "DEADLINE_EXCEEDED";
    const wish = nobodyListens(thrown) ? "; start msgbusd there, or give another address with --connect" : "";
    return {
      code: thrown.code,
      message: `${thrown.message}${wish} (${thrown.code})`,
      exitCode: unreachable ? ExitCode.UNREACHABLE : ExitCode.REFUSED,
    };
  }
  const text = thrown instanceof Error ? thrown.stack ?? thrown.message : String(thrown);
  return { code: "INTERNAL_FAULT", message: `internal fault: ${text}`, exitCode: ExitCode.INTERNAL };
}

/** Whether a call failed because nothing listens where it went: the error below it is Deno's, or Node's over TLS. */
function nobodyListens(error: Error): boolean {
  for (let cause = error.cause; cause instanceof Error; cause = cause.cause) {
    if (cause instanceof Deno.errors.ConnectionRefused || cause instanceof Deno.errors.NotFound) return true;
    if ("code" in cause && cause.code === "ECONNREFUSED") return true;
  }
  return false;
}
