import type { DatabaseSync } from "node:sqlite";
import { StoreError } from "../error.ts";

/** "mbu4" in the file's header: says that the file is ours. */
export const APPLICATION_ID = 0x6d627534;

/**
 * What each schema version adds; the version is the position, counted from 1. Never edited after a release.
 *
 * `chunks` is the node's log of logs, in the order of arrival, and has no second index. A row holds messages of one log
 * that arrived one after another in one commit, as `message_codec.ts` has them; a row for each message would cost more
 * than the message. `runs` says which stretches of sequences belong to one log in a row, so that a log that is written
 * alone costs one row per run instead of an index entry per chunk. No chunk belongs to two runs.
 *
 * The last run of a log is written when it ends, and otherwise now and then: a commit of one message would write twice
 * as many pages with it. The messages up to `runs_written.last_sequence` are in `runs`; the chunks behind it say which
 * log and heads they have.
 *
 * What is remembered of keys and producers has a `number` from one count for each table, in the order in which it was
 * stored, and is forgotten from the lowest on: so the count of what is remembered is known without counting. Rows of
 * producers and epochs that are gone stay until it is their turn; so no number of a producer is used twice. A producer
 * is known by its owner and its id. The last sequence of a producer is that of its last run, unless `last_sequence` is
 * above it. A log that was set aside has its keys no more, because the log in use has another number.
 *
 * A log that was set aside keeps its number, messages, runs and deletes; its row in `logs` has a name in `archived_as`,
 * which is '' for the log in use. A log may have a row before it has messages: `deletes` may name it, which has ranges that
 * reach beyond what is stored, with the incarnation of the log of the marker, '' where nobody said it.
 *
 * `openings` has a row for each opening of the store that appended a message, written in the transaction of the first
 * one; `after_sequence` is the last sequence before. Their numbers follow one another.
 */
