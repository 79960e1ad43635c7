/**
 * Why a store call failed:
 * - `not_writable`: the file or its folder cannot be created or written
 * - `not_a_database`: the file belongs to something else; it was not touched
 * - `newer_schema`: a newer msgbusd wrote the file; it was not touched
 * - `locked`: another process has the file open
 * - `too_old_sqlite`: the SQLite of this runtime has a known bug that corrupts files
 * - `full`: no space left; nothing of the call was applied
 * - `broken`: the file could not be read, or not be written: then no write is accepted until it is opened anew
 * - `closed`: the store was closed before the call
 * - `conflict`: the call contradicts what is stored; nothing of it was applied
 * - `stale_epoch`: the producer was taken over by a higher epoch; nothing of the call was applied
 * - `gap`: messages between the head of a log and those of the call are missing; nothing of it was applied
 */
export type StoreErrorCode =
  | "not_writable"
  | "not_a_database"
  | "newer_schema"
  | "locked"
  | "too_old_sqlite"
  | "full"
  | "broken"
  | "closed"
  | "conflict"
  | "gap"
  | "stale_epoch";

/** The only error a store throws. Its message says what to do where an operator can do something. */
export class StoreError extends Error {
  override readonly name = "StoreError";
  readonly code: StoreErrorCode;

  constructor(code: StoreErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.code = code;
  }
}

/** What deleting a range fails with when the log does not hold it. */
export function noSuchRange(from: number, to: number, head: number): StoreError {
  const state = head === 0 ? "the log is empty" : `the log has the heads 1 to ${head}`;
  return new StoreError("conflict", `Cannot delete heads ${from} to ${to}: ${state}; name heads that exist`);
}

/** What every call on a closed store fails with. */
export function closedError(): StoreError {
  return new StoreError("closed", "Cannot use the store: it is closed; open it again");
}
