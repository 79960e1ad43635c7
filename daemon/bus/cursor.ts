import { BusError } from "./error.ts";

/** A place in the order in which a node stored its messages, whatever their log. */
export interface Cursor {
  /** The data directory. */
  readonly incarnation: string;
  /** Everything up to this one was consumed; 0: nothing. */
  readonly sequence: number;
  /** The id of the message there: a restored backup has another. */
  readonly id: string;
}

const SEPARATOR = "/";

/** The cursor as the text that consumers keep. */
export function formatCursor({ incarnation, sequence, id }: Cursor): string {
  return [incarnation, sequence, id].join(SEPARATOR);
}

/** The inverse of {@link formatCursor}. Throws invalid_argument. */
export function parseCursor(text: string): Cursor {
  const [, incarnation = "", digits = "", id = ""] = /^([^/]+)\/(0|[1-9][0-9]{0,15})\/(.*)$/s.exec(text) ??
    [];
  const sequence = Number(digits);
  if (incarnation === "" || !Number.isSafeInteger(sequence)) {
    throw new BusError(
      "invalid_argument",
      "Cannot consume: the cursor is none that this daemon gave; begin at a position, a head or a time",
      { field: "start.cursor" },
    );
  }
  return { incarnation, sequence, id };
}
