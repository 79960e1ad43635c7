import assert from "node:assert/strict";
import { NODE_A, NODE_B, PLENTY, readAll, testFifoMessage } from "../contract.ts";
import { StoreError } from "../error.ts";
import type { PeerSyncState, ReplicatedBatch } from "../store.ts";
import { replicatedBatch, replicatedMessage, replicatedTombstone } from "../test_replication_contract.ts";
import type { RequestWriter } from "./request_writer.ts";
import { SqliteStore } from "./store.ts";
import { FullDisk, TestDatabase } from "./test_database.ts";
import { TestFolder } from "./test_folder.ts";

const folder = new TestFolder();
const SECRET = "the secret ".repeat(1_000);

function secret(headId: number) {
  return replicatedMessage(headId, { payload: new TextEncoder().encode(SECRET) });
}

function tombstones(from: number, to: number): ReplicatedBatch {
  const messages = Array.from({ length: to - from + 1 }, (_, at) => replicatedTombstone(from + at));
  return replicatedBatch(from, to, { messages });
}

function copying(batch: ReplicatedBatch): (requests: RequestWriter) => Uint8Array {
  return (requests) => requests.replicate(1, batch);
}

function isFull(error: unknown): boolean {
  return error instanceof StoreError && error.code === "full";
}

Deno.test("Database.commit erases a message from the files when it arrives deleted, and when a marker deletes it", () => {
  const byTombstone = replicatedBatch(1, 1, { messages: [replicatedTombstone(1)] });
  const byMarker = replicatedBatch(1, 1, {
    topic: "deletes",
    deletes: [{ topic: "t", from: 1, to: 9 }],
  });
  for (const [at, batch] of [byTombstone, byMarker].entries()) {
    const database = new TestDatabase(folder.file(`erase-${at}.sqlite`));
    database.replicate(replicatedBatch(1, 2, { messages: [secret(1), replicatedMessage(2)] }));
    assert.equal(database.holds("the secret"), true);
    assert.equal(database.replicate(batch).erased, true);
    assert.equal(database.holds("the secret"), false);
    assert.equal(database.erasureDue, false);
    database.close();
  }
});

Deno.test("Database.commit erases a message of a log set aside from the files, and copies the rest without an erasure", () => {
  const arrived = [tombstones(1, 1)];
  const covered = [
    replicatedBatch(1, 1, { topic: "deletes", deletes: [{ topic: "t", from: 1, to: 1 }] }),
    replicatedBatch(1, 1, { messages: [secret(1)] }),
  ];
  for (const [at, batches] of [arrived, covered].entries()) {
    const disk = new FullDisk();
    const database = new TestDatabase(folder.file(`aside-${at}.sqlite`), disk);
    database.replicate(replicatedBatch(1, 9, { messages: [secret(1), ...replicatedBatch(2, 9).messages] }));
    database.together((requests) => requests.archive(1, "t", NODE_B, false));
    assert.equal(database.holds("the secret"), true);
    const tried = database.together(...batches.map(copying));
    assert.equal(database.holds("the secret"), false);
    assert.deepEqual(tried, batches.map(() => 1));
    assert.deepEqual(database.together(copying(replicatedBatch(2, 4)), copying(replicatedBatch(5, 9))), [2]);
    database.close();
  }
});

Deno.test("Database.commit erases a part of a range from the files, in a commit of its own", () => {
  const disk = new FullDisk();
  const database = new TestDatabase(folder.file("part.sqlite"), disk);
  database.replicate(replicatedBatch(1, 2, { messages: [secret(1), replicatedMessage(2)] }));
  assert.equal(database.holds("the secret"), true);
  const tried = database.together(
    copying(replicatedBatch(3, 3)),
    (requests) => requests.eraseRange(1, "t", NODE_B, 1, 1, ""),
    copying(replicatedBatch(4, 4)),
  );
  assert.deepEqual(tried, [1, 1, 1]);
  assert.equal(database.holds("the secret"), false);
  database.close();
});

Deno.test("Database.commit never writes the payload of a message that a remembered range covers", () => {
  const database = new TestDatabase(folder.file("covered.sqlite"));
  database.replicate(replicatedBatch(1, 1, { topic: "deletes", deletes: [{ topic: "t", from: 1, to: 1 }] }));
  assert.deepEqual(database.replicate(replicatedBatch(1, 1, { messages: [secret(1)] })).deletedHeads, [1]);
  assert.equal(database.holds("the secret"), false);
  database.close();
});

