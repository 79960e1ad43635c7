import type { Store } from "../store/store.ts";
import { BusError } from "./error.ts";

/**
 * A place in the order in which a node stored its messages, whatever their log. It is told from the same place in a
 * restored backup, where other messages may lie up to there, also where the same one lies at it.
 */
export interface Cursor {
  /** The data directory. */
  readonly incarnation: string;
  /** Everything up to this one was consumed; 0: nothing. */
  readonly sequence: number;
  /** The opening of the store that names the sequence; "" for 0. See `Store.openingOf`. */
  readonly opening: string;
}

const SEPARATOR = "/";

/** The cursor as the text that consumers keep. */
export function formatCursor({ incarnation, sequence, opening }: Cursor): string {
  return [incarnation, sequence, opening].join(SEPARATOR);
}

/** The inverse of {@link formatCursor}. Throws invalid_argument. */
export function parseCursor(text: string): Cursor {
  const [, incarnation = "", digits = "", opening = ""] =
    /^([^/]+)\/(0|[1-9][0-9]{0,15})\/(.*)$/s.exec(text) ?? [];
  const sequence = Number(digits);
  if (incarnation === "" || !Number.isSafeInteger(sequence)) {
    throw new BusError(
      "invalid_argument",
      "Cannot consume: the cursor is none that this daemon gave; begin at a position, a head or a time",
      { field: "start.cursor" },
    );
  }
  return { incarnation, sequence, opening };
}

/** Whether a store has the messages up to the cursor that there were when it was given. Rejects with StoreError. */
export async function isKnown({ incarnation, sequence, opening }: Cursor, store: Store): Promise<boolean> {
  if (incarnation !== store.incarnation) return false;
  if (sequence === 0) return true;
  const last = await store.lastOf(opening);
  return last !== undefined && sequence <= last;
}
