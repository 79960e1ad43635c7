import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "../error.ts";
import { LogTail } from "./log_tail.ts";
import { prepareRows } from "./row_statement.ts";

/** The ends of all logs as a file has them. */
export interface LoadedLogs {
  readonly inUse: readonly LogTail[];
  readonly archived: readonly { readonly name: string; readonly log: LogTail }[];
  /** Those whose last run the table does not have as it is. */
  readonly unwritten: readonly LogTail[];
  /** The highest number of a log, and of a message; 0 when there is none. */
  readonly lastLog: number;
  readonly lastSequence: number;
}

/** Rows that recovery holds at a time. */
const RECOVERY_ROWS = 10_000;

/**
 * Throws "broken" when messages belong to no log, or the last ones that logs have are not there: the next ones would get
 * their sequences. Throws SQLite's errors.
 */
export function loadLogs(db: DatabaseSync): LoadedLogs {
  const rows = prepareRows<RawLog>(
    db,
    `SELECT l.log, l.topic, l.tenant_id, l.bl_name, l.device_id, l.incarnation, l.archived_as, r.first_head,
            r.first_sequence, r.count
       FROM logs l LEFT JOIN runs r ON r.log = l.log
         AND r.first_head = (SELECT max(first_head) FROM runs WHERE log = l.log)`,
  );
  const inUse: LogTail[] = [];
  const archived: { name: string; log: LogTail }[] = [];
  const byNumber = new Map<number, LogTail>();
  for (const [number, topic, tenantId, blName, deviceId, incarnation, archivedAs, ...last] of rows.all()) {
    const [firstHead, firstSequence, count] = last;
    const run = firstHead === null ? undefined : { firstHead, firstSequence, count };
    const log = new LogTail(topic, { tenantId, blName, deviceId }, { number, incarnation, run });
    if (archivedAs === "") inUse.push(log);
    else archived.push({ name: archivedAs, log });
    byNumber.set(number, log);
  }
  const last = prepareRows<[lastLog: number, lastSequence: number, runsWritten: number]>(
    db,
    `SELECT ifnull((SELECT max(log) FROM logs), 0),
            ifnull((SELECT first_sequence + count - 1 FROM chunks ORDER BY first_sequence DESC LIMIT 1), 0),
            (SELECT last_sequence FROM runs_written)`,
  );
  const [lastLog, lastSequence, runsWritten] = last.get() ?? [0, 0, 0];
  const unwritten = recoverRuns(db, byNumber, runsWritten);
  let known = runsWritten;
  for (const { sequence } of byNumber.values()) known = Math.max(known, sequence);
  if (known > lastSequence) throw inconsistent(`message ${known} is not there`);
  return { inUse, archived, unwritten, lastLog, lastSequence };
}

/**
 * Finds the last runs that were in memory only, and says whose they are. A run is written in the commit that ends it,
 * so what a log has behind its runs in the table is one run, or continues the last of them.
 */
function recoverRuns(
  db: DatabaseSync,
  logs: ReadonlyMap<number, LogTail>,
  runsWritten: number,
): LogTail[] {
  const behind = prepareRows<[firstSequence: number, log: number, firstHead: number, count: number]>(
    db,
    `SELECT first_sequence, log, first_head, count FROM chunks WHERE first_sequence > ?
       ORDER BY first_sequence LIMIT ?`,
  );
  const unwritten = new Set<LogTail>();
  for (let after = runsWritten;;) {
    const rows = behind.all(after, RECOVERY_ROWS);
    for (const [firstSequence, number, firstHead, count] of rows) {
      after = firstSequence;
      const log = logs.get(number);
      if (log === undefined || firstHead > log.head + 1) {
        throw inconsistent(`message ${firstSequence} belongs to no log`);
      }
      if (firstHead <= log.head) continue;
      if (!log.continuesAt(firstSequence)) log.startRun(firstSequence);
      log.extendRun(count);
      unwritten.add(log);
    }
    if (rows.length < RECOVERY_ROWS) return [...unwritten];
  }
}

function inconsistent(state: string): StoreError {
  const wish = "restore the file from a copy, or from a peer";
  return new StoreError("broken", `Cannot open the store: ${state}; ${wish}`);
}

type RawLog =
  | [...RawName, firstHead: number, firstSequence: number, count: number]
  | [...RawName, firstHead: null, firstSequence: null, count: null];
type RawName = [
  log: number,
  topic: string,
  tenantId: string,
  blName: string,
  deviceId: string,
  incarnation: string,
  archivedAs: string,
];
