import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { StoreError } from "../error.ts";
import { APPLICATION_ID, migrate } from "./schema.ts";

function tables(db: DatabaseSync): unknown[] {
  return db.prepare("SELECT name FROM sqlite_schema ORDER BY name").all().map(({ name }) => name);
}

function version(db: DatabaseSync): unknown {
  return db.prepare("PRAGMA user_version").get()?.user_version;
}

Deno.test("migrate applies what is missing, once, and sets both ids", () => {
  const db = new DatabaseSync(":memory:");
  const first = ["CREATE TABLE a (x)", "CREATE TABLE b (x)"];
  assert.equal(migrate(db, "p", [first]), true);
  assert.equal(migrate(db, "p", [first]), false);
  assert.equal(version(db), 1);
  assert.equal(migrate(db, "p", [first, ["CREATE TABLE c (x)"], ["CREATE TABLE d (x)"]]), true);
  assert.deepEqual(tables(db), ["a", "b", "c", "d"]);
  assert.equal(version(db), 3);
  assert.equal(db.prepare("PRAGMA application_id").get()?.application_id, APPLICATION_ID);
  db.close();
});

Deno.test("migrate leaves nothing behind when one statement fails", () => {
  const db = new DatabaseSync(":memory:");
  const first = ["CREATE TABLE a (x)"];
  migrate(db, "p", [first]);
  assert.throws(
    () => migrate(db, "p", [first, ["CREATE TABLE b (x)"], ["CREATE TABLE a (x)"]]),
    /already exists/,
  );
  assert.deepEqual(tables(db), ["a"]);
  assert.equal(version(db), 1);
  assert.equal(db.isTransaction, false);
  db.close();
});

Deno.test("migrate refuses a version it does not know", () => {
  const db = new DatabaseSync(":memory:");
  db.exec("PRAGMA user_version = 2");
  assert.throws(
    () => migrate(db, "p", [[]]),
    (error) => error instanceof StoreError && error.code === "newer_schema",
  );
  db.close();
});
