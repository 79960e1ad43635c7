import { badRequest, Status, StatusError } from "@msgbus/grpc/server";
import { BusError, type BusErrorCode } from "../bus/error.ts";

const CODES = {
  invalid_argument: Status.INVALID_ARGUMENT,
  not_found: Status.NOT_FOUND,
  failed_precondition: Status.FAILED_PRECONDITION,
  permission_denied: Status.PERMISSION_DENIED,
  resource_exhausted: Status.RESOURCE_EXHAUSTED,
  unavailable: Status.UNAVAILABLE,
  internal: Status.INTERNAL,
} satisfies Record<BusErrorCode, Status>;

/** The status of an error of the bus that is told among answers instead of ending the call. */
export function statusCodeOf({ code }: BusError): Status {
  return CODES[code];
}

/** The one place where errors of the bus become statuses of gRPC, with `google.rpc.BadRequest` where a field is at fault. Everything else goes through unchanged. */
export function statusOfBusError(thrown: unknown): unknown {
  if (!(thrown instanceof BusError)) return thrown;
  const { message, field } = thrown;
  const code = CODES[thrown.code];
  return field === undefined
    ? new StatusError(code, message, { cause: thrown })
    : badRequest(code, message, [{ field, description: message }], thrown);
}
