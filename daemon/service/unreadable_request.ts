import { Status, StatusError } from "@msgbus/grpc/server";

/** The refusal of a request whose bytes are none of the message `typeName`. */
export function unreadableRequest(typeName: string, cause: unknown): StatusError {
  return new StatusError(Status.INVALID_ARGUMENT, `Cannot read the request: it is no ${typeName}`, { cause });
}
