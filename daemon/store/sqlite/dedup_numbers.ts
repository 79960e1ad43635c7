import type { StatementSync } from "node:sqlite";
import type { DedupLimits } from "../once.ts";
import type { Connection } from "./connection.ts";
import { EXPIRED_ROWS } from "./limits.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";

const TABLES = ["producer_runs", "idempotency_keys"] as const;

/** The numbers of remembered keys and runs, and which of them are forgotten. Writes happen within a transaction. */
export class DedupNumbers {
  readonly #limits: DedupLimits;
  readonly #ends: RowStatement<(number | null)[]>;
  readonly #firstKept: RowStatement<[number: number, atMs: number]>[];
  readonly #keepLast: StatementSync;
  readonly #delete: StatementSync[];
  #loaded = false;
  /** Everything below is forgotten. */
  #oldest = 1;
  /** What is remembered next. */
  #next = 1;
  /** The oldest is not older than this. */
  #oldestMs = -Infinity;
  /** `#next` when the last expiry began. */
  #before = 1;

  constructor({ db }: Connection, limits: DedupLimits) {
    this.#limits = limits;
    const ends = TABLES.flatMap((table) =>
      ["min", "max"].map((end) => `(SELECT ${end}(number) FROM ${table})`)
    );
    this.#ends = prepareRows(db, `SELECT ${ends}`);
    this.#firstKept = TABLES.map((table) =>
      prepareRows(
        db,
        `SELECT number, at_ms FROM ${table} WHERE number >= ? AND number < ? AND at_ms >= ?
           ORDER BY number LIMIT 1`,
      )
    );
    this.#keepLast = db.prepare(
      `UPDATE producers SET last_sequence = max(producers.last_sequence, forgotten.last_sequence)
         FROM (SELECT producer, max(first_sequence + count - 1) AS last_sequence FROM producer_runs
                 WHERE number < ? GROUP BY +producer) AS forgotten
         WHERE forgotten.producer = producers.producer`,
    );
    this.#delete = TABLES.map((table) => db.prepare(`DELETE FROM ${table} WHERE number < ?`));
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
    this.#keepLast.run(kept);
    for (const statement of this.#delete) statement.run(kept);
    this.#oldest = kept;
  }

  /** After a rollback: the tables say where it stands. */
  undo(): void {
    this.#loaded = false;
  }

  /** The first number from one on, and below another, of something that is not older. */
  #firstKeptByAge(from: number, end: number, oldestMs: number): number {
    if (from === end || this.#oldestMs >= oldestMs) return from;
    let [first, firstMs] = [end, -Infinity];
    for (const statement of this.#firstKept) {
      const [number, atMs] = statement.get(from, first, oldestMs) ?? [first, firstMs];
      [first, firstMs] = [number, atMs];
    }
    this.#oldestMs = firstMs;
    return first;
  }

  #load(): void {
    if (this.#loaded) return;
    this.#loaded = true;
    const [runsFrom, runsTo, keysFrom, keysTo] = this.#ends.get() ?? [];
    this.#next = this.#before = Math.max(runsTo ?? 0, keysTo ?? 0) + 1;
    this.#oldest = Math.min(runsFrom ?? this.#next, keysFrom ?? this.#next);
    this.#oldestMs = -Infinity;
  }
}
