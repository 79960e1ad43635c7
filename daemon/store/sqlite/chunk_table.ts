import type { SQLInputValue } from "node:sqlite";
import { DamagedMessagesError, MessageReader, MessageWriter } from "../message_codec.ts";
import type { Extent, ReadLimits } from "../store.ts";
import { type Chunk, fits } from "./chunk.ts";
import { ChunkRows, rowsFor } from "./chunk_rows.ts";
import type { Connection } from "./connection.ts";
import { SCANNED_BYTES, SCANNED_CHUNKS, SCANNED_MESSAGES } from "./limits.ts";
import { joined } from "../joined.ts";
import type { LogTail } from "./log_tail.ts";
import { MissingMessagesError } from "./missing_messages_error.ts";
import { MessageLookup } from "./message_lookup.ts";
import { type ChunkRow, Page, type Wanted } from "./page.ts";
import { WriteStatement } from "./write_statement.ts";

/** Appended chunks that share one statement: half the time of a statement per row; more rows gain nothing. */
const ROWS_PER_INSERT = 8;

const PLACES = "(?, ?, ?, ?, ?)";
const ROW_VALUES = 5;

/** Rows of a log that are looked at first; twice as many each further time. */
const FIRST_ROWS = 16;
const MOST_ROWS = 1_024;

/** Chunks that a deletion looks at, at a time. */
const ERASED_ROWS = 32;

// The runs of a log in the table, from the one that holds head ?2 up to head ?3, and of each the chunks from head ?2 on.
// CROSS JOIN keeps the order of the loops: then both are walked by key, and the result comes in head order unsorted.
const FROM_RUNS = `FROM runs r CROSS JOIN chunks c
  WHERE r.log = ?1 AND r.first_head < ?3
    AND r.first_head >= (SELECT max(first_head) FROM runs WHERE log = ?1 AND first_head <= ?2)
    AND c.first_sequence BETWEEN iif(r.first_head >= ?2, r.first_sequence,
        (SELECT max(first_sequence) FROM chunks WHERE first_sequence <= r.first_sequence + ?2 - r.first_head))
      AND r.first_sequence + r.count - 1
  ORDER BY r.first_head, c.first_sequence LIMIT ?4`;

// The chunks from the one that holds sequence ?1 up to sequence ?2.
const FROM_SEQUENCE = `FROM chunks c
  WHERE c.first_sequence BETWEEN (SELECT max(first_sequence) FROM chunks WHERE first_sequence <= ?1) AND ?2
  ORDER BY c.first_sequence LIMIT ?3`;

/** Messages that come before the chunk is written to the table. */
interface OpenChunk {
  readonly log: number;
  readonly firstHead: number;
  readonly firstSequence: number;
  count: number;
  contentBytes: number;
  readonly parts: Uint8Array[];
}

/** What {@link ChunkTable.scan} found. */
export interface Scan {
  readonly page: Page;
  /** See SequencePage. */
  readonly next: number;
}

/** The table `chunks`. Writes happen within a transaction of the connection. */
export class ChunkTable {
  /** What was appended last, and might go on. */
  #open: OpenChunk | undefined;
  /** Chunks that no statement has written yet, value by value. */
  #unwritten: SQLInputValue[] = [];
  readonly #insertRow: WriteStatement;
  readonly #insertRows: WriteStatement;
  readonly #rewrite: WriteStatement;
  readonly #ofRuns: ChunkRows;
  readonly #bySequence: ChunkRows;
  readonly #reader = new MessageReader(new Uint8Array());
  readonly #writer = new MessageWriter();

