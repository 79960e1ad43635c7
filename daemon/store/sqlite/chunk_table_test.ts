import assert from "node:assert/strict";
import { DatabaseSync } from "node:sqlite";
import { NODE_A, plain, testHeaders, testMessage } from "../contract.ts";
import { StoreError } from "../error.ts";
import type { NewMessage } from "../store.ts";
import { uuid } from "../test_sequence_contract.ts";
import { CHUNK_BYTES, CHUNK_MESSAGES, SCANNED_CHUNKS, SCANNED_MESSAGES } from "./limits.ts";
import { TestDatabase } from "./test_database.ts";
import { TestFolder } from "./test_folder.ts";

const folder = new TestFolder();
let files = 0;

function openDatabase(): TestDatabase {
  return new TestDatabase(folder.file(`${files++}.sqlite`));
}

function sized(bytes: number, topic = "t"): NewMessage {
  return { ...testMessage(topic, "x"), payload: new Uint8Array(bytes) };
}

function many(count: number, topic = "t"): NewMessage[] {
  return Array.from({ length: count }, (_, at) => testMessage(topic, `${at + 1}`));
}

/** The chunks that appended batches become, each in a commit of its own. */
function chunksOf(...batches: NewMessage[][]): string[] {
  const database = openDatabase();
  for (const batch of batches) database.append(...batch);
  database.close();
  return database.chunks;
}

Deno.test("ChunkTable puts messages of one log and one commit into chunks up to the limit of messages", () => {
  assert.deepEqual(chunksOf(many(CHUNK_MESSAGES)), [`t 1 ${CHUNK_MESSAGES}`]);
  assert.deepEqual(chunksOf(many(CHUNK_MESSAGES + 1)), [
    `t 1 ${CHUNK_MESSAGES}`,
    `t ${CHUNK_MESSAGES + 1} 1`,
  ]);
  assert.deepEqual(chunksOf(many(2), many(3)), ["t 1 2", "t 3 3"]);
});

Deno.test("ChunkTable puts messages into chunks up to the limit of bytes, and a larger one into its own", () => {
  const half = CHUNK_BYTES / 2;
  assert.deepEqual(chunksOf([sized(half), sized(half)]), ["t 1 2"]);
  assert.deepEqual(chunksOf([sized(half), sized(half + 1)]), ["t 1 1", "t 2 1"]);
  assert.deepEqual(chunksOf([sized(half), sized(half), sized(1)]), ["t 1 2", "t 3 1"]);
  assert.deepEqual(chunksOf([sized(1), sized(CHUNK_BYTES + 1), sized(1)]), ["t 1 1", "t 2 1", "t 3 1"]);
  const headers = testHeaders(new Uint8Array(98));
  assert.deepEqual(chunksOf([sized(half), { ...sized(half - 100), headers }]), ["t 1 2"]);
  assert.deepEqual(chunksOf([sized(half), { ...sized(half - 99), headers }]), ["t 1 1", "t 2 1"]);
});

Deno.test("ChunkTable begins a chunk where another log comes between", () => {
  const [t, u] = [many(3), many(2, "u")];
  assert.deepEqual(chunksOf([...t, ...u, ...t]), ["t 1 3", "u 1 2", "t 4 3"]);
  assert.deepEqual(chunksOf([...t, ...t.map((message) => ({ ...message, origin: { ...NODE_A } }))]), [
    "t 1 6",
  ]);
});

Deno.test("ChunkTable makes one chunk of calls that share a commit, within its limits", () => {
  const database = openDatabase();
  const lone = (topic: string, count: number) =>
    Array.from(
      { length: count },
      () => (requests: { append(call: number, batch: NewMessage[]): Uint8Array }) =>
        requests.append(1, [sized(10, topic)]),
    );
  database.together(...lone("t", 300), ...lone("u", 1), ...lone("t", 2));
  database.append(sized(10));
  database.close();
  assert.deepEqual(database.chunks, ["t 1 256", "t 257 44", "u 1 1", "t 301 2", "t 303 1"]);
});

Deno.test("ChunkTable reads from inside of any chunk, whatever is between", () => {
  const database = openDatabase();
  const all: string[] = [];
  for (let batch = 0; batch < 12; batch++) {
    const messages = Array.from({ length: [1, 5, 300][batch % 3] ?? 0 }, (_, at) => ({
      ...testMessage("t", `${batch}.${at}`),
      id: at % 7 === 6 ? `id ${batch}.${at}` : uuid(batch * 1_000 + at),
    }));
    all.push(...messages.map(({ id }) => id));
    database.append(...messages);
    if (batch % 2 === 1) database.append(testMessage("u", `${batch}`));
  }
  for (let from = 1; from <= all.length; from += from > 10 && from < 290 ? 13 : 1) {
    for (const messages of [1, 2, 400]) {
      const page = database.read("t", from, { messages, bytes: 1 << 20 });
      assert.deepEqual(page.map(({ id }) => id), all.slice(from - 1, from - 1 + messages));
      assert.deepEqual(page.map(({ headId }) => headId), page.map((_, at) => from + at));
    }
  }
  database.close();
});

Deno.test("ChunkTable never reads the id of a message that follows", () => {
  const database = openDatabase();
  const follower: NewMessage = {
    ...testMessage("t", "x"),
    follows: true,
    get id(): string {
      throw new Error("it was read");
    },
  };
  database.append({ ...testMessage("t", "x"), id: uuid(1) }, ...Array(600).fill(follower));
  assert.deepEqual(
    database.read("t").map(({ id }) => id),
    Array.from({ length: 601 }, (_, at) => uuid(1 + at)),
  );
  database.close();
});