export const MIGRATIONS: readonly (readonly string[])[] = [[
  "CREATE TABLE storage (incarnation TEXT NOT NULL)", // one row, made after the migration
  `CREATE TABLE openings (
    number INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    after_sequence INTEGER NOT NULL
  ) STRICT`,
  `CREATE TABLE logs (
    log INTEGER PRIMARY KEY,
    topic TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    bl_name TEXT NOT NULL,
    device_id TEXT NOT NULL,
    incarnation TEXT NOT NULL,
    archived_as TEXT NOT NULL,
    UNIQUE (topic, tenant_id, bl_name, device_id, archived_as)
  )`,
  `CREATE TABLE chunks (
    first_sequence INTEGER PRIMARY KEY,
    log INTEGER NOT NULL,
    first_head INTEGER NOT NULL,
    count INTEGER NOT NULL,
    messages BLOB NOT NULL
  ) STRICT`,
  `CREATE TABLE runs (
    log INTEGER NOT NULL,
    first_head INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    count INTEGER NOT NULL,
    PRIMARY KEY (log, first_head)
  ) WITHOUT ROWID`,
  "CREATE TABLE runs_written (last_sequence INTEGER NOT NULL)",
  "INSERT INTO runs_written VALUES (0)",
  `CREATE TABLE deletes (
    log INTEGER NOT NULL,
    from_head INTEGER NOT NULL,
    to_head INTEGER NOT NULL,
    incarnation TEXT NOT NULL,
    PRIMARY KEY (log, from_head, to_head, incarnation)
  ) WITHOUT ROWID`,
  `CREATE TABLE producers (
    producer INTEGER PRIMARY KEY,
    owner TEXT NOT NULL,
    id TEXT NOT NULL,
    epoch INTEGER NOT NULL,
    last_sequence INTEGER NOT NULL,
    used_ms INTEGER NOT NULL,
    UNIQUE (owner, id)
  ) STRICT`,
  "CREATE INDEX producers_by_use ON producers (used_ms)",
  "CREATE INDEX producers_of_owner_by_use ON producers (owner, used_ms)",
  `CREATE TABLE producer_runs (
    number INTEGER PRIMARY KEY,
    producer INTEGER NOT NULL,
    first_sequence INTEGER NOT NULL,
    count INTEGER NOT NULL,
    first_stored INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (producer, first_sequence)
  ) STRICT`,
  `CREATE TABLE idempotency_keys (
    number INTEGER PRIMARY KEY,
    log INTEGER NOT NULL,
    key TEXT NOT NULL,
    stored INTEGER NOT NULL,
    at_ms INTEGER NOT NULL,
    UNIQUE (log, key)
  ) STRICT`,
  `CREATE TABLE queues (
    queue INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    last_sequence INTEGER NOT NULL
  )`,
  `CREATE TABLE fifo (
    queue INTEGER NOT NULL,
    sequence INTEGER NOT NULL,
    id ANY NOT NULL,
    topic TEXT NOT NULL,
    source_tenant_id TEXT NOT NULL,
    source_bl_name TEXT NOT NULL,
    source_device_id TEXT NOT NULL,
    target_tenant_id TEXT NOT NULL,
    target_bl_name TEXT NOT NULL,
    target_device_id TEXT NOT NULL,
    created_at_ms INTEGER NOT NULL,
    attempts INTEGER NOT NULL,
    payload BLOB NOT NULL,
    headers BLOB,
    PRIMARY KEY (queue, sequence)
  ) STRICT`,
  `CREATE TABLE peer_sync_states (
    peer TEXT NOT NULL,
    topic TEXT NOT NULL,
    tenant_id TEXT NOT NULL,
    bl_name TEXT NOT NULL,
    device_id TEXT NOT NULL,
    local_head INTEGER NOT NULL,
    remote_head INTEGER NOT NULL,
    last_synced_head INTEGER NOT NULL,
    last_attempt_at_ms INTEGER NOT NULL,
    last_success_at_ms INTEGER NOT NULL,
    consecutive_failures INTEGER NOT NULL,
    last_error TEXT NOT NULL,
    local_incarnation TEXT NOT NULL,
    remote_incarnation TEXT NOT NULL,
    fork TEXT NOT NULL,
    PRIMARY KEY (peer, topic, tenant_id, bl_name, device_id)
  ) WITHOUT ROWID`,
  `CREATE TABLE peer_cursors (
    peer TEXT PRIMARY KEY,
    incarnation TEXT NOT NULL,
    sequence INTEGER NOT NULL,
    opening TEXT NOT NULL
  ) WITHOUT ROWID`,
]];

/**
 * Brings the open database to the newest version in one transaction, and says whether anything had to be done. The
 * caller holds the lock that keeps other processes out, since two could have found the same empty file.
 */
export function migrate(
  db: DatabaseSync,
  path: string,
  migrations: readonly (readonly string[])[] = MIGRATIONS,
): boolean {
  const version = readPragma(db, "user_version");
  if (version > migrations.length) throw newerSchema(path, version, migrations.length);
  if (version === migrations.length) return false;
  const statements = [
    "BEGIN EXCLUSIVE",
    ...migrations.slice(version).flat(),
    `PRAGMA application_id = ${APPLICATION_ID}`,
    `PRAGMA user_version = ${migrations.length}`,
    "COMMIT",
  ];
  try {
    // Prepared one by one, because an error of `exec` does not carry SQLite's code.
    for (const statement of statements) db.prepare(statement).all();
  } catch (error) {
    if (db.isTransaction) db.exec("ROLLBACK");
    throw error;
  }
  return true;
}

export function newerSchema(path: string, version: number, known: number): StoreError {
  return new StoreError(
    "newer_schema",
    `Cannot open "${path}": its schema version is ${version}, this msgbusd knows ${known}; start a newer msgbusd`,
  );
}

function readPragma(db: DatabaseSync, name: string): number {
  const value = db.prepare(`PRAGMA ${name}`).get()?.[name];
  return typeof value === "number" ? value : 0;
}
