import { DatabaseSync, type StatementSync } from "node:sqlite";
import { StoreError } from "../error.ts";
import { inspectDatabaseFile, notWritable } from "./database_file.ts";
import { CHECKPOINT_BYTES, WAL_BYTES_KEPT } from "./limits.ts";
import { migrate } from "./schema.ts";

/** "full": an acknowledged write survives power loss. "normal": it survives a crash of the process only. */
export type Durability = "full" | "normal";

export interface ConnectionOptions {
  /** An absolute path. */
  readonly path: string;
  readonly durability: Durability;
  /** For tests of a full disk: pages of 4,096 bytes the file may have. */
  readonly maxPages?: number;
}

/** Older ones can corrupt a database when the write-ahead log is reset during a checkpoint. */
const OLDEST_SQLITE = "3.51.3";

const SQLITE_PERM = 3;
const SQLITE_BUSY = 5;
const SQLITE_LOCKED = 6;
const SQLITE_READONLY = 8;
const SQLITE_FULL = 13;
const SQLITE_CANTOPEN = 14;
const SQLITE_NOTADB = 26;

/** A page and a half for the ends of `messages` and `runs`, which every commit writes anew. */
const COMMIT_OVERHEAD_BYTES = 2 * 4096 + 2 * 24;

/** The one connection to the file: opening, transactions, checkpoints, and what SQLite's errors mean. */
export class Connection {
  readonly db: DatabaseSync;
  readonly #path: string;
  readonly #begin: StatementSync;
  readonly #commit: StatementSync;
  readonly #rollback: StatementSync;
  readonly #check: StatementSync;
  /** The write-ahead log, to be synced after each commit; undefined with durability "normal". */
  readonly #wal: Deno.FsFile | undefined;
  readonly #syncData: (file: Deno.FsFile) => void;
  #broken: StoreError | undefined;
  /** Estimated bytes in the write-ahead log since the last checkpoint. */
  #walBytes = 0;

  /**
   * Opens or creates the file and takes its lock. Throws StoreError; a file that is not ours stays untouched.
   * `syncData` makes what was written to a file durable.
   */
  constructor(
    { path, durability, maxPages }: ConnectionOptions,
    syncData: (file: Deno.FsFile) => void = (file) => file.syncDataSync(),
  ) {
    this.#path = path;
    this.#syncData = syncData;
    requireSqlite(sqliteVersion());
    inspectDatabaseFile(path);
    try {
      this.db = new DatabaseSync(path, { timeout: 0 });
    } catch (error) {
      throw notWritable(path, error);
    }
    try {
      // Before the first access: so there is no shared-memory file, and a second process finds the file locked.
      this.#pragma("locking_mode = EXCLUSIVE");
      this.#pragma("synchronous = FULL");
      this.#pragma("secure_delete = ON");
      if (maxPages !== undefined) this.#pragma(`max_page_count = ${maxPages}`);
      // A new file gets its ids while there is no write-ahead log yet, so that its header carries them from the
      // start and never only in the log.
      const migrated = migrate(this.db, path);
      this.#pragma("journal_mode = WAL");
      this.#pragma("wal_autocheckpoint = 0"); // its errors would be lost; see checkpoint()
      this.#pragma(`journal_size_limit = ${WAL_BYTES_KEPT}`);
      if (migrated) this.#pragma("wal_checkpoint(TRUNCATE)");
      // NORMAL syncs around checkpoints only; transaction() adds the sync that FULL has after each commit. SQLite
      // would call fsync there, which writes the file's times too; fdatasync is the same promise for less.
      this.#pragma("synchronous = NORMAL");
      this.#begin = this.db.prepare("BEGIN IMMEDIATE");
      this.#commit = this.db.prepare("COMMIT");
      this.#rollback = this.db.prepare("ROLLBACK");
      this.#check = this.db.prepare("SELECT log FROM logs LIMIT 1");
      this.#begin.run();
      this.#rollback.run();
      this.#wal = durability === "full" ? Deno.openSync(`${path}-wal`) : undefined;
    } catch (error) {
      this.db.close();
      throw this.#openError(error);
    }
  }

  /** Set after a failed write: nothing more may be written. */
  get broken(): StoreError | undefined {
    return this.#broken;
  }

