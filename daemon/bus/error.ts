import { StoreError, type StoreErrorCode } from "../store/store.ts";

/**
 * Why a bus call failed, in the words of gRPC:
 * - `invalid_argument`: the request is malformed; `field` names where
 * - `not_found`: what was asked for does not exist
 * - `failed_precondition`: the request contradicts stored data, or the use of an object contradicts its state
 * - `permission_denied`: the caller may not do this
 * - `resource_exhausted`: too large, too much at once, or the disk is full; nothing was applied, unless the text says so
 * - `unavailable`: the bus is closing
 * - `internal`: the store is broken; details are in `cause`, for the log only
 */
export type BusErrorCode =
  | "invalid_argument"
  | "not_found"
  | "failed_precondition"
  | "permission_denied"
  | "resource_exhausted"
  | "unavailable"
  | "internal";

/** The only error the bus throws. Its message may be shown to the caller; its cause may not. */
export class BusError extends Error {
  override readonly name = "BusError";
  readonly code: BusErrorCode;
  /** The request's field at fault in proto spelling, such as "topic" or "origin.tenant_id". */
  readonly field: string | undefined;

  constructor(code: BusErrorCode, message: string, options?: ErrorOptions & { field?: string }) {
    super(message, options);
    this.code = code;
    this.field = options?.field;
  }
}

/** A copy of a log contradicts the one that is stored: one of them began anew, or went back. */
export class ConflictError extends BusError {
  constructor(message: string, options?: ErrorOptions) {
    super("failed_precondition", message, options);
  }
}

const CODES = {
  not_writable: "internal",
  not_a_database: "internal",
  newer_schema: "internal",
  locked: "internal",
  too_old_sqlite: "internal",
  full: "resource_exhausted",
  broken: "internal",
  closed: "unavailable",
  conflict: "failed_precondition",
  gap: "failed_precondition",
  stale_epoch: "failed_precondition",
} satisfies Record<StoreErrorCode, BusErrorCode>;

/** The one place where errors of the store become errors of the bus; any other error is a defect of ours. */
export function toBusError(action: string, error: unknown): BusError {
  if (error instanceof BusError) return error;
  const code = error instanceof StoreError ? CODES[error.code] : "internal";
  if (error instanceof StoreError && error.code === "conflict") {
    return new ConflictError(`Cannot ${action}: ${STATES.conflict}`, { cause: error });
  }
  const state = error instanceof StoreError ? stateOf(error) : "an unexpected error occurred";
  return new BusError(code, `Cannot ${action}: ${state}`, { cause: error });
}

function stateOf({ code, message }: StoreError): string {
  return code === "stale_epoch" ? message : STATES[code];
}

/** What a caller may know. Otherwise the store's own text names files, so it stays in the cause. */
const STATES = {
  not_writable: "the store cannot be written",
  not_a_database: "the store cannot be read",
  newer_schema: "the store cannot be read",
  locked: "the store is in use by another process",
  too_old_sqlite: "the store cannot be used",
  full: "the disk is full; free some space on the node and try again",
  broken: "the store failed; the node must be looked after",
  closed: "the node is stopping; try again later",
  conflict: "it contradicts what is stored",
  gap: "messages before it are missing",
} satisfies Record<Exclude<StoreErrorCode, "stale_epoch">, string>;

/** What every call fails with once the bus is closing. */
export function closingError(action: string): BusError {
  return new BusError("unavailable", `Cannot ${action}: the node is stopping; try again later`);
}
