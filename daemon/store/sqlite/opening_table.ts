import { MAX_OPENINGS, type Opening } from "../opening.ts";
import type { Connection } from "./connection.ts";
import { prepareRows, type RowStatement } from "./row_statement.ts";
import { WriteStatement } from "./write_statement.ts";

/** The table `openings`. Writes happen within a transaction of the connection. */
export class OpeningTable {
  /** The one that began with the constructor. */
  readonly opening: Opening;
  readonly #insert: WriteStatement;
  readonly #forget: WriteStatement;
  readonly #next: RowStatement<[lastSequence: number | null]>;
  readonly #number: number;

  /** `lastSequence` is that of the newest message. */
  constructor({ db }: Connection, id: string, lastSequence: number) {
    this.#insert = new WriteStatement(db, "INSERT INTO openings VALUES (?, ?, ?)");
    this.#forget = new WriteStatement(db, "DELETE FROM openings WHERE number <= ?");
    this.#next = prepareRows(
      db,
      `SELECT (SELECT after_sequence FROM openings WHERE number = o.number + 1)
         FROM openings o WHERE o.id = ?`,
    );
    const newest = prepareRows<[number: number, id: string]>(
      db,
      "SELECT number, id FROM openings ORDER BY number DESC LIMIT 1",
    );
    const [number, before] = newest.get() ?? [0, ""];
    this.#number = number + 1;
    this.opening = { id, after: lastSequence, before };
  }

  /** To be called before the first message of this opening is appended. */
  record(): void {
    this.#insert.run(this.#number, this.opening.id, this.opening.after);
    this.#forget.run(this.#number - MAX_OPENINGS);
  }

  /** See Store.lastOf; `lastSequence` is that of the newest message. */
  lastOf(id: string, lastSequence: number): number | undefined {
    const row = this.#next.get(id);
    return row && (row[0] ?? lastSequence);
  }
}
