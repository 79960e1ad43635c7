import type { Bus } from "./bus.ts";

/** What callers do with a bus. The bus itself is one of these: it asks nobody who they are. */
export interface BusAccess extends
  Pick<
    Bus,
    | "publish"
    | "publishBatch"
    | "openProducer"
    | "head"
    | "heads"
    | "fetch"
    | "subscribe"
    | "consume"
    | "cursorAt"
    | "deleteRange"
    | "enqueueFifo"
    | "peekFifo"
    | "ackFifo"
    | "rejectFifo"
    | "peerSyncStates"
    | "requireGrant"
    | "fetchArchived"
  > {
  /** Aborted, with the error to end its streams with, when the caller's rights were changed. Never where absent. */
  readonly revoked?: AbortSignal;
}
