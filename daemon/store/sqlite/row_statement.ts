import type { DatabaseSync, SQLInputValue, StatementSync } from "node:sqlite";

/** A query whose rows come as arrays, in the order of its columns: a third faster than an object per row. */
export interface RowStatement<Row extends readonly unknown[]> {
  all(...parameters: SQLInputValue[]): Row[];
  get(...parameters: SQLInputValue[]): Row | undefined;
}

/** `Row` is what the query's columns hold by the schema; node:sqlite knows neither that nor the array form. */
export function prepareRows<Row extends readonly unknown[]>(
  db: DatabaseSync,
  sql: string,
): RowStatement<Row> {
  const statement = db.prepare(sql) as StatementSync & { setReturnArrays(enabled: boolean): void };
  statement.setReturnArrays(true);
  return statement as unknown as RowStatement<Row>;
}
