import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { noSuchRange, type StoreError } from "../error.ts";
import { LogMap } from "../log_map.ts";
import type { Appended, NodeName, ReadLimits } from "../store.ts";
import type { Connection } from "./connection.ts";
import { LogTail } from "./log_tail.ts";
import { type IdKind, type StoredId, timeOfId, timeOfUuid } from "./message_id.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";

/** A message for a log that is already known. */
export interface LogEntry {
  readonly log: LogTail;
  readonly id: StoredId;
  readonly createdAtMs: number;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
}

/** A message as it is read from the table. */
export interface MessageRow {
  readonly head: number;
  readonly sequence: number;
  readonly createdAtMs: number;
  readonly idKind: IdKind;
  readonly idBytes: number;
  /** Undefined: it was deleted. */
  readonly payloadBytes: number | undefined;
  /** Id, payload and headers, one after the other. */
  readonly content: Uint8Array;
}

/** Appended rows that share one statement: half the time of a statement per row; more rows gain nothing. */
const ROWS_PER_INSERT = 8;

const PLACES = "(?, ?, ?, ?, ?, ?, ?)";
const ROW_VALUES = 7;

// The runs of a log from the one that holds head ?2 on, and of each the messages from that head on. CROSS JOIN keeps
// the order of the loops: then both are walked by key, and the result comes in head order without sorting.
const FROM_PAGE = `FROM runs r CROSS JOIN messages m
  WHERE r.log = ?1
    AND r.first_head >= (SELECT max(first_head) FROM runs WHERE log = ?1 AND first_head <= ?2)
    AND m.sequence BETWEEN r.first_sequence + max(0, ?2 - r.first_head) AND r.first_sequence + r.count - 1
  ORDER BY r.first_head, m.sequence`;

/** The tables `logs`, `messages`, `runs` and `deletes`. Writes happen within a transaction of the connection. */
export class LogTables {
  readonly #tails = new LogMap<LogTail>();
  /** Tails changed in the open transaction. */
  readonly #touched: LogTail[] = [];
  /** Appended rows that no statement has written yet, value by value. */
  #unwritten: SQLInputValue[] = [];
  #lastLog = 0;
  #lastSequence = 0;
  #committedLog = 0;
  #committedSequence = 0;
  readonly #insertLog: StatementSync;
  readonly #insertRow: StatementSync;
  readonly #insertRows: StatementSync;
  readonly #putRun: StatementSync;
  readonly #putDelete: StatementSync;
  readonly #erase: StatementSync;
  readonly #page: RowStatement<RawRow>;
  readonly #size: RowStatement<[bytes: number, messages: number]>;
  readonly #sizes: RowStatement<[number]>;