  /** Runs `write` in one durable transaction. Throws StoreError ("full" or "broken") with nothing applied. */
  transaction(bytes: number, write: () => void): void {
    if (this.#broken !== undefined) throw this.#broken;
    try {
      this.#begin.run();
      write();
      this.#commit.run();
    } catch (error) {
      throw this.#writeFailed(error);
    }
    this.#syncWal();
    this.#walBytes += bytes + COMMIT_OVERHEAD_BYTES;
  }

  /** What a failed read means for its caller. */
  readFailed(error: unknown): StoreError {
    return error instanceof StoreError ? error : this.#brokenBy("read", error);
  }

  /** Whether it is time for a checkpoint. */
  get checkpointDue(): boolean {
    return this.#walBytes >= CHECKPOINT_BYTES && this.#broken === undefined;
  }

  /**
   * Copies the write-ahead log into the database. Not left to SQLite's automatic checkpoint, which hides errors: a
   * failed fsync there would lose acknowledged messages in silence. With `erase` the log is cut to nothing, so
   * that deleted payloads are gone from it too. A full disk is no error: the log just stays longer.
   */
  checkpoint(erase: boolean): void {
    if (this.#broken !== undefined) return;
    this.#walBytes = 0;
    try {
      this.#pragma(`wal_checkpoint(${erase ? "TRUNCATE" : "PASSIVE"})`);
    } catch (error) {
      if (primaryCode(error) !== SQLITE_FULL) this.#broken = this.#brokenBy("write", error);
    }
  }

  /** Throws when a real query fails or nothing may be written any more. */
  check(): void {
    if (this.#broken !== undefined) throw this.#broken;
    this.#check.all();
  }

  close(): void {
    this.checkpoint(true);
    this.db.close();
    // Not before: closing a file drops the locks that this process holds on it.
    this.#wal?.close();
  }

  #syncWal(): void {
    if (this.#wal === undefined) return;
    try {
      this.#syncData(this.#wal);
    } catch (error) {
      // The transaction is in the log and may survive or not: nobody is told that it does.
      this.#broken = this.#brokenBy("write", error);
      throw this.#broken;
    }
  }

  #pragma(text: string): void {
    this.db.prepare(`PRAGMA ${text}`).all(); // not exec, whose errors carry no code
  }

  #writeFailed(error: unknown): StoreError {
    try {
      if (this.db.isTransaction) this.#rollback.run();
    } catch (rollbackError) {
      this.#broken = this.#brokenBy("write", rollbackError);
      return this.#broken;
    }
    if (primaryCode(error) === SQLITE_FULL) {
      const wish = "free some space; nothing of this write was kept";
      return new StoreError("full", `Cannot write "${this.#path}": the disk is full; ${wish}`, {
        cause: error,
      });
    }
    this.#broken = this.#brokenBy("write", error);
    return this.#broken;
  }

  #brokenBy(action: "read" | "write", cause: unknown): StoreError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const wish = "check the disk, then restart msgbusd";
    return new StoreError("broken", `Cannot ${action} "${this.#path}": ${reason}; ${wish}`, { cause });
  }

  #openError(error: unknown): StoreError {
    if (error instanceof StoreError) return error;
    switch (primaryCode(error)) {
      case SQLITE_BUSY:
      case SQLITE_LOCKED:
        return lockedError(this.#path, error);
      case SQLITE_PERM:
      case SQLITE_READONLY:
      case SQLITE_CANTOPEN:
        return notWritable(this.#path, error);
      case SQLITE_FULL:
        return new StoreError("full", `Cannot open "${this.#path}": the disk is full; free some space`, {
          cause: error,
        });
      case SQLITE_NOTADB:
        return new StoreError("not_a_database", `Cannot open "${this.#path}": it is not a database`, {
          cause: error,
        });
      default:
        return this.#brokenBy("read", error);
    }
  }
}

export function lockedError(path: string, cause?: unknown): StoreError {
  const wish = "stop that one or name another file";
  return new StoreError("locked", `Cannot open "${path}": another msgbusd has it open; ${wish}`, { cause });
}

/** Throws "too_old_sqlite" when the version is below the one we rely on. */
export function requireSqlite(version: string): void {
  const [found, oldest] = [version, OLDEST_SQLITE].map((text) => text.split(".").map(Number));
  for (let i = 0; i < 3; i++) {
    const difference = (found?.[i] ?? 0) - (oldest?.[i] ?? 0);
    if (difference > 0) return;
    if (difference < 0) {
      throw new StoreError(
        "too_old_sqlite",
        `Cannot use SQLite ${version}: versions below ${OLDEST_SQLITE} can corrupt the file; use a newer runtime`,
      );
    }
  }
}

function sqliteVersion(): string {
  const memory = new DatabaseSync(":memory:");
  try {
    return String(memory.prepare("SELECT sqlite_version() AS version").get()?.version);
  } finally {
    memory.close();
  }
}

/** SQLite's code without the extension; undefined for errors that are not SQLite's. */
function primaryCode(error: unknown): number | undefined {
  if (!(error instanceof Error) || !("errcode" in error) || typeof error.errcode !== "number") {
    return undefined;
  }
  return error.errcode & 0xff;
}