Deno.test("Database.commit forgets a remembered range when it has all its messages, unless it is another incarnation's", () => {
  const database = new TestDatabase(folder.file("forget.sqlite"));
  const ranges = [[1, 2], [2, 2], [4, 9], [10, 12], [20, 21]].map(([from = 0, to = 0]) => ({
    topic: "t",
    from,
    to,
  }));
  const marker = (head: number, incarnation: string, deletes: ReplicatedBatch["deletes"]) =>
    database.replicate(replicatedBatch(head, head, { topic: "deletes", incarnation, deletes }));
  marker(1, "i", ranges);
  marker(2, "other", [{ topic: "t", from: 3, to: 3 }]);
  assert.deepEqual(database.replicate(replicatedBatch(1, 5, { incarnation: "i" })).deletedHeads, [
    1,
    2,
    4,
    5,
  ]);
  assert.deepEqual(
    database.replicate(replicatedBatch(6, 13, { incarnation: "i" })).deletedHeads,
    [6, 7, 8, 9, 10, 11, 12],
  );
  database.close();
  assert.equal(database.remembered, 2, "20 to 21, and the other incarnation's");
});

Deno.test("Database.commit shares commits among new tombstones and markers, without an erasure", () => {
  const disk = new FullDisk();
  const database = new TestDatabase(folder.file("shared.sqlite"), disk);
  const marker = (head: number) =>
    replicatedBatch(head, head, {
      topic: "deletes",
      deletes: [{ topic: "t", from: 1 + head * 100, to: 1 + head * 100 }],
    });
  const batches = [tombstones(1, 4), tombstones(5, 8), marker(1), replicatedBatch(9, 9), marker(2)];
  assert.deepEqual(database.together(...batches.map(copying)), [5]);
  assert.equal(disk.checkpoints, 0);
  database.close();
});

Deno.test("Database.commit gives an own commit to what deletes a message that a call before it brings", () => {
  const disk = new FullDisk();
  const database = new TestDatabase(folder.file("own-commit.sqlite"), disk);
  const marker = replicatedBatch(1, 1, { topic: "deletes", deletes: [{ topic: "t", from: 3, to: 3 }] });
  const batches = [
    replicatedBatch(1, 2),
    replicatedBatch(3, 3, { messages: [secret(3)] }),
    tombstones(2, 2),
    marker,
    replicatedBatch(4, 4),
  ];
  assert.deepEqual(database.together(...batches.map(copying)), [2, 2, 1]);
  assert.equal(database.holds("the secret"), false);
  assert.equal(disk.checkpoints, 2);
  database.close();
});

Deno.test("Database.commit deletes nothing by replication when there is no space to erase, and says when it is due", () => {
  const disk = new FullDisk();
  const database = new TestDatabase(folder.file("no-space.sqlite"), disk);
  database.replicate(replicatedBatch(1, 1, { origin: NODE_A, messages: [secret(1)] }));
  const tombstone = replicatedBatch(1, 1, { origin: NODE_A, messages: [replicatedTombstone(1)] });
  disk.fails = () => true;
  assert.throws(() => database.replicate(tombstone), isFull);
  assert.deepEqual(database.read("t").map(({ deleted }) => deleted), [false]);
  const before = disk.checkpoints;
  disk.fails = (checkpoint) => checkpoint > before + 1;
  assert.deepEqual(database.replicate(tombstone), {
    headId: 1,
    appended: 0,
    firstSequence: 0,
    deletedHeads: [],
    newlyDeletedHeads: [1],
    enqueued: [],
    erased: false,
  });
  assert.equal(database.erasureDue, true);
  assert.equal(database.replicate(replicatedBatch(2, 2, { origin: NODE_A })).erased, true, "not its own");
  database.close();
});