  constructor({ db }: Connection) {
    const prepare = (sql: string) => db.prepare(sql);
    this.#insertLog = prepare("INSERT INTO logs VALUES (?, ?, ?, ?, ?)");
    this.#insertRow = prepare(`INSERT INTO messages VALUES ${PLACES}`);
    this.#insertRows = prepare(`INSERT INTO messages VALUES ${Array(ROWS_PER_INSERT).fill(PLACES).join()}`);
    this.#putRun = prepare(
      "INSERT INTO runs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = excluded.count",
    );
    this.#putDelete = prepare("INSERT INTO deletes VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
    this.#erase = prepare(
      `UPDATE messages SET payload = NULL, headers = NULL
         WHERE payload IS NOT NULL AND sequence IN (SELECT m.sequence ${FROM_PAGE} LIMIT ?3)`,
    );
    // One blob per row: its copy into JavaScript costs more than all the rest of the row.
    this.#page = prepareRows(
      db,
      `SELECT m.head, m.sequence, m.created_at_ms, typeof(m.id) = 'blob', octet_length(m.id), length(m.payload),
              CAST(m.id || coalesce(m.payload, x'') || coalesce(m.headers, x'') AS BLOB) ${FROM_PAGE} LIMIT ?3`,
    );
    const sizes =
      `SELECT coalesce(length(m.payload), 0) + coalesce(length(m.headers), 0) AS bytes ${FROM_PAGE} LIMIT ?3`;
    this.#sizes = prepareRows(db, sizes);
    this.#size = prepareRows(db, `SELECT total(bytes), count(*) FROM (${sizes})`);
    this.#load(db);
  }

  /** The log's tail in memory; a new one until the first message makes it a log. */
  tail(topic: string, origin: NodeName): LogTail {
    let tail = this.#tails.get(topic, origin);
    if (tail === undefined) {
      tail = new LogTail(topic, origin);
      this.#tails.set(topic, origin, tail);
    }
    return tail;
  }

  /** The tail of a log that may not exist. */
  find(topic: string, origin: NodeName): LogTail | undefined {
    return this.#tails.get(topic, origin);
  }

  /** The tails of all logs with at least one message. */
  *tails(): IterableIterator<LogTail> {
    for (const tail of this.#tails.values()) if (tail.head > 0) yield tail;
  }

  append(entry: LogEntry): Appended {
    const { log } = entry;
    this.#touch(log);
    if (log.number === 0) {
      log.number = ++this.#lastLog;
      const { tenantId, blName, deviceId } = log.origin;
      this.#insertLog.run(log.number, log.topic, tenantId, blName, deviceId);
    }
    const sequence = ++this.#lastSequence;
    if (!log.continuesAt(sequence)) {
      this.#writeRun(log);
      log.startRun(sequence);
    }
    const headId = log.extendRun();
    const time = timeOfId(entry.id) === entry.createdAtMs ? null : entry.createdAtMs;
    const headers = entry.headers.length === 0 ? null : entry.headers;
    this.#unwritten.push(sequence, log.number, headId, entry.id, time, entry.payload, headers);
    if (this.#unwritten.length === ROWS_PER_INSERT * ROW_VALUES) {
      this.#insertRows.run(...this.#unwritten);
      this.#unwritten = [];
    }
    return { headId, sequence };
  }

  /** Says how many messages were newly marked, or why nothing was changed. */
  deleteRange(log: LogTail | undefined, from: number, to: number): number | StoreError {
    if (log === undefined || from < 1 || from > to || to > log.head) {
      return noSuchRange(from, to, log?.head ?? 0);
    }
    this.#touch(log);
    this.#writeRows();
    this.#writeRun(log); // the messages are found by the runs in the table
    this.#putDelete.run(log.number, from, to);
    return Number(this.#erase.run(log.number, from, to - from + 1).changes);
  }

  /** The rows of one page; see Store.read. */
  read(log: LogTail, from: number, limits: ReadLimits): MessageRow[] {
    // Rows come fastest all at once, so how many fit is asked first: SQLite answers that from the row headers.
    const [bytes, messages] = this.#size.get(log.number, from, limits.messages) ?? [0, 0];
    const count = bytes <= limits.bytes ? messages : this.#countFitting(log, from, limits);
    if (count === 0) return [];
    const rows = this.#page.all(log.number, from, count);
    return rows.map(([head, sequence, time, isUuid, idBytes, payloadBytes, content]) => ({
      head,
      sequence,
      createdAtMs: time ?? timeOfUuid(content),
      idKind: isUuid === 1 ? "uuid" : "text",
      idBytes,
      payloadBytes: payloadBytes ?? undefined,
      content,
    }));
  }

  /** How many messages stay within the limit of bytes, at least one. */
  #countFitting(log: LogTail, from: number, limits: ReadLimits): number {
    const sizes = this.#sizes.all(log.number, from, limits.messages);
    let count = 0;
    let bytes = 0;
    for (const [size] of sizes) {
      bytes += size;
      if (bytes > limits.bytes && count > 0) break;
      count++;
    }
    return count;
  }

  /** Writes what the transaction left in memory: rows, and a run per touched log. To be called before its commit. */
  flush(): void {
    this.#writeRows();
    for (const log of this.#touched) this.#writeRun(log);
  }

  /** After the commit: what was appended stays. */
  keep(): void {
    for (const log of this.#touched) log.keep();
    this.#touched.length = 0;
    this.#committedLog = this.#lastLog;
    this.#committedSequence = this.#lastSequence;
  }

  /** After a rollback: memory is as before the transaction. */
  undo(): void {
    this.#unwritten = [];
    for (const log of this.#touched) log.undo();
    this.#touched.length = 0;
    this.#lastLog = this.#committedLog;
    this.#lastSequence = this.#committedSequence;
  }

  #touch(log: LogTail): void {
    if (log.touch()) this.#touched.push(log);
  }

  #writeRows(): void {
    const values = this.#unwritten;
    this.#unwritten = [];
    for (let at = 0; at < values.length; at += ROW_VALUES) {
      this.#insertRow.run(...values.slice(at, at + ROW_VALUES));
    }
  }

  #writeRun(log: LogTail): void {
    const run = log.unwrittenRun();
    if (run !== undefined) this.#putRun.run(log.number, run.firstHead, run.firstSequence, run.count);
  }

  #load(db: DatabaseSync): void {
    const logs = prepareRows<RawLog>(
      db,
      `SELECT l.log, l.topic, l.tenant_id, l.bl_name, l.device_id, r.first_head, r.first_sequence, r.count
         FROM logs l JOIN runs r ON r.log = l.log
           AND r.first_head = (SELECT max(first_head) FROM runs WHERE log = l.log)`,
    );
    for (const [number, topic, tenantId, blName, deviceId, firstHead, firstSequence, count] of logs.all()) {
      const origin = { tenantId, blName, deviceId };
      const run = { firstHead, firstSequence, count };
      this.#tails.set(topic, origin, new LogTail(topic, origin, number, run));
    }
    const last = prepareRows<[number | null, number | null]>(
      db,
      "SELECT (SELECT max(log) FROM logs), (SELECT max(sequence) FROM messages)",
    );
    const [log, sequence] = last.get() ?? [null, null];
    this.#lastLog = this.#committedLog = log ?? 0;
    this.#lastSequence = this.#committedSequence = sequence ?? 0;
  }
}

type RawRow = [
  head: number,
  sequence: number,
  createdAtMs: number | null,
  isUuid: number,
  idBytes: number,
  payloadBytes: number | null,
  content: Uint8Array,
];
type RawLog = [number, string, string, string, string, number, number, number];
