import { StatusError, statusName } from "@msgbus/grpc";
import type { StatusName } from "./status_name.ts";

/** How a call failed: thrown for everything that goes wrong between here and the daemon, or that the daemon refuses. */
export class MsgbusError extends Error {
  /** Always "MsgbusError". */
  override readonly name = "MsgbusError";
  /**
   * The gRPC status: "UNAVAILABLE" when the daemon can't be reached or the connection broke, "DEADLINE_EXCEEDED"
   * when its time was over, "CANCELLED" after an abort, and what the daemon says otherwise: "INVALID_ARGUMENT",
   * "NOT_FOUND", "PERMISSION_DENIED", "FAILED_PRECONDITION", "RESOURCE_EXHAUSTED", "INTERNAL" …
   */
  readonly code: StatusName;

  /** Made by the client; `cause` is the error below it. */
  constructor(code: StatusName, message: string, options?: { readonly cause?: unknown }) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
  }
}

/** The error of anything that a call to `target` threw. */
export function toMsgbusError(thrown: unknown, target: string): MsgbusError {
  if (thrown instanceof MsgbusError) return thrown;
  const status = StatusError.from(thrown);
  const name = statusName(status.code);
  // A failure is never OK: a status error that says so was made wrongly.
  const code = name === "OK" ? "UNKNOWN" : name;
  const text = code === "UNAVAILABLE" || code === "DEADLINE_EXCEEDED"
    ? `${target}: ${status.message}`
    : status.message;
  return new MsgbusError(code, text === "" ? code : text, { cause: thrown });
}
