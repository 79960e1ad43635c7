import type { DatabaseOptions } from "./database.ts";

/** The one message posted to the store thread; everything after it goes through the two pipes. */
export interface ThreadStart {
  readonly requests: SharedArrayBuffer;
  readonly answers: SharedArrayBuffer;
  readonly options: DatabaseOptions;
}

/** The number of the call that the thread answers unasked: opening the database. The answer is an OpenedStore. */
export const OPEN_CALL = 0;
