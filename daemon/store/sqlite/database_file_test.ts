import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { readdirSync, readFileSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { testMessage } from "../contract.ts";
import { StoreError, type StoreErrorCode } from "../error.ts";
import { inspectDatabaseFile } from "./database_file.ts";
import { APPLICATION_ID, MIGRATIONS } from "./schema.ts";
import { SqliteStore } from "./store.ts";
import { TestFolder } from "./test_folder.ts";

const folder = new TestFolder();

async function assertRefusedUntouched(path: string, code: StoreErrorCode, text: string): Promise<void> {
  const hash = () => createHash("sha256").update(readFileSync(path)).digest("hex");
  const before = hash();
  const files = readdirSync(folder.path);
  await assert.rejects(
    SqliteStore.open({ path }),
    (error) => error instanceof StoreError && error.code === code && error.message.includes(text),
  );
  assert.equal(hash(), before);
  assert.deepEqual(readdirSync(folder.path), files);
}

function makeDatabase(name: string, ...statements: string[]): string {
  const path = folder.file(name);
  const db = new DatabaseSync(path);
  for (const statement of statements) db.exec(statement);
  db.close();
  return path;
}

Deno.test("SqliteStore.open refuses a file that is no database and leaves it as it was", async () => {
  for (const [name, text] of [["short", "x"], ["text", "hello ".repeat(100)]] as const) {
    Deno.writeTextFileSync(folder.file(name), text);
    await assertRefusedUntouched(folder.file(name), "not_a_database", name);
  }
});

Deno.test("SqliteStore.open refuses another program's database and leaves it as it was", async () => {
  const plain = makeDatabase("foreign.sqlite", "CREATE TABLE t (x)");
  await assertRefusedUntouched(plain, "not_a_database", "another program");
  const wal = makeDatabase(
    "wal.sqlite",
    "PRAGMA journal_mode = WAL",
    "PRAGMA application_id = 7",
    "CREATE TABLE t (x)",
  );
  await assertRefusedUntouched(wal, "not_a_database", "application id 7");
});

Deno.test("SqliteStore.open refuses a newer schema and leaves the file as it was", async () => {
  const path = makeDatabase(
    "newer.sqlite",
    `PRAGMA application_id = ${APPLICATION_ID}`,
    "PRAGMA user_version = 99",
    "CREATE TABLE t (x)",
  );
  await assertRefusedUntouched(path, "newer_schema", "99");
});

Deno.test("SqliteStore.open takes an empty file as a new one", async () => {
  const path = folder.file("empty.sqlite");
  Deno.writeTextFileSync(path, "");
  const store = await SqliteStore.open({ path });
  assert.deepEqual(await store.append([testMessage("t", "1")]), [{ headId: 1, sequence: 1 }]);
  await store.close();
});

Deno.test("SqliteStore.open writes its ids into the file's header, not only into the log", async () => {
  const path = folder.file("header.sqlite");
  const store = await SqliteStore.open({ path });
  inspectDatabaseFile(path);
  const header = new DataView(Deno.readFileSync(path).buffer);
  assert.equal(header.getUint32(68), APPLICATION_ID);
  assert.equal(header.getUint32(60), MIGRATIONS.length);
  await store.close();
});

Deno.test("SqliteStore.open takes a file whose creation was cut short as a new one", async () => {
  // As after a power loss during the first commit: some pages written, the journal that undoes them still there.
  const path = folder.file("half.sqlite");
  Deno.writeFileSync(path, new Uint8Array(8192));
  const journal = new Uint8Array(512);
  const view = new DataView(journal.buffer);
  view.setUint32(0, 0xd9d505f9);
  view.setUint32(4, 0x20a163d7);
  view.setUint32(20, 512);
  view.setUint32(24, 4096);
  Deno.writeFileSync(`${path}-journal`, journal);
  const store = await SqliteStore.open({ path });
  assert.deepEqual(await store.append([testMessage("t", "1")]), [{ headId: 1, sequence: 1 }]);
  await store.close();
});
