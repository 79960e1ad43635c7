import type { DatabaseSync } from "node:sqlite";
import type { ReadLimits } from "../store.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";

/** One message of a page, all but its bytes. */
export type MessageRow = readonly [
  head: number,
  sequence: number,
  /** Null: the time in the id, which is a UUIDv7. */
  createdAtMs: number | null,
  /** 1: the id is the 16 bytes of a UUID; 0: it is text. */
  isUuid: number,
  idBytes: number,
  /** Null: it was deleted. */
  payloadBytes: number | null,
  headerBytes: number | null,
];

/** A part of a page as it comes from one query. */
export interface MessagePage {
  readonly rows: readonly MessageRow[];
  /** Id, payload and headers of each row, one after the other. */
  readonly content: Uint8Array;
  /** Payload and header bytes. */
  readonly bytes: number;
}

/** Reads messages that a FROM clause selects, as many as fit. */
export class MessagePages {
  readonly #rows: RowStatement<MessageRow>;
  readonly #content: RowStatement<[Uint8Array | null]>;

  /** `from` names the messages `m`, orders them, and takes its last parameter as the limit of rows. */
  constructor(db: DatabaseSync, from: string) {
    this.#rows = prepareRows(
      db,
      `SELECT m.head, m.sequence, m.created_at_ms, typeof(m.id) = 'blob', octet_length(m.id), length(m.payload),
              length(m.headers) ${from}`,
    );
    // One blob per page: a blob per row costs more than all the rest of the row. The result of group_concat is bytes
    // that SQLite takes for text; with a database in UTF-8 it copies them as they are, also zeros and invalid text.
    this.#content = prepareRows(
      db,
      `SELECT CAST(group_concat(content, '') AS BLOB) FROM (
         SELECT CAST(m.id || coalesce(m.payload, x'') || coalesce(m.headers, x'') AS BLOB) AS content ${from})`,
    );
  }

  /** What fits after `before`, the part of the same page that was already read. */
  read(limits: ReadLimits, before: MessagePage | undefined, ...parameters: readonly number[]): MessagePage {
    const left = limits.messages - (before?.rows.length ?? 0);
    const bytesLeft = limits.bytes - (before?.bytes ?? 0);
    const found = left > 0 ? this.#rows.all(...parameters, left) : [];
    // How many fit is asked first: SQLite answers that from the row headers.
    let count = 0;
    let bytes = 0;
    for (const [, , , , , payloadBytes, headerBytes] of found) {
      const size = (payloadBytes ?? 0) + (headerBytes ?? 0);
      if (bytes + size > bytesLeft && (count > 0 || before !== undefined)) break;
      bytes += size;
      count++;
    }
    const content = count > 0 ? this.#content.get(...parameters, count)?.[0] : undefined;
    return {
      rows: count === found.length ? found : found.slice(0, count),
      content: content ?? NO_BYTES,
      bytes,
    };
  }
}

const NO_BYTES = new Uint8Array();
