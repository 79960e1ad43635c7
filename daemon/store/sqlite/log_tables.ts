import { noSuchRange, type StoreError } from "../error.ts";
import { isOtherIncarnation } from "../incarnation.ts";
import { LogMap } from "../log_map.ts";
import { archiveName, noSuchLog } from "../replication.ts";
import type { Appended, Extent, NodeName, Opening, ReadLimits } from "../store.ts";
import type { Chunk } from "./chunk.ts";
import { ChunkTable, type Scan } from "./chunk_table.ts";
import type { Connection } from "./connection.ts";
import { loadLogs } from "./log_loading.ts";
import { LogTail } from "./log_tail.ts";
import type { MessageLookup } from "./message_lookup.ts";
import { OpeningTable } from "./opening_table.ts";
import type { Page, Wanted } from "./page.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";
import { WriteStatement } from "./write_statement.ts";

/** A log that was set aside. */
export interface ArchivedTail {
  readonly name: string;
  readonly log: LogTail;
}

const NO_TAILS: readonly LogTail[] = [];

/** The tables `logs`, `chunks`, `runs`, `deletes` and `openings`. Writes happen within a transaction of the connection. */
export class LogTables {
  readonly #tails = new LogMap<LogTail>();
  /** Those of logs in use, by the key of `logs`. */
  readonly #byNumber = new Map<number, LogTail>();
  /** Logs set aside, by name. */
  readonly #archived = new LogMap<Map<string, LogTail>>();
  /** Those set aside in the open transaction. */
  readonly #newlyArchived: ArchivedTail[] = [];
  /** Tails whose last run the table does not have as it is. */
  readonly #unwrittenTails = new Set<LogTail>();
  /** Tails changed in the open transaction. */
  readonly #touched: LogTail[] = [];
  readonly #chunks: ChunkTable;
  readonly #openings: OpeningTable;
  #lastLog = 0;
  #lastSequence = 0;
  #committedLog = 0;
  #committedSequence = 0;
  readonly #insertLog: WriteStatement;
  readonly #setIncarnation: WriteStatement;
  readonly #setArchived: WriteStatement;
  readonly #putRun: WriteStatement;
  readonly #putDelete: WriteStatement;
  readonly #forgetDeletes: WriteStatement;
  readonly #forgetDeleted: WriteStatement;
  readonly #deletes: RowStatement<[from: number, to: number]>;
  readonly #putRunsWritten: WriteStatement;

