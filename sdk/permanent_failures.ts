import type { StatusName } from "./status_name.ts";

/** Asking again would be answered in the same way. */
export const PERMANENT_FAILURES: ReadonlySet<StatusName> = new Set<StatusName>([
  "INVALID_ARGUMENT",
  "NOT_FOUND",
  "PERMISSION_DENIED",
  "RESOURCE_EXHAUSTED",
  "FAILED_PRECONDITION",
  "UNIMPLEMENTED",
  "DATA_LOSS",
  "UNAUTHENTICATED",
]);
