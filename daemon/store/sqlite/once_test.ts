/** What of appending once depends on a file: restarts, crashes, rollbacks, and what is read. */
import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { hasCode, testMessage } from "../contract.ts";
import type { OnceMessage, OnceOutcome } from "../store.ts";
import { KNOWN_PRODUCERS } from "./limits.ts";
import { TestDatabase } from "./test_database.ts";
import { TestFolder } from "./test_folder.ts";

const NOW_MS = 1_700_000_000_000;
const folder = new TestFolder();

function keyed(key: string): OnceMessage {
  return { ...testMessage("t", key), key };
}

function kinds(outcomes: readonly OnceOutcome[]): string[] {
  return outcomes.map((outcome) => outcome.kind === "refused" ? outcome.reason : outcome.kind);
}

function rows(path: string, table: string): number {
  const db = new DatabaseSync(path, { readOnly: true });
  const count = db.prepare(`SELECT count(*) AS count FROM ${table}`).get()?.count;
  db.close();
  return Number(count);
}

Deno.test("Database knows keys, producers and epochs again after a restart and after a crash", () => {
  const path = folder.file("restart.sqlite");
  let database = new TestDatabase(path);
  database.openProducer({ owner: "", id: "p" }, 4, NOW_MS);
  database.appendOnce([keyed("a"), testMessage("t", "b")], {
    owner: "",
    id: "p",
    epoch: 4,
    firstSequence: 1,
  });
  const verify = (database: TestDatabase) => {
    assert.deepEqual(database.openProducer({ owner: "", id: "p" }, 4, NOW_MS), { epoch: 4, lastSequence: 2 });
    assert.deepEqual(kinds(database.appendOnce([keyed("a")])), ["duplicate"]);
    const again = [testMessage("t", "a"), testMessage("t", "b"), testMessage("t", "c")];
    const outcomes = database.appendOnce(again, { owner: "", id: "p", epoch: 4, firstSequence: 1 });
    assert.deepEqual(kinds(outcomes), ["duplicate", "duplicate", "appended"]);
    assert.throws(() => database.openProducer({ owner: "", id: "p" }, 3, NOW_MS), hasCode("stale_epoch"));
    assert.deepEqual(database.heads, ["t 3"]);
  };
  const killed = new TestDatabase(database.killed(folder.file("killed.sqlite")));
  verify(killed);
  killed.close();
  database.close();
  database = new TestDatabase(path);
  verify(database);
  database.close();
});

Deno.test("Database goes on with the run of a producer after a restart", () => {
  const path = folder.file("run.sqlite");
  for (let n = 1; n <= 5; n++) {
    const database = new TestDatabase(path);
    database.appendOnce([testMessage("t", `${n}`)], { owner: "", id: "p", epoch: 1, firstSequence: n });
    database.close();
  }
  assert.equal(rows(path, "producer_runs"), 1);
});

Deno.test("Database writes one row for a producer that is alone, over all topics", () => {
  const path = folder.file("alone.sqlite");
  const database = new TestDatabase(path);
  for (let n = 0; n < 100; n++) {
    const batch = Array.from({ length: 10 }, (_, at) => testMessage(`t${at % 4}`, `${n} ${at}`));
    database.appendOnce(batch, { owner: "", id: "p", epoch: 1, firstSequence: 1 + 10 * n });
  }
  database.close();
  assert.equal(rows(path, "producer_runs"), 1);
  assert.equal(rows(path, "producers"), 1);
});

Deno.test("Database remembers nothing of a call that a full disk refused, and goes on afterwards", () => {
  const database = new TestDatabase(folder.file("full.sqlite"), {}, 60);
  database.appendOnce([keyed("first")], { owner: "", id: "p", epoch: 1, firstSequence: 1 });
  const large = { ...keyed("large"), payload: new Uint8Array(400_000) };
  assert.throws(
    () => database.appendOnce([keyed("small"), large], { owner: "", id: "p", epoch: 2, firstSequence: 1 }),
    hasCode("full"),
  );
  assert.deepEqual(database.openProducer({ owner: "", id: "p" }, 1, NOW_MS), { epoch: 1, lastSequence: 1 });
  const outcomes = database.appendOnce([keyed("small"), keyed("large"), keyed("first")], {
    owner: "",
    id: "p",
    epoch: 1,
    firstSequence: 2,
  });
  assert.deepEqual(kinds(outcomes), ["appended", "duplicate"]);
  assert.deepEqual(database.heads, ["t 3"]);
  database.close();
});

Deno.test("Database reads producers again that it holds no more", () => {
  const path = folder.file("many.sqlite");
  const database = new TestDatabase(path);
  const batch = [testMessage("t", "one")];
  for (let n = 0; n < KNOWN_PRODUCERS + 10; n++) {
    database.appendOnce(batch, { owner: "", id: `p${n}`, epoch: 2, firstSequence: 5 });
  }
  assert.deepEqual(database.openProducer({ owner: "", id: "p0" }, 2, NOW_MS), { epoch: 2, lastSequence: 5 });
  assert.deepEqual(kinds(database.appendOnce(batch, { owner: "", id: "p1", epoch: 2, firstSequence: 5 })), [
    "duplicate",
  ]);
  database.close();
});

Deno.test("Database forgets a bounded number with each call when the limit was lowered", () => {
  const path = folder.file("lowered.sqlite");
  let database = new TestDatabase(path);
  for (let n = 0; n < 10; n++) {
    database.appendOnce(Array.from({ length: 200 }, (_, at) => keyed(`${n} ${at}`)));
  }
  database.close();
  database = new TestDatabase(path, {}, undefined, { keys: 100, ageMs: 1_000_000 });
  database.appendOnce([testMessage("t", "x")]);
  database.close();
  assert.equal(rows(path, "idempotency_keys"), 2_000 - 256);
  database = new TestDatabase(path, {}, undefined, { keys: 100, ageMs: 1_000_000 });
  for (let n = 0; n < 10; n++) database.appendOnce([testMessage("t", "x")]);
  assert.deepEqual(kinds(database.appendOnce([keyed("9 99"), keyed("9 100")])), ["appended", "duplicate"]);
  database.close();
  assert.equal(rows(path, "idempotency_keys"), 101);
});

Deno.test("Database remembers the last sequence of a producer whose runs are forgotten over a restart", () => {
  const path = folder.file("last.sqlite");
  const dedup = { keys: 2, ageMs: 1_000_000 };
  let database = new TestDatabase(path, {}, undefined, dedup);
  const batch = [testMessage("t", "1"), testMessage("t", "2")];
  database.appendOnce(batch, { owner: "", id: "p", epoch: 1, firstSequence: 1 });
  for (const id of ["a", "b", "c", "d"]) {
    database.appendOnce([testMessage("t", id)], { owner: "", id, epoch: 1, firstSequence: 1 });
  }
  database.close();
  assert.equal(rows(path, "producer_runs"), 3); // two, and what the last call added
  database = new TestDatabase(path, {}, undefined, dedup);
  assert.deepEqual(kinds(database.appendOnce(batch, { owner: "", id: "p", epoch: 1, firstSequence: 2 })), [
    "forgotten",
    "appended",
  ]);
  database.close();
});
