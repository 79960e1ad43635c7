import type { Metadata } from "./metadata.ts";

/** Status codes of gRPC (doc/statuscodes.md of the gRPC project). */
export const Status = {
  OK: 0,
  CANCELLED: 1,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  DEADLINE_EXCEEDED: 4,
  NOT_FOUND: 5,
  ALREADY_EXISTS: 6,
  PERMISSION_DENIED: 7,
  RESOURCE_EXHAUSTED: 8,
  FAILED_PRECONDITION: 9,
  ABORTED: 10,
  OUT_OF_RANGE: 11,
  UNIMPLEMENTED: 12,
  INTERNAL: 13,
  UNAVAILABLE: 14,
  DATA_LOSS: 15,
  UNAUTHENTICATED: 16,
} as const;

/** A code of {@linkcode Status}. */
export type Status = typeof Status[keyof typeof Status];

/** The name of a status code, as in "NOT_FOUND". */
export type StatusName = keyof typeof Status;

const NAMES: ReadonlyMap<number, StatusName> = new Map(
  (Object.keys(Status) as StatusName[]).map((name) => [Status[name], name]),
);

/** The name of a status code. */
export function statusName(code: Status): StatusName {
  return NAMES.get(code) ?? "UNKNOWN";
}

/** The status code of a number from the wire; codes that gRPC does not know are UNKNOWN. */
export function statusOf(code: number): Status {
  const name = NAMES.get(code);
  return name === undefined ? Status.UNKNOWN : Status[name];
}

/** How a call ended when it did not end well. A handler throws it to choose the status that its client sees. */
export class StatusError extends Error {
  /** "StatusError". */
  override readonly name = "StatusError";
  /** The status code; never OK. */
  readonly code: Status;
  /** Trailing metadata that came, or is to be sent, with the status. */
  readonly metadata: Metadata | undefined;
  /** A serialized `google.rpc.Status` with details, as `grpc-status-details-bin` carries it. See `@msgbus/grpc/error_details`. */
  readonly details: Uint8Array | undefined;

  /** Makes an error with the code and the text for the client. */
  constructor(
    code: Status,
    message: string,
    options?: { metadata?: Metadata; details?: Uint8Array; cause?: unknown },
  ) {
    super(message, options?.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.metadata = options?.metadata;
    this.details = options?.details;
  }

  /**
   * The status error of anything thrown: a StatusError as it is, everything else INTERNAL without its text,
   * which may tell what a client must not know. The thrown value is kept as `cause`.
   */
  static from(thrown: unknown): StatusError {
    if (thrown instanceof StatusError) return thrown;
    return new StatusError(Status.INTERNAL, "internal error", { cause: thrown });
  }
}
