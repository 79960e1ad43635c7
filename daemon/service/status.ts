import { Status, StatusError } from "@msgbus/grpc";
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

/** The one place where errors of the bus become statuses of gRPC. Everything else goes through unchanged. */
export function statusOfBusError(thrown: unknown): unknown {
  return thrown instanceof BusError
    ? new StatusError(CODES[thrown.code], thrown.message, { cause: thrown })
    : thrown;
}
