import type { Connection } from "./connection.ts";
import type { DedupNumbers } from "./dedup_numbers.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";
import { WriteStatement } from "./write_statement.ts";

/** The table `idempotency_keys`. Writes happen within a transaction of the connection. */
export class KeyTable {
  readonly #numbers: DedupNumbers;
  readonly #find: RowStatement<[stored: number]>;
  readonly #insert: WriteStatement;

  constructor({ db }: Connection, numbers: DedupNumbers) {
    this.#numbers = numbers;
    this.#find = prepareRows(db, "SELECT stored FROM idempotency_keys WHERE log = ? AND key = ?");
    this.#insert = new WriteStatement(db, "INSERT INTO idempotency_keys VALUES (?, ?, ?, ?, ?)");
  }

  /** The sequence of the message that was stored with a key; undefined where none is known. */
  find(log: number, key: string): number | undefined {
    return this.#find.get(log, key)?.[0];
  }

  /** A message with a key that is not known is stored. */
  store(log: number, key: string, stored: number, atMs: number): void {
    this.#insert.run(this.#numbers.take(), log, key, stored, atMs);
  }
}
