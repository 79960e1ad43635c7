import type { SQLInputValue, StatementSync } from "node:sqlite";
import { noSuchRange, type StoreError } from "../error.ts";
import { LogMap } from "../log_map.ts";
import { archiveName, noSuchLog } from "../replication.ts";
import type { Appended, NodeName, ReadLimits } from "../store.ts";
import type { Connection } from "./connection.ts";
import { loadLogs } from "./log_loading.ts";
import { LogTail } from "./log_tail.ts";
import { type StoredId, timeOfId } from "./message_id.ts";
import { type MessagePage, MessagePages } from "./message_pages.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";

/** A message for a log that is already known. */
export interface LogEntry {
  readonly log: LogTail;
  readonly id: StoredId;
  readonly createdAtMs: number;
  readonly payload: Uint8Array;
  readonly headers: Uint8Array;
}

/** A log that was set aside. */
export interface ArchivedTail {
  readonly name: string;
  readonly log: LogTail;
}

/** Appended rows that share one statement: half the time of a statement per row; more rows gain nothing. */
const ROWS_PER_INSERT = 8;

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
  /** Logs set aside, by name. */
  readonly #archived = new LogMap<Map<string, LogTail>>();
  /** Those set aside in the open transaction. */
  readonly #newlyArchived: ArchivedTail[] = [];
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
  readonly #setIncarnation: StatementSync;
  readonly #setArchived: StatementSync;
  readonly #insertRow: StatementSync;
  readonly #insertRows: StatementSync;
  readonly #putRun: StatementSync;
  readonly #putDelete: StatementSync;
  readonly #deletes: RowStatement<[from: number, to: number]>;
  readonly #erase: StatementSync;
  readonly #putRunsWritten: StatementSync;
  readonly #runsPage: MessagePages;
  readonly #tailPage: MessagePages;
  readonly #id: RowStatement<[StoredId]>;

  constructor({ db }: Connection) {
    const prepare = (sql: string) => db.prepare(sql);
    this.#insertLog = prepare("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, '')");
    this.#setIncarnation = prepare("UPDATE logs SET incarnation = ? WHERE log = ?");
    this.#setArchived = prepare("UPDATE logs SET archived_as = ? WHERE log = ?");
    this.#insertRow = prepare(`INSERT INTO messages VALUES ${PLACES}`);
    this.#insertRows = prepare(`INSERT INTO messages VALUES ${Array(ROWS_PER_INSERT).fill(PLACES).join()}`);
    this.#putRun = prepare(
      "INSERT INTO runs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = excluded.count",
    );
    this.#putDelete = prepare("INSERT INTO deletes VALUES (?, ?, ?) ON CONFLICT DO NOTHING");
    this.#deletes = prepareRows(
      db,
      "SELECT from_head, to_head FROM deletes WHERE log = ? AND from_head <= ? AND to_head >= ?",
    );
    this.#erase = prepare(
      `UPDATE messages SET payload = NULL, headers = NULL
         WHERE payload IS NOT NULL AND sequence IN (SELECT m.sequence ${FROM_RUNS})`,
    );
    this.#putRunsWritten = prepare("UPDATE runs_written SET last_sequence = ?");
    this.#runsPage = new MessagePages(db, FROM_RUNS);
    this.#tailPage = new MessagePages(db, FROM_TAIL);
    this.#id = prepareRows(db, "SELECT id FROM messages WHERE sequence = ?");
    const { inUse, archived, unwritten, lastLog, lastSequence } = loadLogs(db);
    for (const log of inUse) this.#tails.set(log.topic, log.origin, log);
    for (const { name, log } of archived) this.#archivedBy(log).set(name, log);
    for (const log of unwritten) this.#unwrittenTails.add(log);
    this.#lastLog = this.#committedLog = lastLog;
    this.#lastSequence = this.#committedSequence = lastSequence;
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

  /** Appends a message; one that is `deleted` without payload and headers. */
  append(entry: LogEntry, deleted = false): Appended {
    const { log } = entry;
    this.#makeStored(log);
    const sequence = ++this.#lastSequence;
    if (!log.continuesAt(sequence)) {
      this.#writeRun(log);
      log.startRun(sequence);
    }
    const headId = log.extendRun();
    const time = timeOfId(entry.id) === entry.createdAtMs ? null : entry.createdAtMs;
    const payload = deleted ? null : entry.payload;
    const headers = deleted || entry.headers.length === 0 ? null : entry.headers;
    this.#unwritten.push(sequence, log.number, headId, entry.id, time, payload, headers);
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
    return this.delete(log, from, to);
  }

  /** Deletes a range that may lie beyond the head, and remembers it. Says how many messages were newly marked. */
  delete(log: LogTail, from: number, to: number): number {
    this.#makeStored(log);
    this.#putDelete.run(log.number, from, to);
    return this.erase(log, from, Math.min(to, log.head));
  }

  /** Erases payload and headers of stored messages. Says how many were not erased before. */
  erase(log: LogTail, from: number, to: number): number {
    if (from > to) return 0;
    this.#touch(log);
    this.#writeRows();
    this.#writeRun(log); // the messages are found by the runs in the table
    return Number(this.#erase.run(log.number, from, log.head + 1, to - from + 1).changes);
  }

  /** The ranges that were deleted and have heads from `from` to `to`. */
  deleted(log: LogTail, from: number, to: number): readonly (readonly [from: number, to: number])[] {
    return log.number === 0 ? [] : this.#deletes.all(log.number, to, from);
  }

  /** The log is a copy of that incarnation from now on. */
  setIncarnation(log: LogTail, incarnation: string): void {
    if (log.incarnation === incarnation) return;
    this.#touch(log);
    log.incarnation = incarnation;
    if (log.number > 0) this.#setIncarnation.run(incarnation, log.number);
  }

  /** See Store.archive; gives the error instead of throwing it. */
  archive(topic: string, origin: NodeName): string | StoreError {
    const log = this.find(topic, origin);
    if (log === undefined || log.head === 0) return noSuchLog(topic);
    this.#touch(log);
    this.#writeRun(log);
    const byName = this.#archivedBy(log);
    const name = archiveName(log.incarnation, (taken) => byName.has(taken));
    this.#setArchived.run(name, log.number);
    const aside = log.setAside();
    byName.set(name, aside);
    this.#newlyArchived.push({ name, log: aside });
    return name;
  }

  /** The logs set aside. */
  *archived(): IterableIterator<ArchivedTail> {
    for (const byName of this.#archived.values()) for (const [name, log] of byName) yield { name, log };
  }

  /** A log set aside, if there is one with that name. */
  findArchived(topic: string, origin: NodeName, name: string): LogTail | undefined {
    return this.#archived.get(topic, origin)?.get(name);
  }

  /** The id of the message with a sequence. */
  idAt(sequence: number): StoredId | undefined {
    return this.#id.get(sequence)?.[0];
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

  /** Writes the rows that the transaction left in memory. To be called before its commit, and before a read within it. */
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
    this.#newlyArchived.length = 0;
    this.#committedLog = this.#lastLog;
    this.#committedSequence = this.#lastSequence;
  }

  /** After a rollback: memory is as before the transaction. */
  undo(): void {
    this.#unwritten = [];
    for (const log of this.#touched) log.undo();
    this.#touched.length = 0;
    for (const { name, log } of this.#newlyArchived) this.#archivedBy(log).delete(name);
    this.#newlyArchived.length = 0;
    this.#lastLog = this.#committedLog;
    this.#lastSequence = this.#committedSequence;
  }

  #touch(log: LogTail): void {
    if (log.touch()) this.#touched.push(log);
  }

  /** Gives the log its row in the table if it has none. */
  #makeStored(log: LogTail): void {
    this.#touch(log);
    if (log.number > 0) return;
    log.number = ++this.#lastLog;
    const { tenantId, blName, deviceId } = log.origin;
    this.#insertLog.run(log.number, log.topic, tenantId, blName, deviceId, log.incarnation);
  }

  #archivedBy({ topic, origin }: LogTail): Map<string, LogTail> {
    let byName = this.#archived.get(topic, origin);
    if (byName === undefined) this.#archived.set(topic, origin, byName = new Map());
    return byName;
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
}
