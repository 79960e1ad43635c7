import assert from "node:assert/strict";
import { StoreError, type StoreErrorCode } from "../error.ts";
import { Connection, requireSqlite } from "./connection.ts";
import { TestFolder } from "./test_folder.ts";

const folder = new TestFolder();

function hasCode(code: StoreErrorCode): (error: unknown) => boolean {
  return (error) => error instanceof StoreError && error.code === code;
}

/** As node:sqlite throws it. */
function sqliteError(errcode: number): Error {
  return Object.assign(new Error("from SQLite"), { code: "ERR_SQLITE_ERROR", errcode });
}

Deno.test("Connection.transaction accepts no write after one failed for another reason than space", () => {
  const connection = new Connection({ path: folder.file("broken.sqlite"), durability: "full" });
  const ioErrorFsync = 10 | (4 << 8);
  assert.throws(() =>
    connection.transaction(() => {
      connection.db.exec("INSERT INTO runs_written VALUES (7)");
      throw sqliteError(ioErrorFsync);
    }), hasCode("broken"));
  assert.equal(connection.db.isTransaction, false);
  assert.throws(() => connection.transaction(() => 1), hasCode("broken"));
  assert.throws(() => connection.check(), hasCode("broken"));
  assert.deepEqual(connection.db.prepare("SELECT * FROM runs_written WHERE last_sequence = 7").all(), []);
  connection.close();
});

Deno.test("Connection.transaction goes on after a full disk", () => {
  const connection = new Connection({ path: folder.file("full.sqlite"), durability: "full" });
  const full = () => {
    throw sqliteError(13);
  };
  assert.throws(() => connection.transaction(full), hasCode("full"));
  connection.transaction(() => 1);
  connection.check();
  connection.close();
});

Deno.test("Connection.transaction accepts no write after a sync failed, and says so to the one that it was for", () => {
  let fails = false;
  const connection = new Connection({ path: folder.file("sync.sqlite"), durability: "full" }, {
    syncData: (file) => {
      if (fails) throw new Error("Input/output error (os error 5)");
      file.syncDataSync();
    },
  });
  connection.transaction(() => 1);
  fails = true;
  assert.throws(() => connection.transaction(() => 1), hasCode("broken"));
  fails = false;
  assert.throws(() => connection.transaction(() => 1), hasCode("broken"));
  assert.throws(() => connection.check(), hasCode("broken"));
  connection.close();
});

Deno.test("Connection.transaction syncs the write-ahead log once per commit, with durability full only", () => {
  for (const [durability, expected] of [["full", 3], ["normal", 0]] as const) {
    let syncs = 0;
    const path = folder.file(`syncs-${durability}.sqlite`);
    const connection = new Connection({ path, durability }, {
      syncData: (file) => {
        syncs++;
        assert.equal(file.statSync().ino, Deno.statSync(`${path}-wal`).ino);
      },
    });
    const insert = connection.db.prepare("INSERT INTO runs_written VALUES (?)");
    for (let i = 0; i < 3; i++) {
      connection.transaction(
        () => Number(insert.run(i).changes),
      );
      if (i === 1) connection.erase();
      else connection.checkpoint();
    }
    assert.equal(syncs, expected);
    connection.close();
  }
});

Deno.test("Connection sets erasure and exclusive use", () => {
  for (const durability of ["full", "normal"] as const) {
    const connection = new Connection({ path: folder.file(`${durability}.sqlite`), durability });
    const pragma = (name: string) => connection.db.prepare(`PRAGMA ${name}`).get()?.[name];
    assert.equal(pragma("synchronous"), 1, "around checkpoints; transaction() syncs the commits");
    assert.equal(pragma("secure_delete"), 1);
    assert.equal(pragma("journal_mode"), "wal");
    assert.equal(pragma("locking_mode"), "exclusive");
    assert.deepEqual([...Deno.readDirSync(folder.path)].filter(({ name }) => name.endsWith("-shm")), []);
    connection.close();
  }
});

Deno.test("requireSqlite refuses versions below 3.51.3", () => {
  for (const version of ["3.51.3", "3.51.10", "3.52.0", "4.0.0"]) requireSqlite(version);
  for (const version of ["3.51.2", "3.9.9", "2.99.99"]) {
    assert.throws(() => requireSqlite(version), hasCode("too_old_sqlite"));
  }
});
