import type { DedupLimits } from "../once.ts";
import type { Connection } from "./connection.ts";
import { EXPIRED_ROWS } from "./limits.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";
import { WriteStatement } from "./write_statement.ts";

/** What is remembered: runs of producers, or keys. Each has a count of its own, so that neither pushes out the other. */
export type DedupTable = "producer_runs" | "idempotency_keys";

/** The numbers of remembered keys, or of runs, and which of them are forgotten. Writes happen within a transaction. */
export class DedupNumbers {
  readonly #limits: DedupLimits;
  readonly #ends: RowStatement<[first: number | null, last: number | null]>;
  readonly #firstKept: RowStatement<[number: number, atMs: number]>;
  /** Keeps what producers must never forget of their runs. */
  readonly #keepLast: WriteStatement | undefined;
  readonly #delete: WriteStatement;
  #loaded = false;
  /** Everything below is forgotten. */
  #oldest = 1;
  /** What is remembered next. */
  #next = 1;
  /** The oldest is not older than this. */
  #oldestMs = -Infinity;
  /** `#next` when the last expiry began. */
  #before = 1;

  constructor({ db }: Connection, limits: DedupLimits, table: DedupTable) {
    this.#limits = limits;
    this.#ends = prepareRows(
      db,
      `SELECT (SELECT min(number) FROM ${table}), (SELECT max(number) FROM ${table})`,
    );
    this.#firstKept = prepareRows(
      db,
      `SELECT number, at_ms FROM ${table} WHERE number >= ? AND number < ? AND at_ms >= ?
         ORDER BY number LIMIT 1`,
    );
    this.#keepLast = table === "idempotency_keys" ? undefined : new WriteStatement(
      db,
      `UPDATE producers SET last_sequence = max(producers.last_sequence, forgotten.last_sequence)
         FROM (SELECT producer, max(first_sequence + count - 1) AS last_sequence FROM producer_runs
                 WHERE number < ? GROUP BY +producer) AS forgotten
         WHERE forgotten.producer = producers.producer`,
    );
    this.#delete = new WriteStatement(db, `DELETE FROM ${table} WHERE number < ?`);
  }

  /** The number for something to remember. */
  take(): number {
    this.#load();
    return this.#next++;
  }

  /** Whether what has a number was forgotten. */
  isForgotten(number: number): boolean {
    return number < this.#oldest;
  }

  /** Forgets what is too old or too much, as far as one call may. */
  expire(nowMs: number): void {
    this.#load();
    const most = EXPIRED_ROWS + 2 * (this.#next - this.#before);
    this.#before = this.#next;
    const end = Math.min(this.#next, this.#oldest + most);
    const kept = this.#firstKeptByAge(
      Math.min(end, Math.max(this.#oldest, this.#next - this.#limits.keys)),
      end,
      nowMs - this.#limits.ageMs,
    );
    if (kept === this.#oldest) return;
    this.#keepLast?.run(kept);
    this.#delete.run(kept);
    this.#oldest = kept;
  }

  /** After a rollback: the tables say where it stands. */
  undo(): void {
    this.#loaded = false;
  }

  /** The first number from one on, and below another, of something that is not older. */
  #firstKeptByAge(from: number, end: number, oldestMs: number): number {
    if (from === end || this.#oldestMs >= oldestMs) return from;
    const [first, atMs] = this.#firstKept.get(from, end, oldestMs) ?? [end, -Infinity];
    this.#oldestMs = atMs;
    return first;
  }

  #load(): void {
    if (this.#loaded) return;
    this.#loaded = true;
    const [first, last] = this.#ends.get() ?? [null, null];
    this.#next = this.#before = (last ?? 0) + 1;
    this.#oldest = first ?? this.#next;
    this.#oldestMs = -Infinity;
  }
}
