import assert from "node:assert/strict";
import { statSync } from "node:fs";
import { DatabaseSync } from "node:sqlite";
import { hasCode, testHeaders, testMessage } from "../contract.ts";
import { CHECKPOINT_RETRY_MS } from "./limits.ts";
import { FullDisk, TestDatabase } from "./test_database.ts";
import { TestFolder } from "./test_folder.ts";

const folder = new TestFolder();

Deno.test("Database.commit deletes nothing when there is no space to erase", () => {
  const disk = new FullDisk();
  const database = new TestDatabase(folder.file("no-space.sqlite"), disk);
  database.append({ ...testMessage("t", "1"), payload: new TextEncoder().encode("the secretX") });
  disk.fails = () => true;
  assert.throws(() => database.deleteRange(1, 1), hasCode("full"));
  assert.deepEqual(database.heads, ["t 1"]);
  assert.deepEqual(database.read("t").map(({ deleted }) => deleted), [false]);
  disk.fails = () => false;
  assert.equal(database.deleteRange(1, 1).erased, true);
  assert.equal(database.holds("the secretX"), false);
  database.close();
});

Deno.test("Database repeats an erasure that had no space until it worked, with a pause, and says so before", () => {
  const disk = new FullDisk();
  const database = new TestDatabase(folder.file("due.sqlite"), disk);
  database.append({
    ...testMessage("t", "1"),
    payload: new TextEncoder().encode("the secret".repeat(1_000)),
  });
  disk.fails = (checkpoint) => checkpoint > 1;
  const deletion = database.deleteRange(1, 1);
  assert.deepEqual(deletion, { deletedCount: 1, marker: { headId: 1, sequence: 2 }, erased: false });
  assert.equal(database.erasureDue, true);
  assert.equal(disk.checkpoints, 2);
  assert.equal(database.holds("the secret"), true);
  database.checkpointIfDue();
  assert.equal(disk.checkpoints, 2, "not before the pause is over");
  disk.now += CHECKPOINT_RETRY_MS;
  database.checkpointIfDue();
  assert.equal(disk.checkpoints, 3);
  assert.equal(database.erasureDue, true);
  disk.fails = () => false;
  disk.now += CHECKPOINT_RETRY_MS;
  database.checkpointIfDue();
  assert.equal(database.erasureDue, false);
  assert.equal(database.holds("the secret"), false);
  assert.equal(statSync(`${database.path}-wal`).size, 0);
  database.close();
});

Deno.test("Database erases after opening what a killed process had deleted and not erased", () => {
  const disk = new FullDisk();
  const database = new TestDatabase(folder.file("due-killed.sqlite"), disk);
  database.append({
    ...testMessage("t", "1"),
    payload: new TextEncoder().encode("the secret".repeat(1_000)),
  });
  disk.fails = (checkpoint) => checkpoint > 1;
  database.deleteRange(1, 1);
  const again = new TestDatabase(database.killed(folder.file("due-again.sqlite")));
  assert.equal(again.erasureDue, true);
  again.checkpointIfDue();
  assert.equal(again.erasureDue, false);
  assert.equal(again.holds("the secret"), false);
  again.close();
  database.close();
});

Deno.test("Database writes one page for a message that follows another one of its log", () => {
  const database = new TestDatabase(folder.file("pages.sqlite"));
  database.append(testMessage("t", "0"));
  const size = () => statSync(`${database.path}-wal`).size;
  const before = size();
  for (let at = 1; at <= 10; at++) database.append(testMessage("t", `${at}`));
  assert.equal(size() - before, 10 * (4096 + 24));
  database.close();
});

/** Numbers from 0 to below 1, the same for the same seed. */
function chance(seed: number): () => number {
  return () => {
    seed = Math.imul(seed ^ (seed >>> 15), 0x2c1b3c6d) + 0x6d2b79f5 | 0;
    return ((seed ^ (seed >>> 13)) >>> 0) / 2 ** 32;
  };
}

Deno.test("Database has every log without a gap after a kill at any commit", () => {
  for (const seed of [1, 2, 3]) {
    const random = chance(seed);
    const database = new TestDatabase(folder.file(`kills-${seed}.sqlite`));
    const expected = new Map<string, string[]>();
    for (let step = 0; step < 120; step++) {
      const stretch = Array.from({ length: 1 + Math.floor(random() * 4) }, (_, at) => {
        const topic = `topic ${Math.floor(random() ** 2 * 5)}`;
        const text = `${step}.${at}`;
        expected.set(topic, [...expected.get(topic) ?? [], text]);
        // Large enough that several checkpoints lie between.
        const payload = new Uint8Array(random() < 0.1 ? 500_000 : 10);
        return { ...testMessage(topic, text), payload };
      });
      database.append(...stretch);
      database.checkpointIfDue();
      if (step % 10 !== 9) continue;
      const again = new TestDatabase(database.killed(folder.file(`kills-${seed}-${step}.sqlite`)));
      const context = `seed ${seed}, step ${step}`;
      assert.deepEqual(again.heads, [...expected].map(([t, ids]) => `${t} ${ids.length}`).sort(), context);
      for (const [topic, texts] of expected) {
        for (const store of [database, again]) {
          const page = store.read(topic);
          assert.deepEqual(page.map(({ id }) => id), texts.map((text) => `id-${text}`), context);
          assert.deepEqual(page.map(({ headId }) => headId), texts.map((_, at) => at + 1), context);
        }
      }
      const [topic = "", texts = []] = [...expected][0] ?? [];
      const [placed] = again.append(testMessage(topic, "next"));
      assert.equal(placed?.headId, texts.length + 1, context);
      again.close();
      const third = new TestDatabase(again.path);
      assert.equal(third.read(topic).at(-1)?.id, "id-next", context);
      third.close();
    }
    database.close();
  }
});