  constructor({ db }: Connection) {
    this.#insertRow = new WriteStatement(db, `INSERT INTO chunks VALUES ${PLACES}`);
    this.#insertRows = new WriteStatement(
      db,
      `INSERT INTO chunks VALUES ${Array(ROWS_PER_INSERT).fill(PLACES).join()}`,
    );
    this.#rewrite = new WriteStatement(db, "UPDATE chunks SET messages = ? WHERE first_sequence = ?");
    this.#ofRuns = new ChunkRows(db, FROM_RUNS);
    this.#bySequence = new ChunkRows(db, FROM_SEQUENCE);
  }

  /**
   * Appends messages whose bytes nobody changes before `flush`. Where they continue what was appended last, they become
   * one chunk with it, if that has room.
   */
  append(log: number, firstHead: number, firstSequence: number, chunk: Chunk): void {
    const open = this.#open; // what was appended last of all logs
    if (open?.log === log && fits(open, chunk.count, chunk.contentBytes)) {
      open.count += chunk.count;
      open.contentBytes += chunk.contentBytes;
      open.parts.push(chunk.messages);
      return;
    }
    this.#endChunk();
    const { count, contentBytes, messages } = chunk;
    this.#open = { log, firstHead, firstSequence, count, contentBytes, parts: [messages] };
  }

  /** Writes what was appended. To be called before a commit, and before a read or a deletion within a transaction. */
  flush(): void {
    this.#endChunk();
    const values = this.#unwritten;
    this.#unwritten = [];
    for (let at = 0; at < values.length; at += ROW_VALUES) {
      this.#insertRow.run(...values.slice(at, at + ROW_VALUES));
    }
  }

  /** Forgets what was appended and not written. */
  undo(): void {
    this.#open = undefined;
    this.#unwritten = [];
  }

  /** See Store.read. */
  read(log: LogTail, from: number, limits: ReadLimits): Page {
    const page = new Page(limits);
    for (let most = FIRST_ROWS; from <= log.head && !page.full; most = Math.min(most * 2, MOST_ROWS)) {
      const { select, parameters } = this.#selection(log, from);
      const found = select.rows(Math.min(most, page.left.messages), ...parameters);
      const skipped = from - requireAll(found, HEAD, from);
      const rows = found.slice(0, rowsFor(page.left, found, 0, skipped));
      const content = select.content(rows.length, ...parameters);
      from = takeAll(page, rows, content, skipped).head;
    }
    return page;
  }

  /** See Store.extent: it ends with a chunk, which is written anew whole. The messages are there. */
  extent(log: LogTail, from: number, to: number, most: number): Extent {
    let bytes = 0;
    for (let next = from; next <= to;) {
      const rows = this.#erasedRows(log, next, to);
      for (const [, firstHead, , count, bytesOfRow] of rows) {
        if (firstHead > to) break;
        if (next > from && bytes + bytesOfRow > most) return { to: next - 1, bytes };
        bytes += bytesOfRow;
        next = firstHead + count;
      }
    }
    return { to, bytes };
  }

  /** Erases payload and headers of messages that are there. Says how many were not deleted before. */
  erase(log: LogTail, from: number, to: number): number {
    let erased = 0;
    while (from <= to) {
      const rows = this.#erasedRows(log, from, to);
      for (const row of rows) {
        const [, firstHead, , count] = row;
        if (firstHead > to) break;
        erased += this.#eraseIn(row, from - firstHead, to - firstHead);
        from = firstHead + count;
      }
    }
    return erased;
  }

  /** Some of the rows with messages from one head to another, at least the first. */
  #erasedRows(log: LogTail, from: number, to: number): readonly ChunkRow[] {
    const { select, parameters } = this.#selection(log, from);
    const rows = select.rows(Math.min(ERASED_ROWS, to - from + 1), ...parameters);
    requireAll(rows, HEAD, from);
    return rows;
  }

  /** Finds messages by their sequences, those that are written. */
  lookup(): MessageLookup {
    return new MessageLookup(this.#bySequence);
  }

  /**
   * Messages of the logs whose numbers `inLog` accepts, from a sequence on and up to the last one there is. Looks at a
   * bounded number of chunks, and reads those of accepted logs only.
   */
  scan(
    from: number,
    last: number,
    inLog: (log: number) => boolean,
    wanted: Wanted | undefined,
    limits: ReadLimits,
  ): Scan {
    const page = new Page(limits, wanted);
    let next = from;
    let looked = 0;
    const scan = { messages: SCANNED_MESSAGES, bytes: SCANNED_BYTES };
    const goesOn = () => !page.full && scan.messages > 0 && scan.bytes > 0;
    for (let most = FIRST_ROWS; next <= last && looked < SCANNED_CHUNKS && goesOn(); most *= 2) {
      const found = this.#bySequence.rows(Math.min(most, MOST_ROWS), next, last);
      requireAll(found, SEQUENCE, next);
      looked += found.length;
      for (let at = 0; at < found.length && goesOn();) {
        const [, , firstSequence = 0, count = 0] = found[at] ?? [];
        const skipped = next - firstSequence;
        const rows = found.slice(at, at + rowsFor(least(page.left, scan), found, at, skipped, inLog));
        if (rows.length === 0) next = firstSequence + count;
        else {
          const content = this.#bySequence.content(rows.length, firstSequence, last);
          const { sequence } = takeAll(page, rows, content, skipped);
          scan.bytes -= content.length;
          scan.messages -= sequence - next;
          next = sequence;
        }
        at += Math.max(rows.length, 1);
      }
    }
    return { page, next };
  }

  #selection(log: LogTail, from: number): { select: ChunkRows; parameters: number[] } {
    const { firstHead, firstSequence, count } = log.run;
    // Of the last run it is memory that knows the length.
    return from < firstHead ? { select: this.#ofRuns, parameters: [log.number, from, firstHead] } : {
      select: this.#bySequence,
      parameters: [firstSequence + from - firstHead, firstSequence + count - 1],
    };
  }

  #contentOf(firstSequence: number): Uint8Array {
    return this.#bySequence.content(1, firstSequence, firstSequence);
  }

  /** Erases the messages of a chunk at places from `from` to `to`, which may lie outside. */
  #eraseIn([, , firstSequence, count]: ChunkRow, from: number, to: number): number {
    const [reader, writer] = [this.#reader, this.#writer];
    const content = this.#contentOf(firstSequence);
    reader.reset(content, 0, content.length);
    writer.clear();
    let erased = 0;
    for (let at = 0; at < count; at++) {
      this.#requireNext();
      const erases = at >= from && at <= to;
      if (erases && !reader.deleted) erased++;
      writer.copy(reader, erases);
    }
    if (reader.next()) throw new DamagedMessagesError(reader.start);
    if (erased > 0) this.#rewrite.run(writer.written, firstSequence);
    return erased;
  }

  #requireNext(): void {
    if (!this.#reader.next()) throw new DamagedMessagesError(this.#reader.end);
  }

  #endChunk(): void {
    const open = this.#open;
    if (open === undefined) return;
    this.#open = undefined;
    const { firstSequence, log, firstHead, count, parts } = open;
    this.#unwritten.push(firstSequence, log, firstHead, count, joined(parts));
    if (this.#unwritten.length === ROWS_PER_INSERT * ROW_VALUES) {
      this.#insertRows.run(...this.#unwritten);
      this.#unwritten = [];
    }
  }
}

