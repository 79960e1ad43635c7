import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../error.ts";
import { DamagedMessagesError } from "../message_codec.ts";
import { inspectDatabaseFile, notWritable } from "./database_file.ts";
import { WAL_BYTES_KEPT } from "./limits.ts";
import { statIfThere } from "./paths.ts";
import { MissingMessagesError } from "./missing_messages_error.ts";
import { migrate } from "./schema.ts";
import * as sqlite from "./sqlite_error.ts";
import { WriteAheadLog } from "./write_ahead_log.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";
import { WriteStatement } from "./write_statement.ts";

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

/** Copies the write-ahead log into the database. */
type CheckpointStatement = RowStatement<[busy: number, frames: number, copied: number]>;

/** What a connection needs from the machine beside the file. */
export interface ConnectionPorts {
  /** Makes what was written to a file durable. */
  readonly syncData: (file: Deno.FsFile) => void;
  /** Runs the statement that copies the write-ahead log into the database. Throws SQLite's error. */
  readonly checkpoint: (statement: CheckpointStatement) => void;
  /** Milliseconds; never goes back. */
  readonly clock: () => number;
}

const MACHINE: ConnectionPorts = {
  syncData: (file) => file.syncDataSync(),
  checkpoint: (statement) => void statement.all(), // never busy: nobody else reads
  clock: () => performance.now(),
};

/** The one connection to the file: opening, transactions, checkpoints, and what SQLite's errors mean. */
export class Connection {
  readonly db: DatabaseSync;
  readonly #path: string;
  readonly #begin: WriteStatement;
  readonly #commit: WriteStatement;
  readonly #rollback: WriteStatement;
  readonly #check: RowStatement<[log: number]>;
  readonly #copyLog: CheckpointStatement;
  readonly #emptyLog: CheckpointStatement;
  /** The write-ahead log, to be synced after each commit; undefined with durability "normal". */
  readonly #wal: Deno.FsFile | undefined;
  readonly #ports: ConnectionPorts;
  readonly #log: WriteAheadLog;
  #broken: StoreError | undefined;

