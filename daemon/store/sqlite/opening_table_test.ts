import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { hasCode, testMessage } from "../contract.ts";
import { MAX_OPENINGS } from "../opening.ts";
import { TestDatabase } from "./test_database.ts";
import { TestFolder } from "./test_folder.ts";

const folder = new TestFolder();

Deno.test("Database records an opening with its first commit: a kill before that leaves nothing, one after it both", () => {
  const path = folder.file("killed.sqlite");
  const database = new TestDatabase(path);
  const { id } = database.opening;
  const empty = new TestDatabase(database.killed(folder.file("before.sqlite")));
  assert.equal(empty.lastOf(id), undefined);
  assert.equal(empty.opening.before, "");
  database.append(testMessage("t", "1"), testMessage("t", "2"));
  const full = new TestDatabase(database.killed(folder.file("after.sqlite")));
  assert.equal(full.lastOf(id), 2);
  assert.deepEqual(full.opening, { id: full.opening.id, after: 2, before: id });
  for (const opened of [database, empty, full]) opened.close();
});

Deno.test("Database takes an opening whose first commit failed as not recorded, and records it with the next", () => {
  const path = folder.file("full.sqlite");
  const database = new TestDatabase(path, {}, 60);
  const { id } = database.opening;
  const large = { ...testMessage("t", "large"), payload: new Uint8Array(400_000) };
  assert.throws(() => database.append(testMessage("t", "1"), large), hasCode("full"));
  assert.equal(database.lastOf(id), undefined);
  database.append(testMessage("t", "1"));
  assert.throws(() => database.append(large), hasCode("full"));
  assert.equal(database.lastOf(id), 1);
  database.close();
  const again = new TestDatabase(path);
  assert.equal(again.opening.before, id);
  assert.equal(again.lastOf(id), 1);
  again.close();
});

Deno.test("Database says of an opening whose first commit was not synced that nothing of it is there", () => {
  const path = folder.file("unsynced.sqlite");
  let fails = false;
  const syncData = () => {
    if (fails) throw new Error("no disk");
  };
  const database = new TestDatabase(path, { syncData }, undefined, undefined, "full");
  fails = true;
  assert.throws(() => database.append(testMessage("t", "1")), hasCode("broken"));
  assert.equal(database.lastOf(database.opening.id), 0);
  database.close();
});

Deno.test("Database forgets the oldest opening beyond the limit", () => {
  const path = folder.file("many.sqlite");
  const ids: string[] = [];
  for (let opening = 0; opening < 3; opening++) {
    const database = new TestDatabase(path);
    ids.push(database.opening.id);
    database.append(testMessage("t", `${opening}`));
    database.close();
  }
  const db = new DatabaseSync(path);
  db.exec(`UPDATE openings SET number = number + ${MAX_OPENINGS} - 2 WHERE number > 1`);
  db.close();
  const database = new TestDatabase(path);
  assert.deepEqual(ids.map((id) => database.lastOf(id) !== undefined), [true, true, true]);
  database.append(testMessage("t", "last"));
  assert.deepEqual(ids.map((id) => database.lastOf(id) !== undefined), [false, true, true]);
  database.close();
});
