import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

/** A statement that gives no rows. */
export class WriteStatement {
  readonly #statement: StatementSync;

  constructor(db: DatabaseSync, sql: string) {
    this.#statement = db.prepare(sql);
  }

  /** Throws SQLite's error. */
  run(...parameters: SQLInputValue[]): void {
    // Not `run` of node:sqlite: the object that it returns takes 0.4 us to make, nobody needs it here, and it is old as soon as
    // it is made, garbage until everything is collected. `get` of what gives no row makes nothing.
    this.#statement.get(...parameters);
  }
}