  /**
   * Opens or creates the file and takes its lock. Throws StoreError; a file that is not ours stays untouched. Ports
   * that are left out are those of this machine.
   */
  constructor({ path, durability, maxPages }: ConnectionOptions, ports: Partial<ConnectionPorts> = {}) {
    this.#path = path;
    this.#ports = { ...MACHINE, ...ports };
    requireSqlite(sqliteVersion());
    inspectDatabaseFile(path);
    // Left by a process that did not close: it may have ended between a deletion and its erasure.
    this.#log = new WriteAheadLog((statIfThere(`${path}-wal`)?.size ?? 0) > 0);
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
      this.#begin = new WriteStatement(this.db, "BEGIN IMMEDIATE");
      this.#commit = new WriteStatement(this.db, "COMMIT");
      this.#rollback = new WriteStatement(this.db, "ROLLBACK");
      this.#check = prepareRows(this.db, "SELECT log FROM logs LIMIT 1");
      // Prepared once: a statement for each would keep its memory until the collector finds that it is not used.
      this.#copyLog = prepareRows(this.db, "PRAGMA wal_checkpoint(PASSIVE)");
      this.#emptyLog = prepareRows(this.db, "PRAGMA wal_checkpoint(TRUNCATE)");
      this.#begin.run();
      this.#rollback.run();
      this.#wal = durability === "full" ? Deno.openSync(`${path}-wal`) : undefined;
    } catch (error) {
      this.db.close();
      throw this.#openError(error);
    }
  }

  /** Set after a failed write, and after a read that found the file damaged: nothing more may be written. */
  get broken(): StoreError | undefined {
    return this.#broken;
  }

  /**
   * Runs `write`, which says roughly how many bytes it wrote, in one durable transaction. Throws StoreError ("full" or
   * "broken") with nothing applied.
   */
  transaction(write: () => number): void {
    if (this.#broken !== undefined) throw this.#broken;
    let bytes: number;
    try {
      this.#begin.run();
      bytes = write();
      this.#commit.run();
    } catch (error) {
      throw this.#writeFailed(error);
    }
    this.#syncWal();
    this.#log.grew(bytes);
  }

  /**
   * What a failed read means for its caller. When the file is damaged or its disk fails, writing goes no further and
   * `check` fails too: nobody knows what else is lost.
   */
  readFailed(error: unknown): StoreError {
    if (error instanceof StoreError) return error;
    const failure = this.#brokenBy("read", error);
    if (error instanceof DamagedMessagesError || error instanceof MissingMessagesError) {
      this.#broken ??= failure;
    }
    switch (sqlite.primaryCode(error)) {
      case sqlite.SQLITE_CORRUPT:
      case sqlite.SQLITE_NOTADB:
      case sqlite.SQLITE_IOERR:
        this.#broken ??= failure;
    }
    return failure;
  }

  /** Whether deleted bytes may still be in the database or its write-ahead log. */
  get erasureDue(): boolean {
    return this.#log.erasureDue;
  }

  /** Whether it is time for a checkpoint, or for repeating one that had no space. */
  get checkpointDue(): boolean {
    return this.#broken === undefined && this.#log.checkpointDue(this.#ports.clock());
  }

  /**
   * Copies the write-ahead log into the database, and empties it when an erasure is due. Not left to SQLite's automatic
   * checkpoint, which hides errors: a failed fsync there would lose acknowledged messages in silence. Gives the error
   * instead of throwing it: with "full" the log just stays longer, and with it what is to be erased.
   */
  checkpoint(): StoreError | undefined {
    return this.#checkpoint(this.#log.erasureDue);
  }

  /**
   * To be called after a deletion was committed: its payload leaves the database and the log. When there is no space
   * for that, it stays due.
   */
  erase(): void {
    this.#log.requireErasure();
    this.checkpoint();
  }

  /**
   * To be called before a deletion: empties the log, so that the erasure after it has nothing to copy but the deletion
   * itself. Throws StoreError: without the space for this the deletion must not begin, because it could not be erased.
   */
  prepareErasure(): void {
    const failure = this.#checkpoint(true);
    if (failure !== undefined) throw failure;
  }

  #checkpoint(empty: boolean): StoreError | undefined {
    if (this.#broken !== undefined) return this.#broken;
    const begin = this.#ports.clock();
    try {
      this.#ports.checkpoint(empty ? this.#emptyLog : this.#copyLog);
    } catch (error) {
      if (sqlite.primaryCode(error) === sqlite.SQLITE_FULL) {
        this.#log.checkpointFailed(this.#ports.clock());
        return this.#fullBy(error);
      }
      return this.#broken = this.#brokenBy("write", error);
    }
    this.#log.checkpointed(empty, this.#ports.clock() - begin);
    return undefined;
  }

  /** Throws when a real query fails or nothing may be written any more. */
  check(): void {
    if (this.#broken !== undefined) throw this.#broken;
    this.#check.all();
  }

  close(): void {
    this.#checkpoint(true);
    this.db.close();
    // Not before: closing a file drops the locks that this process holds on it.
    this.#wal?.close();
  }

  #syncWal(): void {
    if (this.#wal === undefined) return;
    try {
      this.#ports.syncData(this.#wal);
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
    if (sqlite.primaryCode(error) === sqlite.SQLITE_FULL) return this.#fullBy(error);
    this.#broken = this.#brokenBy("write", error);
    return this.#broken;
  }

  #fullBy(cause: unknown): StoreError {
    const wish = "free some space; nothing of this write was kept";
    return new StoreError("full", `Cannot write "${this.#path}": the disk is full; ${wish}`, { cause });
  }

  #brokenBy(action: "read" | "write", cause: unknown): StoreError {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const wish = "check the disk, then restart msgbusd";
    return new StoreError("broken", `Cannot ${action} "${this.#path}": ${reason}; ${wish}`, { cause });
  }

  #openError(error: unknown): StoreError {
    if (error instanceof StoreError) return error;
    switch (sqlite.primaryCode(error)) {
      case sqlite.SQLITE_BUSY:
      case sqlite.SQLITE_LOCKED:
        return lockedError(this.#path, error);
      case sqlite.SQLITE_PERM:
      case sqlite.SQLITE_READONLY:
      case sqlite.SQLITE_CANTOPEN:
        return notWritable(this.#path, error);
      case sqlite.SQLITE_FULL:
        return new StoreError("full", `Cannot open "${this.#path}": the disk is full; free some space`, {
          cause: error,
        });
      case sqlite.SQLITE_NOTADB:
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