Deno.test("Database reads pages across runs within both limits", () => {
  const database = new TestDatabase(folder.file("limits.sqlite"));
  for (let at = 0; at < 12; at++) {
    database.append({ ...testMessage("t", `${at}`), payload: new Uint8Array(10) });
    if (at % 4 === 3) database.append(testMessage("u", `${at}`)); // ends the run
  }
  database.append(...Array.from({ length: 4 }, (_, at) => ({
    ...testMessage("t", `${12 + at}`),
    payload: new Uint8Array(10),
  })));
  for (let from = 1; from <= 16; from++) {
    for (const messages of [1, 3, 5, 100]) {
      for (const bytes of [1, 35, 10_000]) {
        const count = Math.min(messages, Math.max(1, Math.floor(bytes / 10)), 17 - from);
        assert.deepEqual(
          database.read("t", from, { messages, bytes }).map(({ headId, id }) => [headId, id]),
          Array.from({ length: count }, (_, at) => [from + at, `id-${from + at - 1}`]),
        );
      }
    }
  }
  assert.deepEqual(database.read("t", 17), []);
  database.close();
});

Deno.test("Database reads back every byte, with ids of both kinds", () => {
  const database = new TestDatabase(folder.file("bytes.sqlite"));
  const bytes = Uint8Array.from({ length: 1024 }, (_, at) => at < 512 ? at & 0xff : (at * 37) & 0xff);
  const ids = ["0190b8a0-0000-7000-8000-00ff00ff00ff", "text ü\0x", "00000000-0000-4000-8000-000000000000"];
  const sent = ids.map((id, at) => ({
    ...testMessage("t", ""),
    id,
    payload: bytes.subarray(at * 7),
    headers: at === 1 ? new Uint8Array() : testHeaders(bytes.subarray(at * 60, at * 60 + 120)),
  }));
  database.append(...sent);
  for (const [at, got] of database.read("t").entries()) {
    assert.equal(got.id, sent[at]?.id);
    assert.deepEqual(got.payload, sent[at]?.payload);
    assert.deepEqual(got.headers, sent[at]?.headers);
    assert.equal(got.createdAtMs, sent[at]?.createdAtMs);
  }
  database.close();
});

Deno.test("Database says broken to every call but reads after a read found damage, until it is opened anew", () => {
  const path = folder.file("damaged.sqlite");
  const database = new TestDatabase(path);
  for (let at = 0; at < 300; at++) {
    database.append({ ...testMessage("t", `${at}`), payload: new Uint8Array(2_000) });
  }
  database.append(testMessage("u", "fine"));
  database.close();
  damage(path, 60, 100);
  const damaged = new TestDatabase(path);
  damaged.check();
  assert.throws(() => damaged.read("t"), hasCode("broken"));
  assert.throws(() => damaged.check(), hasCode("broken"));
  assert.throws(() => damaged.append(testMessage("u", "more")), hasCode("broken"));
  assert.deepEqual(damaged.heads, ["t 300", "u 1"]);
  damaged.close();
  const again = new TestDatabase(path);
  again.check();
  again.close();
});

Deno.test("Database says broken when a log lost messages that only its last run named", () => {
  const path = folder.file("lost.sqlite");
  const database = new TestDatabase(path);
  for (const text of ["1", "2", "3"]) database.append(testMessage("t", text));
  database.close();
  const db = new DatabaseSync(path);
  db.exec(
    "DELETE FROM runs; DELETE FROM chunks WHERE first_sequence = 1; UPDATE runs_written SET last_sequence = 0",
  );
  db.close();
  assert.throws(() => new TestDatabase(path), hasCode("broken"));
  damage(path, 1, 10);
  assert.throws(() => new TestDatabase(path), hasCode("broken"));
});

Deno.test("Database says broken when it is opened and the last messages are missing", () => {
  const losses: [deleted: string, missing: number][] = [
    ["DELETE FROM chunks WHERE first_sequence = 5", 5],
    ["DELETE FROM chunks WHERE first_sequence > 2", 5],
    ["DELETE FROM chunks", 5],
    // As a crash leaves it: behind what is said to be written only runs know of the last messages.
    ["UPDATE runs_written SET last_sequence = 1; DELETE FROM chunks WHERE first_sequence > 3", 4],
  ];
  losses.forEach(([deleted, missing], at) => {
    const path = folder.file(`last-lost-${at}.sqlite`);
    const database = new TestDatabase(path);
    for (const topic of ["t", "t", "u", "archived", "v"]) database.append(testMessage(topic, "x"));
    database.archive("archived");
    database.close();
    const db = new DatabaseSync(path);
    if (missing === 4) db.exec("DELETE FROM runs WHERE first_sequence = 5");
    db.exec(deleted);
    db.close();
    assert.throws(
      () => new TestDatabase(path),
      hasCode("broken", `message ${missing} is not there; restore`),
    );
  });
});

/** Overwrites whole pages. */
function damage(path: string, from: number, to: number): void {
  const file = Deno.openSync(path, { write: true });
  file.seekSync(from * 4096, Deno.SeekMode.Start);
  file.writeSync(new Uint8Array((to - from) * 4096).fill(0x5a));
  file.close();
}
