import type { Connection } from "./connection.ts";
import { prepareRows } from "./row_statement.ts";
import { WriteStatement } from "./write_statement.ts";

/** The storage's own id from the table `storage`, which gets one when it has none. Throws StoreError. */
export function storageIncarnation(connection: Connection, newIncarnation: () => string): string {
  const known = prepareRows<[string]>(connection.db, "SELECT incarnation FROM storage").get()?.[0];
  if (known !== undefined) return known;
  const made = newIncarnation();
  connection.transaction(() => {
    new WriteStatement(connection.db, "INSERT INTO storage VALUES (?)").run(made);
    return made.length;
  });
  return made;
}