Deno.test("ChunkTable keeps 256 bytes in less than 300 when they come by thousands", () => {
  const database = openDatabase();
  for (let batch = 0; batch < 20; batch++) {
    database.append(...Array.from({ length: 1_000 }, (_, at) => ({
      ...sized(256),
      id: uuid(batch * 1_000 + at),
      createdAtMs: 0x018f_0000_1234,
    })));
  }
  database.close();
  assert.ok(Deno.statSync(database.path).size < 20_000 * 300, `${Deno.statSync(database.path).size}`);
});

Deno.test("Database.deleteRange erases from the beginning, the middle and the end of a chunk, and across chunks", () => {
  const secret = (at: number) => `<secret ${at}>`;
  for (
    const [from, to] of [[1, 1], [2, 2], [100, 100], [100, 150], [256, 256], [256, 257], [257, 257], [
      600,
      600,
    ], [
      1,
      600,
    ], [3, 599]] as const
  ) {
    const database = openDatabase();
    const messages = Array.from({ length: 600 }, (_, at) => ({
      ...testMessage("t", ""),
      id: at % 50 === 49 ? `id ${at}` : uuid(at),
      payload: new TextEncoder().encode(`${secret(at + 1)} in the payload`),
      headers: testHeaders(new TextEncoder().encode(`${secret(at + 1)} in a header`)),
    }));
    database.append(...messages);
    const before = database.read("t").map(plain);
    assert.equal(database.deleteRange(from, to).deletedCount, to - from + 1);
    assert.deepEqual(
      database.read("t").map(plain),
      before.map((message) =>
        message.headId < from || message.headId > to
          ? message
          : { ...message, payload: [], headers: [], deleted: true }
      ),
    );
    for (let head = 1; head <= 600; head++) {
      assert.equal(database.holds(secret(head)), head < from || head > to, `${from} to ${to}: ${head}`);
    }
    const rest = database.deleteRange(Math.max(1, from - 1), Math.min(600, to + 1));
    assert.equal(rest.deletedCount, (from > 1 ? 1 : 0) + (to < 600 ? 1 : 0));
    database.close();
    assert.deepEqual(database.chunks.slice(0, 3), ["t 1 256", "t 257 256", "t 513 88"]);
  }
});

Deno.test("Database.readAll passes over deleted messages by tens of thousands", () => {
  const database = openDatabase();
  for (let batch = 0; batch < 20; batch++) database.append(...many(10_000));
  database.deleteRange(1, 199_999);
  let calls = 0;
  let last: string | undefined;
  for (let from = 1, next = 0; next !== from; calls++) {
    from = next === 0 ? 1 : next;
    const page = database.readAll(from, {
      skipDeleted: true,
      except: [{ topic: "deletes", origin: NODE_A }],
    });
    next = page.next;
    last = page.messages.at(-1)?.id ?? last;
  }
  assert.equal(last, "id-10000");
  assert.ok(calls >= 200_000 / SCANNED_MESSAGES && calls <= 10, `${calls} calls`);
  database.close();
});

Deno.test("Database.readAll looks at a bounded number of chunks a call", () => {
  const database = openDatabase();
  const pairs = Array.from(
    { length: SCANNED_CHUNKS * 2 },
    (_, at) => testMessage(at % 2 === 0 ? "t" : "u", "x"),
  );
  database.append(...pairs);
  const { messages, next } = database.readAll(1, { only: [{ topic: "v", origin: NODE_A }] });
  assert.equal(messages.length, 0);
  assert.ok(next > SCANNED_CHUNKS / 2 && next <= SCANNED_CHUNKS * 2, `${next}`);
  database.close();
});

Deno.test("Database says broken to all that changes something after it found a chunk damaged", () => {
  const damages = [
    "x'1207'",
    "CAST(substr(messages, 2) AS BLOB)",
    "CAST(messages || x'1200' AS BLOB)",
    "x''",
  ];
  const finds: ((database: TestDatabase) => unknown)[] = [
    (database) => database.read("t"),
    (database) => database.readAll(1, {}),
    (database) => database.deleteRange(1, 2),
  ];
  const broken = (error: unknown) => error instanceof StoreError && error.code === "broken";
  for (const damage of damages) {
    for (const find of finds) {
      const database = openDatabase();
      database.append(...many(3));
      database.close();
      const db = new DatabaseSync(database.path);
      db.exec(`UPDATE chunks SET messages = ${damage}`);
      db.close();
      const again = new TestDatabase(database.path);
      assert.throws(() => find(again), broken, damage);
      assert.throws(() => again.append(...many(1)), broken);
      assert.throws(() => again.check(), broken);
      again.close();
    }
  }
});

Deno.test("Database says broken where chunks are missing, and passes over nothing in silence", () => {
  const finds: ((database: TestDatabase) => unknown)[] = [
    (database) => database.read("t"),
    (database) => database.read("t", 4),
    (database) => database.readAll(1, {}),
    (database) => database.readAll(5, {}),
    (database) => database.readAll(1, { only: [{ topic: "u", origin: NODE_A }] }),
    (database) => database.deleteRange(1, 7),
  ];
  for (const find of finds) {
    const database = openDatabase();
    for (let i = 0; i < 3; i++) database.append(...many(3));
    database.close();
    const db = new DatabaseSync(database.path);
    db.exec("DELETE FROM chunks WHERE first_sequence = 4");
    db.close();
    const again = new TestDatabase(database.path);
    const broken = (error: unknown) => error instanceof StoreError && error.code === "broken";
    assert.throws(() => find(again), broken, `${find}`);
    assert.throws(() => again.check(), broken);
    again.close();
  }
});