/** Takes what fits of rows; says where to go on. */
function takeAll(
  page: Page,
  rows: readonly ChunkRow[],
  content: Uint8Array,
  skipped: number,
): { head: number; sequence: number } {
  let place = { head: 0, sequence: 0 };
  let at = 0;
  for (const row of rows) {
    const [, firstHead, firstSequence, , bytes] = row;
    const looked = page.take(row, content, at, skipped);
    place = { head: firstHead + looked, sequence: firstSequence + looked };
    if (page.full) break;
    at += bytes;
    skipped = 0;
  }
  return place;
}

function least(a: ReadLimits, b: ReadLimits): ReadLimits {
  return { messages: Math.min(a.messages, b.messages), bytes: Math.min(a.bytes, b.bytes) };
}

/** Where a ChunkRow has what its first message is counted by. */
const HEAD = 1;
const SEQUENCE = 2;

/**
 * Says where the first row begins. Throws MissingMessagesError unless `from` lies in it and each other row begins where
 * the one before it ends: else messages would be passed over in silence.
 */
function requireAll(rows: readonly ChunkRow[], place: typeof HEAD | typeof SEQUENCE, from: number): number {
  const [first] = rows;
  if (first === undefined || first[place] > from) throw new MissingMessagesError(from);
  let end = first[place];
  for (const row of rows) {
    if (row[place] !== end) throw new MissingMessagesError(end);
    end += row[3];
  }
  if (first[place] + first[3] <= from) throw new MissingMessagesError(from);
  return first[place];
}
