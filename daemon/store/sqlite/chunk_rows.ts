import type { DatabaseSync, SQLInputValue } from "node:sqlite";
import type { ReadLimits } from "../store.ts";
import type { ChunkRow } from "./page.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";

/** Reads chunks that a FROM clause selects. */
export class ChunkRows {
  readonly #rows: RowStatement<ChunkRow>;
  readonly #content: RowStatement<[Uint8Array | null]>;

  /** `from` names the chunks `c`, orders them, and takes its last parameter as the limit of rows. */
  constructor(db: DatabaseSync, from: string) {
    this.#rows = prepareRows(
      db,
      `SELECT c.log, c.first_head, c.first_sequence, c.count, octet_length(c.messages) ${from}`,
    );
    // One blob for many rows: a blob per row costs more than all the rest of the row. The result of group_concat is bytes
    // that SQLite takes for text; with a database in UTF-8 it copies them as they are, also zeros and invalid text.
    this.#content = prepareRows(
      db,
      `SELECT CAST(group_concat(messages, '') AS BLOB) FROM (SELECT c.messages ${from})`,
    );
  }

  /** At most `count` rows, without reading their messages. */
  rows(count: number, ...parameters: SQLInputValue[]): ChunkRow[] {
    return this.#rows.all(...parameters, count);
  }

  /** The messages of the first `count` rows, one after the other. */
  content(count: number, ...parameters: SQLInputValue[]): Uint8Array {
    return this.#content.get(...parameters, count)?.[0] ?? NO_BYTES;
  }
}

/**
 * How many rows from the one at a place on to read for what may still come: at least one, unless its log is not
 * accepted. `skipped` messages of the first one do not count.
 */
export function rowsFor(
  left: ReadLimits,
  rows: readonly ChunkRow[],
  start: number,
  skipped: number,
  inLog?: (log: number) => boolean,
): number {
  let messages = -skipped;
  let bytes = 0;
  let count = 0;
  for (let row = rows[start]; row !== undefined; row = rows[start + ++count]) {
    const [log, , , messagesOfRow, bytesOfRow] = row;
    if (count > 0 && (messages >= left.messages || bytes >= left.bytes)) break;
    if (inLog?.(log) === false) break;
    messages += messagesOfRow;
    bytes += bytesOfRow;
  }
  return count;
}

const NO_BYTES = new Uint8Array();