Deno.test("SqliteStore keeps copied logs, logs set aside, ranges and cursors over close and open", async () => {
  const path = folder.file("reopen.sqlite");
  const state: PeerSyncState = {
    peer: "p",
    topic: "t",
    origin: NODE_B,
    localHead: 1,
    remoteHead: 2,
    lastSyncedHead: 3,
    lastAttemptAtMs: 4,
    lastSuccessAtMs: 5,
    consecutiveFailures: 6,
    lastError: "",
    localIncarnation: "l",
    remoteIncarnation: "r",
    fork: "refused",
  };
  const cursor = { peer: "p", incarnation: "i", sequence: 7, opening: "m" };
  let store = await SqliteStore.open({ path });
  const { incarnation } = store;
  await store.replicate(replicatedBatch(1, 3, { incarnation: "first" }));
  await store.archive("t", NODE_B);
  await store.replicate(replicatedBatch(1, 1, { incarnation: "first", messages: [secret(1)] }));
  await store.archive("t", NODE_B);
  await store.replicate(replicatedBatch(1, 1, {
    topic: "deletes",
    incarnation: "markers",
    deletes: [{ topic: "t", from: 2, to: 2 }],
  }));
  await store.replicate(replicatedBatch(1, 1, { incarnation: "second" }));
  await store.recordPeerSync([state], cursor);
  for (let round = 0; round < 2; round++) {
    await store.close();
    store = await SqliteStore.open({ path });
    assert.equal(store.incarnation, incarnation);
    const heads = (await store.heads()).map(({ topic, headId, incarnation, sequence }) =>
      `${topic} ${headId} ${incarnation} ${sequence}`
    );
    assert.deepEqual(
      heads.sort(),
      round === 0 ? ["deletes 1 markers 5", "t 1 second 6"] : [
        "deletes 1 markers 5",
        "t 3 second 8",
      ],
    );
    assert.deepEqual(
      (await store.archivedLogs()).map(({ name, headId }) => `${name} ${headId}`).sort(),
      ["first 3", "first.2 1"],
    );
    const aside = await store.readArchived("t", NODE_B, "first.2", 1, PLENTY);
    assert.deepEqual(aside.map(({ payload }) => new TextDecoder().decode(payload)), [SECRET]);
    assert.deepEqual(await store.peerSyncStates(), [state]);
    assert.deepEqual(await store.peerCursor("p"), cursor);
    const copied = await store.replicate(replicatedBatch(1, 3));
    assert.deepEqual(copied.deletedHeads, round === 0 ? [2] : []);
  }
  assert.equal(await store.archive("t", NODE_B), "second");
  await store.close();
});

Deno.test("Database.commit leaves no trace of a log set aside and of a batch when the disk is full", () => {
  const database = new TestDatabase(folder.file("full.sqlite"), {}, 60);
  const own = { origin: NODE_A };
  database.replicate(replicatedBatch(1, 2, { ...own, incarnation: "first" }));
  const large = replicatedMessage(1, { payload: new Uint8Array(1_000_000) });
  const tried = database.together(
    copying(replicatedBatch(3, 3, { ...own, incarnation: "second" })),
    (requests) => requests.archive(1, "t", NODE_A, false),
    copying(replicatedBatch(1, 1, { ...own, incarnation: "third", messages: [large] })),
  );
  assert.deepEqual(tried, [3]);
  assert.deepEqual([database.heads, database.incarnations, database.archived], [["t 2"], ["t first"], []]);
  assert.deepEqual(database.read("t").map(({ id }) => id), ["id-1", "id-2"]);
  assert.equal(database.archive("t"), "first");
  assert.deepEqual(database.replicate(replicatedBatch(1, 1, own)).firstSequence, 3);
  database.close();
  const again = new TestDatabase(database.path);
  assert.deepEqual([again.heads, again.incarnations, again.archived], [["t 1"], ["t "], ["first 2"]]);
  again.close();
});

Deno.test("SqliteStore has all of a copied batch or nothing after its process was killed", async () => {
  const path = folder.file("killed.sqlite");
  const module = new URL("./crash_copier.ts", import.meta.url).href;
  for (let round = 1; round <= 3; round++) {
    const copier = new Deno.Command(Deno.execPath(), { args: ["run", "-A", module, path], stdout: "piped" })
      .spawn();
    let acked = 0;
    let text = "";
    let lines = 0;
    for await (const chunk of copier.stdout.pipeThrough(new TextDecoderStream())) {
      const complete = (text + chunk).split("\n");
      text = complete.pop() ?? "";
      for (const line of complete) acked = Math.max(acked, Number(line));
      lines += complete.length;
      if (lines > 60 * round) {
        copier.kill("SIGKILL");
        break;
      }
    }
    await copier.status;
    const store = await SqliteStore.open({ path });
    const logs = new Map((await store.heads()).map((log) => [log.topic, log]));
    const head = logs.get("t")?.headId ?? 0;
    assert.ok(head >= acked && acked > 0, `the log ends at ${head}, acknowledged ${acked}`);
    assert.equal(head % 3, 0);
    assert.equal(logs.get("t")?.incarnation, "i");
    const messages = await readAll(store, "t", NODE_B);
    // Each batch deletes the first message of the batch after it, and the second of the one before it.
    assert.deepEqual(
      messages.map(({ headId, deleted }) => `${headId} ${deleted}`),
      Array.from(
        { length: head },
        (_, at) => `${at + 1} ${at % 3 === 0 && at > 0 || at % 3 === 1 && at < head - 3}`,
      ),
    );
    // Each batch puts one message into the queue.
    const last = await store.enqueueFifo(testFifoMessage("q", "probe"));
    assert.equal(last - round, head / 3);
    await store.close();
  }
});
