import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";
import { noSuchRange, StoreError } from "../error.ts";
import { LogMap } from "../log_map.ts";
import type { Appended, NodeName, ReadLimits } from "../store.ts";
import type { Connection } from "./connection.ts";
import { LogTail } from "./log_tail.ts";
import { type StoredId, timeOfId } from "./message_id.ts";
import { type MessagePage, MessagePages } from "./message_pages.ts";
import { prepareRows } from "./row_statement.ts";

/** A message for a log that is already known. */
export interface LogEntry {
  readonly log: LogTail;
  readonly id: StoredId;
  readonly createdAtMs: number;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
}

/** Appended rows that share one statement: half the time of a statement per row; more rows gain nothing. */
const ROWS_PER_INSERT = 8;

/** Rows that recovery holds at a time. */
const RECOVERY_ROWS = 10_000;

const PLACES = "(?, ?, ?, ?, ?, ?, ?)";
const ROW_VALUES = 7;

// The runs of a log in the table, from the one that holds head ?2 up to head ?3, and of each the messages from head ?2 on.
// CROSS JOIN keeps the order of the loops: then both are walked by key, and the result comes in head order unsorted.
const FROM_RUNS = `FROM runs r CROSS JOIN messages m
  WHERE r.log = ?1 AND r.first_head < ?3
    AND r.first_head >= (SELECT max(first_head) FROM runs WHERE log = ?1 AND first_head <= ?2)
    AND m.sequence BETWEEN r.first_sequence + max(0, ?2 - r.first_head) AND r.first_sequence + r.count - 1
  ORDER BY r.first_head, m.sequence LIMIT ?4`;

const FROM_TAIL = "FROM messages m WHERE m.sequence BETWEEN ?1 AND ?2 ORDER BY m.sequence LIMIT ?3";

/** The tables `logs`, `messages`, `runs` and `deletes`. Writes happen within a transaction of the connection. */
export class LogTables {
  readonly #tails = new LogMap<LogTail>();
  /** Tails whose last run the table does not have as it is. */
  readonly #unwrittenTails = new Set<LogTail>();
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
  readonly #putRunsWritten: StatementSync;
  readonly #runsPage: MessagePages;
  readonly #tailPage: MessagePages;

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
         WHERE payload IS NOT NULL AND sequence IN (SELECT m.sequence ${FROM_RUNS})`,
    );
    this.#putRunsWritten = prepare("UPDATE runs_written SET last_sequence = ?");
    this.#runsPage = new MessagePages(db, FROM_RUNS);
    this.#tailPage = new MessagePages(db, FROM_TAIL);
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
    return Number(this.#erase.run(log.number, from, log.head + 1, to - from + 1).changes);
  }

  /** One page in parts; see Store.read. Of the last run it is memory that knows the length. */
  read(log: LogTail, from: number, limits: ReadLimits): MessagePage[] {
    const { firstHead, firstSequence, count } = log.run;
    const parts: MessagePage[] = [];
    if (from < firstHead) parts.push(this.#runsPage.read(limits, undefined, log.number, from, firstHead));
    const [before] = parts;
    // A part that a limit has cut off ends the page: what is in the last run must not overtake the rest.
    if (before === undefined || before.rows.at(-1)?.[0] === firstHead - 1) {
      const first = firstSequence + Math.max(0, from - firstHead);
      parts.push(this.#tailPage.read(limits, before, first, firstSequence + count - 1));
    }
    return parts;
  }

  /** Writes the rows that the transaction left in memory. To be called before its commit. */
  flush(): void {
    this.#writeRows();
  }

  /** Whether the next opening would have to read messages to know the ends of the logs. */
  get runsUnwritten(): boolean {
    return this.#unwrittenTails.size > 0;
  }

  /** Writes the last runs of all logs, in a transaction of its own: this bounds the work of opening. */
  writeRuns(): void {
    for (const log of this.#unwrittenTails) {
      this.#touch(log);
      this.#writeRun(log);
    }
    this.#putRunsWritten.run(this.#lastSequence);
  }

  /** After the commit: what was appended stays. */
  keep(): void {
    for (const log of this.#touched) {
      log.keep();
      if (log.written) this.#unwrittenTails.delete(log);
      else this.#unwrittenTails.add(log);
    }
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
         FROM logs l LEFT JOIN runs r ON r.log = l.log
           AND r.first_head = (SELECT max(first_head) FROM runs WHERE log = l.log)`,
    );
    const byNumber = new Map<number, LogTail>();
    for (const [number, topic, tenantId, blName, deviceId, firstHead, firstSequence, count] of logs.all()) {
      const origin = { tenantId, blName, deviceId };
      const run = firstHead === null ? undefined : { firstHead, firstSequence, count };
      const tail = new LogTail(topic, origin, number, run);
      this.#tails.set(topic, origin, tail);
      byNumber.set(number, tail);
    }
    const last = prepareRows<[number | null, number | null]>(
      db,
      "SELECT (SELECT max(log) FROM logs), (SELECT max(sequence) FROM messages)",
    );
    const [log, sequence] = last.get() ?? [null, null];
    this.#lastLog = this.#committedLog = log ?? 0;
    this.#lastSequence = this.#committedSequence = sequence ?? 0;
    this.#recoverRuns(db, byNumber);
  }

  /**
   * Finds the last runs that were in memory only. A run is written in the commit that ends it, so what a log has behind
   * its runs in the table is one run, or continues the last of them.
   */
  #recoverRuns(db: DatabaseSync, tails: ReadonlyMap<number, LogTail>): void {
    const behind = prepareRows<[sequence: number, log: number, head: number]>(
      db,
      "SELECT sequence, log, head FROM messages WHERE sequence > ? ORDER BY sequence LIMIT ?",
    );
    let [after] = prepareRows<[number]>(db, "SELECT last_sequence FROM runs_written").get() ?? [0];
    for (;;) {
      const rows = behind.all(after, RECOVERY_ROWS);
      for (const [sequence, number, head] of rows) {
        after = sequence;
        const tail = tails.get(number);
        if (tail === undefined || head > tail.head + 1) throw inconsistent(sequence);
        if (head <= tail.head) continue;
        if (!tail.continuesAt(sequence)) tail.startRun(sequence);
        tail.extendRun();
        this.#unwrittenTails.add(tail);
      }
      if (rows.length < RECOVERY_ROWS) return;
    }
  }
}

function inconsistent(sequence: number): StoreError {
  const wish = "restore the file from a copy, or from a peer";
  return new StoreError("broken", `Cannot open the store: message ${sequence} belongs to no log; ${wish}`);
}

type RawLog =
  | [...RawName, firstHead: number, firstSequence: number, count: number]
  | [...RawName, firstHead: null, firstSequence: null, count: null];
type RawName = [log: number, topic: string, tenantId: string, blName: string, deviceId: string];