  /** `opening` is the id of the one that begins. */
  constructor(connection: Connection, opening: string) {
    const { db } = connection;
    const prepare = (sql: string) => new WriteStatement(db, sql);
    this.#insertLog = prepare("INSERT INTO logs VALUES (?, ?, ?, ?, ?, ?, '')");
    this.#setIncarnation = prepare("UPDATE logs SET incarnation = ? WHERE log = ?");
    this.#setArchived = prepare("UPDATE logs SET archived_as = ? WHERE log = ?");
    this.#putRun = prepare(
      "INSERT INTO runs VALUES (?, ?, ?, ?) ON CONFLICT DO UPDATE SET count = excluded.count",
    );
    this.#putDelete = prepare("INSERT INTO deletes VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING");
    this.#forgetDeletes = prepare(
      `DELETE FROM deletes WHERE log IN (
        SELECT log FROM logs WHERE tenant_id = ? AND bl_name = ? AND device_id = ? AND archived_as = '')`,
    );
    this.#forgetDeleted = prepare(
      `DELETE FROM deletes WHERE log = ? AND from_head <= ? AND to_head <= ?
        AND (incarnation = '' OR ? = '' OR incarnation = ?)`,
    );
    this.#deletes = prepareRows(
      db,
      `SELECT from_head, to_head FROM deletes WHERE log = ? AND from_head <= ? AND to_head >= ?
        AND (incarnation = '' OR ?4 = '' OR incarnation = ?4)`,
    );
    this.#putRunsWritten = prepare("UPDATE runs_written SET last_sequence = ?");
    this.#chunks = new ChunkTable(connection);
    const { inUse, archived, unwritten, lastLog, lastSequence } = loadLogs(db);
    for (const log of inUse) {
      this.#tails.set(log.topic, log.origin, log);
      this.#byNumber.set(log.number, log);
    }
    for (const { name, log } of archived) this.#archivedBy(log).set(name, log);
    for (const log of unwritten) this.#unwrittenTails.add(log);
    this.#lastLog = this.#committedLog = lastLog;
    this.#lastSequence = this.#committedSequence = lastSequence;
    this.#openings = new OpeningTable(connection, opening, lastSequence);
  }

  /** The one that began when the file was opened. */
  get opening(): Opening {
    return this.#openings.opening;
  }

  /** See Store.lastOf; not to be asked within a transaction. */
  lastOf(opening: string): number | undefined {
    return this.#openings.lastOf(opening, this.#lastSequence);
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

  /** Gives the log its row in the table if it has none. */
  makeStored(log: LogTail): void {
    this.#touch(log);
    if (log.number > 0) return;
    log.number = ++this.#lastLog;
    this.#byNumber.set(log.number, log);
    const { tenantId, blName, deviceId } = log.origin;
    this.#insertLog.run(log.number, log.topic, tenantId, blName, deviceId, log.incarnation);
  }

  /** What the next message that is appended gets. */
  get nextSequence(): number {
    return this.#lastSequence + 1;
  }

  /**
   * Appends messages; says where the first one stands, behind which the others follow. Their bytes must stay as they are
   * until the transaction has ended.
   */
  append(log: LogTail, chunk: Chunk): Appended {
    this.makeStored(log);
    // Also after a rollback, which took the record with it.
    if (this.#lastSequence === this.opening.after) this.#openings.record();
    const sequence = this.#lastSequence + 1;
    this.#lastSequence += chunk.count;
    if (!log.continuesAt(sequence)) {
      this.#writeRun(log);
      log.startRun(sequence);
    }
    const headId = log.extendRun(chunk.count);
    this.#chunks.append(log.number, headId, sequence, chunk);
    return { headId, sequence };
  }

  /** Says how many messages were newly marked, or why nothing was changed. */
  deleteRange(log: LogTail | undefined, from: number, to: number): number | StoreError {
    if (log === undefined || from < 1 || from > to || to > log.head) {
      return noSuchRange(from, to, log?.head ?? 0);
    }
    return this.erase(log, from, to);
  }

  /**
   * Erases stored messages from `eraseFrom` on, and remembers the range where it lies beyond the head. Says how many were
   * newly marked: none of a log of another incarnation.
   */
  delete(log: LogTail, from: number, to: number, eraseFrom: number, incarnation: string): number {
    if (to > log.head) {
      this.makeStored(log);
      this.#putDelete.run(log.number, from, to, incarnation);
    }
    if (isOtherIncarnation(log.incarnation, incarnation)) return 0;
    return this.erase(log, eraseFrom, Math.min(to, log.head));
  }

  /** Erases payload and headers of stored messages. Says how many were not erased before. */
  erase(log: LogTail, from: number, to: number): number {
    this.#chunks.flush();
    return this.#chunks.erase(log, from, to);
  }

  /** See Store.extent. */
  extent(log: LogTail, from: number, to: number, bytes: number): Extent {
    const stored = Math.min(to, log.head);
    const extent = this.#chunks.extent(log, from, stored, bytes);
    return extent.to === stored ? { ...extent, to } : extent;
  }

  /** The remembered ranges that have heads from `from` to `to`, of messages of that incarnation. */
  deleted(
    log: LogTail,
    from: number,
    to: number,
    incarnation: string,
  ): readonly (readonly [from: number, to: number])[] {
    return log.number === 0 ? [] : this.#deletes.all(log.number, to, from, incarnation);
  }

  /** Forgets the ranges that have all their messages: there is nothing to come for them. Those of another incarnation stay. */
  forgetDeleted(log: LogTail, incarnation: string): void {
    this.#forgetDeleted.run(log.number, log.head, log.head, incarnation, incarnation);
  }

  /** The log is a copy of that incarnation from now on. */
  setIncarnation(log: LogTail, incarnation: string): void {
    if (log.incarnation === incarnation) return;
    this.#touch(log);
    log.incarnation = incarnation;
    if (log.number > 0) this.#setIncarnation.run(incarnation, log.number);
  }

  /** See Store.archive; gives the error instead of throwing it. */
  archive(topic: string, origin: NodeName, forgetDeletes: boolean): string | StoreError {
    const log = this.find(topic, origin);
    if (log === undefined || log.head === 0) return noSuchLog(topic);
    this.#touch(log);
    this.#writeRun(log);
    const byName = this.#archivedBy(log);
    const name = archiveName(log.incarnation, (taken) => byName.has(taken));
    this.#setArchived.run(name, log.number);
    this.#byNumber.delete(log.number);
    const aside = log.setAside();
    byName.set(name, aside);
    this.#newlyArchived.push({ name, log: aside });
    if (forgetDeletes) this.#forgetDeletes.run(origin.tenantId, origin.blName, origin.deviceId);
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

  /** The logs of a log's topic and origin that were set aside. */
  asideOf({ topic, origin }: LogTail): readonly LogTail[] {
    const byName = this.#archived.get(topic, origin);
    return byName === undefined ? NO_TAILS : [...byName.values()];
  }

  /** Finds messages by their sequences; to be used after `flush`, and not after an erasure. */
  lookup(): MessageLookup {
    return this.#chunks.lookup();
  }

  /** Whether a number is that of a log, or of one with its name that was set aside. */
  isOf(number: number, log: LogTail): boolean {
    if (number === log.number) return true;
    return this.asideOf(log).some((archived) => archived.number === number);
  }

  /** See Store.read. */
  read(log: LogTail, from: number, limits: ReadLimits): Page {
    return this.#chunks.read(log, from, limits);
  }

  /** See Store.readAll; `inLog` and `wanted` are the filter, each left out where it accepts everything. */
  readAll(
    from: number,
    limits: ReadLimits,
    inLog: ((log: LogTail) => boolean) | undefined,
    wanted: Wanted | undefined,
  ): Scan {
    const accepted = (number: number) => {
      const log = this.#byNumber.get(number);
      return log !== undefined && inLog?.(log) !== false;
    };
    return this.#chunks.scan(from, this.#lastSequence, accepted, wanted, limits);
  }

  /** The log in use with that key of `logs`. */
  byNumber(number: number): LogTail | undefined {
    return this.#byNumber.get(number);
  }

  /** Writes what the transaction left in memory. To be called before its commit, and before a read within it. */
  flush(): void {
    this.#chunks.flush();
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
    this.#chunks.undo();
    for (const log of this.#touched) {
      this.#byNumber.delete(log.number);
      log.undo();
      if (log.number > 0) this.#byNumber.set(log.number, log);
    }
    this.#touched.length = 0;
    for (const { name, log } of this.#newlyArchived) this.#archivedBy(log).delete(name);
    this.#newlyArchived.length = 0;
    this.#lastLog = this.#committedLog;
    this.#lastSequence = this.#committedSequence;
  }

  #touch(log: LogTail): void {
    if (log.touch()) this.#touched.push(log);
  }

  #archivedBy({ topic, origin }: LogTail): Map<string, LogTail> {
    let byName = this.#archived.get(topic, origin);
    if (byName === undefined) this.#archived.set(topic, origin, byName = new Map());
    return byName;
  }

  #writeRun(log: LogTail): void {
    const run = log.unwrittenRun();
    if (run !== undefined) this.#putRun.run(log.number, run.firstHead, run.firstSequence, run.count);
  }
}
