import assert from "node:assert/strict";
import {
  contractTests,
  hasCode,
  NO_BYTES,
  NODE_A,
  NODE_B,
  plain,
  PLENTY,
  readAll,
  type StoreUnderTest,
  TEST_HEADERS,
  testFifoMessage,
  testMessage,
  texts,
} from "./contract.ts";
import type { NodeName, ReplicatedBatch, ReplicatedMessage, Store, StoredMessage } from "./store.ts";

/** A message of another node's log; its payload and id follow from its head. */
export function replicatedMessage(
  headId: number,
  change: Partial<ReplicatedMessage> = {},
): ReplicatedMessage {
  const { id, createdAtMs, payload } = testMessage("", `${headId}`);
  return { headId, id, createdAtMs, payload, headers: TEST_HEADERS, deleted: false, ...change };
}

/** The same, deleted. */
export function replicatedTombstone(headId: number): ReplicatedMessage {
  return replicatedMessage(headId, { payload: NO_BYTES, headers: NO_BYTES, deleted: true });
}

/** The heads `from` to `to` of the log "t" of NODE_B, with changes. */
export function replicatedBatch(
  from: number,
  to: number,
  change: Partial<ReplicatedBatch> = {},
): ReplicatedBatch {
  const messages = Array.from({ length: to - from + 1 }, (_, at) => replicatedMessage(from + at));
  return { topic: "t", origin: NODE_B, incarnation: "", messages, deletes: [], enqueues: [], ...change };
}

const NOTHING_NEW = {
  appended: 0,
  firstSequence: 0,
  deletedHeads: [],
  newlyDeletedHeads: [],
  enqueued: [],
  erased: true,
};

/** All that can be seen of a store. */
async function everything(store: Store) {
  const logs = [];
  for (const log of await store.heads()) {
    logs.push([log, (await readAll(store, log.topic, log.origin)).map(plain)]);
  }
  return [logs, await store.archivedLogs(), await store.peekFifo("q"), await store.peerSyncStates()];
}

function shape(messages: readonly StoredMessage[]): string[] {
  return messages.map(({ headId, payload, headers, deleted }) =>
    `${headId} ${new TextDecoder().decode(payload)} ${headers.length > 0 ? 1 : 0} ${
      deleted ? "deleted" : "kept"
    }`
  );
}

/** Registers the tests of copied logs, of logs set aside and of what is recorded of peers. */
export function testReplicationContract(underTest: StoreUnderTest): void {
  const test = contractTests(underTest);

  test("the incarnation of a storage is a UUID of its own", async (store) => {
    assert.match(store.incarnation, /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/);
    const other = await underTest.open();
    assert.notEqual(other.incarnation, store.incarnation);
    await other.close();
  });

  test("replicate appends what is new and keeps every field", async (store) => {
    const uuid = "018f0000-1234-7abc-8def-0123456789ab";
    const messages = [
      replicatedMessage(1, { id: uuid, createdAtMs: 0x018f_0000_1234 }),
      replicatedMessage(2, { id: uuid, createdAtMs: 5, headers: NO_BYTES }),
      replicatedMessage(3, { id: "ü\0", payload: NO_BYTES }),
      replicatedTombstone(4),
    ];
    assert.deepEqual(await store.replicate(replicatedBatch(1, 4, { messages })), {
      ...NOTHING_NEW,
      headId: 4,
      appended: 4,
      firstSequence: 1,
    });
    const stored = await readAll(store, "t", NODE_B);
    assert.deepEqual(
      stored.map(({ headId, id, createdAtMs, payload, headers, deleted }) => ({
        headId,
        id,
        createdAtMs,
        payload: [...payload],
        headers: [...headers],
        deleted,
      })),
      messages.map((message) => ({
        ...message,
        payload: [...message.payload],
        headers: [...message.headers],
      })),
    );
  });

  test("replicate keeps no payload and headers of a message that arrives deleted", async (store) => {
    await store.replicate(replicatedBatch(1, 1, { messages: [replicatedMessage(1, { deleted: true })] }));
    assert.deepEqual(shape(await readAll(store, "t", NODE_B)), ["1  0 deleted"]);
  });

  test("sequences go on over append, replicate and deleteRange", async (store) => {
    await store.append([testMessage("t", "own")]);
    const copied = await store.replicate(replicatedBatch(1, 2));
    assert.equal(copied.firstSequence, 2);
    assert.deepEqual(await store.append([testMessage("t", "own too")]), [{ headId: 2, sequence: 4 }]);
    await store.deleteRange("t", NODE_A, 1, 1, testMessage("deletes", "m"));
    assert.equal((await store.replicate(replicatedBatch(3, 3))).firstSequence, 6);
    const { messages } = await store.readAll(1, {}, PLENTY);
    assert.deepEqual(
      messages.map(({ sequence, id }) => `${sequence} ${id}`),
      ["1 id-own", "2 id-1", "3 id-2", "4 id-own too", "5 id-m", "6 id-3"],
    );
    const heads = (await store.heads()).map(({ topic, origin, headId, sequence }) =>
      `${topic} ${origin.deviceId} ${headId} ${sequence}`
    );
    assert.deepEqual(heads.sort(), ["deletes a 1 5", "t a 2 4", "t b 3 6"]);
  });

  test("replicate of the same batch again changes nothing, and of an overlap adds the rest", async (store) => {
    const enqueues = [{ headId: 2, message: testFifoMessage("q", "f") }];
    const batch = replicatedBatch(1, 3, {
      incarnation: "i",
      enqueues,
      deletes: [{ topic: "u", from: 1, to: 2 }],
      messages: [replicatedMessage(1), replicatedMessage(2), replicatedTombstone(3)],
    });
    await store.replicate(replicatedBatch(1, 2, { topic: "u" }));
    assert.deepEqual((await store.replicate(batch)).enqueued, [1]);
    const before = await everything(store);
    assert.deepEqual(await store.replicate(batch), { ...NOTHING_NEW, headId: 3, enqueued: [0] });
    assert.deepEqual(await everything(store), before);
    const inside = replicatedBatch(2, 2);
    assert.deepEqual(await store.replicate(inside), { ...NOTHING_NEW, headId: 3 });
    assert.deepEqual(await everything(store), before);
    const { headId, appended, firstSequence } = await store.replicate(replicatedBatch(2, 5));
    assert.deepEqual([headId, appended, firstSequence], [5, 2, 6]);
    assert.deepEqual(shape(await readAll(store, "t", NODE_B)), [
      "1 1 1 kept",
      "2 2 1 kept",
      "3  0 deleted",
      "4 4 1 kept",
      "5 5 1 kept",
    ]);
  });

  test("replicate compares an overlap of thousands of messages over many runs", async (store) => {
    for (let head = 1; head <= 3_000; head += 300) {
      await store.replicate(replicatedBatch(head, head + 299));
      await store.append([testMessage("other", `${head}`)]);
    }
    assert.equal((await store.replicate(replicatedBatch(1, 3_001))).appended, 1);
    const differs = replicatedBatch(1, 3_002);
    const messages = differs.messages.map((message) =>
      message.headId === 2_900 ? { ...message, createdAtMs: 1 } : message
    );
    await assert.rejects(store.replicate({ ...differs, messages }), hasCode("conflict", "head 2900 "));
    assert.equal((await readAll(store, "t", NODE_B)).length, 3_001);
  });

  test("replicate fails with conflict at each field that differs, and changes nothing", async (store) => {
    const uuid = "018f0000-1234-7abc-8def-0123456789ab";
    await store.replicate(replicatedBatch(1, 3));
    await store.replicate(
      replicatedBatch(4, 4, {
        messages: [replicatedMessage(4, { id: uuid, createdAtMs: 0x018f_0000_1234 })],
      }),
    );
    await store.replicate(replicatedBatch(5, 5, { messages: [replicatedTombstone(5)] }));
    const before = await everything(store);
    const wrong = [
      replicatedMessage(2, { id: "id-3" }),
      replicatedMessage(2, { id: "id-22" }),
      replicatedMessage(2, { id: uuid }),
      replicatedMessage(2, { createdAtMs: 1 }),
      replicatedMessage(2, { payload: Uint8Array.of(1) }),
      replicatedMessage(2, { payload: NO_BYTES }),
      replicatedMessage(2, { headers: Uint8Array.of(0x32, 1, 8) }),
      replicatedMessage(2, { headers: NO_BYTES }),
      { ...replicatedTombstone(2), id: "id-3" },
      { ...replicatedTombstone(2), createdAtMs: 1 },
      replicatedMessage(4, { createdAtMs: 0x018f_0000_1234 }),
      replicatedMessage(4, { id: uuid, createdAtMs: 0x018f_0000_1235 }),
      replicatedMessage(5, { id: "id-3" }),
      replicatedMessage(5, { createdAtMs: 1 }),
    ];
    for (const message of wrong) {
      const batch = replicatedBatch(1, 1, {
        incarnation: "other",
        messages: [...replicatedBatch(message.headId - 1, message.headId - 1).messages, message],
        deletes: [{ topic: "t", from: 1, to: 3 }],
        enqueues: [{ headId: message.headId, message: testFifoMessage("q", "f") }],
      });
      const fromHere = message.headId === 2 ? batch : { ...batch, messages: [message] };
      await assert.rejects(store.replicate(fromHere), hasCode("conflict", `head ${message.headId} `));
      assert.deepEqual(await everything(store), before);
    }
  });

  test("replicate fails with gap beyond head + 1 and for heads that do not follow one another", async (store) => {
    await assert.rejects(store.replicate(replicatedBatch(2, 3)), hasCode("gap"));
    await store.replicate(replicatedBatch(1, 2));
    const before = await everything(store);
    await assert.rejects(store.replicate(replicatedBatch(4, 4)), hasCode("gap", '"t"'));
    for (const heads of [[3, 5], [3, 3], [4, 3], [0, 1], []]) {
      const messages = heads.map((head) => replicatedMessage(head));
      await assert.rejects(store.replicate(replicatedBatch(1, 1, { messages })), hasCode("gap"));
    }
    assert.deepEqual(await everything(store), before);
  });

  test("replicate fails with conflict for a range that is none", async (store) => {
    for (const [from, to] of [[0, 1], [3, 2]] as const) {
      const deletes = [{ topic: "u", from: 1, to: 1 }, { topic: "u", from, to }];
      await assert.rejects(store.replicate(replicatedBatch(1, 1, { deletes })), hasCode("conflict", '"u"'));
    }
    assert.deepEqual(await store.heads(), []);
  });

  test("replicate that fails leaves its neighbours, which build on one another", async (store) => {
    const calls = [
      store.replicate(replicatedBatch(1, 3)),
      store.replicate(replicatedBatch(5, 5)),
      store.replicate(replicatedBatch(2, 2, { messages: [replicatedMessage(2, { id: "x" })] })),
      store.replicate(replicatedBatch(4, 4)),
      store.replicate(replicatedBatch(4, 4, { messages: [replicatedTombstone(4)] })),
      store.replicate(replicatedBatch(4, 6)),
    ];
    const codes = (await Promise.allSettled(calls)).map((result) =>
      result.status === "fulfilled" ? result.value.appended : result.reason.code
    );
    assert.deepEqual(codes, [3, "gap", "conflict", 1, 0, 2]);
    assert.deepEqual(
      (await readAll(store, "t", NODE_B)).map(({ deleted }) => deleted),
      [false, false, false, true, false, false],
    );
  });

  test("replicate turns deleted on and never off", async (store) => {
    await store.replicate(replicatedBatch(1, 6));
    const messages = [2, 3, 4, 5, 6, 7, 8].map((head) =>
      head === 4 || head === 8 ? replicatedMessage(head) : replicatedTombstone(head)
    );
    const copied = await store.replicate(replicatedBatch(2, 8, { messages }));
    assert.deepEqual(copied, {
      ...NOTHING_NEW,
      headId: 8,
      appended: 2,
      firstSequence: 7,
      newlyDeletedHeads: [2, 3, 5, 6],
    });
    const expected = [
      "1 1 1 kept",
      "2  0 deleted",
      "3  0 deleted",
      "4 4 1 kept",
      "5  0 deleted",
      "6  0 deleted",
      "7  0 deleted",
      "8 8 1 kept",
    ];
    assert.deepEqual(shape(await readAll(store, "t", NODE_B)), expected);
    assert.deepEqual(await store.replicate(replicatedBatch(1, 8)), { ...NOTHING_NEW, headId: 8 });
    assert.deepEqual(shape(await readAll(store, "t", NODE_B)), expected);
  });

  test("a range deletes what is stored, and what arrives later, in the logs it names only", async (store) => {
    await store.replicate(replicatedBatch(1, 3));
    await store.append([testMessage("t", "own")]);
    const marker = (head: number, deletes: ReplicatedBatch["deletes"]) =>
      store.replicate(replicatedBatch(head, head, { topic: "deletes", deletes }));
    assert.deepEqual(
      await marker(1, [{ topic: "t", from: 2, to: 5 }, { topic: "later", from: 2, to: 2 }]),
      { ...NOTHING_NEW, headId: 1, appended: 1, firstSequence: 5 },
    );
    assert.deepEqual((await store.heads()).map(({ topic }) => topic).sort(), ["deletes", "t", "t"]);
    const copied = await store.replicate(replicatedBatch(3, 7));
    assert.deepEqual([copied.deletedHeads, copied.newlyDeletedHeads], [[4, 5], []]);
    assert.deepEqual(shape(await readAll(store, "t", NODE_B)), [
      "1 1 1 kept",
      "2  0 deleted",
      "3  0 deleted",
      "4  0 deleted",
      "5  0 deleted",
      "6 6 1 kept",
      "7 7 1 kept",
    ]);
    await marker(2, [{ topic: "t", from: 7, to: 9 }, { topic: "t", from: 9, to: 12 }]);
    const messages = [replicatedMessage(8), replicatedTombstone(9), replicatedMessage(10)];
    assert.deepEqual((await store.replicate(replicatedBatch(8, 10, { messages }))).deletedHeads, [8, 10]);
    assert.deepEqual((await store.replicate(replicatedBatch(1, 3, { topic: "later" }))).deletedHeads, [2]);
    assert.deepEqual(shape(await readAll(store, "later", NODE_B)), [
      "1 1 1 kept",
      "2  0 deleted",
      "3 3 1 kept",
    ]);
    assert.deepEqual(await texts(store, "t"), ["own"]);
  });

  test("eraseRange erases what is stored, appends and remembers nothing, and a marker erases the rest", async (store) => {
    await store.replicate(replicatedBatch(1, 5));
    assert.equal(await store.eraseRange("t", NODE_B, 1, 2, ""), true);
    assert.equal(await store.eraseRange("t", NODE_B, 2, 3, ""), true);
    await store.eraseRange("t", NODE_B, 6, 9, "");
    await store.eraseRange("unknown", NODE_B, 1, 9, "");
    await assert.rejects(store.eraseRange("t", NODE_B, 3, 2, ""), hasCode("conflict"));
    const kept = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, at) => `${from + at} ${from + at} 1 kept`);
    const gone = (from: number, to: number) =>
      Array.from({ length: to - from + 1 }, (_, at) => `${from + at}  0 deleted`);
    assert.deepEqual(shape(await readAll(store, "t", NODE_B)), [...gone(1, 3), ...kept(4, 5)]);
    assert.deepEqual((await store.heads()).map(({ topic }) => topic), ["t"]);
    assert.deepEqual((await store.replicate(replicatedBatch(6, 6))).deletedHeads, []);
    const deletes = [{ topic: "t", from: 1, to: 9, erasedTo: 3 }];
    await store.replicate(replicatedBatch(1, 1, { topic: "deletes", deletes }));
    assert.deepEqual((await store.replicate(replicatedBatch(7, 10))).deletedHeads, [7, 8, 9]);
    assert.deepEqual(shape(await readAll(store, "t", NODE_B)), [...gone(1, 9), ...kept(10, 10)]);
  });

  test("a range beyond the head is for messages of the marker's incarnation, or of one that nobody said", async (store) => {
    const marker = (head: number, incarnation: string, topic: string) =>
      store.replicate(
        replicatedBatch(head, head, { topic: "deletes", incarnation, deletes: [{ topic, from: 1, to: 2 }] }),
      );
    const copy = async (topic: string, incarnation: string) =>
      (await store.replicate(replicatedBatch(1, 3, { topic, incarnation }))).deletedHeads;
    await marker(1, "first", "new");
    await marker(2, "first", "old");
    await marker(3, "first", "unsaid");
    assert.deepEqual(await copy("new", "second"), []);
    assert.deepEqual(await copy("old", "first"), [1, 2]);
    assert.deepEqual(await copy("unsaid", ""), [1, 2]);
    await marker(4, "", "any");
    assert.deepEqual(await copy("any", "second"), [1, 2]);
    await marker(5, "first", "new");
    assert.deepEqual((await readAll(store, "new", NODE_B)).map(({ deleted }) => deleted), [
      false,
      false,
      false,
    ]);
    assert.equal(await store.eraseRange("new", NODE_B, 1, 3, "first"), true);
    assert.deepEqual((await readAll(store, "new", NODE_B)).map(({ deleted }) => deleted), [
      false,
      false,
      false,
    ]);
    await marker(6, "second", "new");
    assert.deepEqual((await readAll(store, "new", NODE_B)).map(({ deleted }) => deleted), [
      true,
      true,
      false,
    ]);
  });

  test("a range of deleteRange counts for messages that are copied, too", async (store) => {
    await store.append([testMessage("t", "1")]);
    await store.deleteRange("t", NODE_A, 1, 1, testMessage("deletes", "m"));
    const copied = await store.replicate(
      replicatedBatch(1, 2, {
        origin: NODE_A,
        messages: [replicatedMessage(1), replicatedMessage(2)],
      }),
    );
    assert.deepEqual([copied.headId, copied.deletedHeads], [2, []]);
    assert.deepEqual(shape(await readAll(store, "t")), ["1  0 deleted", "2 2 1 kept"]);
  });

  test("replicate enqueues once, and nothing that is deleted or not of the batch", async (store) => {
    await store.replicate(replicatedBatch(1, 1));
    await store.replicate(
      replicatedBatch(1, 1, { topic: "deletes", deletes: [{ topic: "t", from: 3, to: 3 }] }),
    );
    const messages = [1, 2, 3, 4, 5].map((head) =>
      head === 4 ? replicatedTombstone(head) : replicatedMessage(head)
    );
    const enqueues = [1, 2, 3, 4, 5, 6].map((headId) => ({
      headId,
      message: testFifoMessage("q", `f${headId}`),
    }));
    const batch = replicatedBatch(1, 5, { messages, enqueues });
    assert.deepEqual((await store.replicate(batch)).enqueued, [0, 1, 0, 0, 2, 0]);
    assert.deepEqual((await store.replicate(batch)).enqueued, [0, 0, 0, 0, 0, 0]);
    for (const id of ["f2", "f5"]) {
      const front = await store.peekFifo("q");
      assert.deepEqual(
        front && { ...front, payload: [...front.payload], headers: [...front.headers] },
        {
          ...testFifoMessage("q", id),
          payload: [...new TextEncoder().encode(`payload of ${id}`)],
          headers: [1, 2, 3],
          sequence: id === "f2" ? 1 : 2,
          attempts: 0,
        },
      );
      assert.equal(await store.ackFifo("q", id), true);
    }
    assert.equal(await store.peekFifo("q"), undefined);
  });

  test("replicate enqueues nothing again that a log set aside has as well", async (store) => {
    const enqueues = [1, 2, 3, 4].map((headId) => ({ headId, message: testFifoMessage("q", `f${headId}`) }));
    const batch = replicatedBatch(1, 3, { enqueues: enqueues.slice(0, 3) });
    assert.deepEqual((await store.replicate(batch)).enqueued, [1, 2, 3]);
    await store.archive("t", NODE_B);
    const messages = [1, 2, 3, 4].map((head) => replicatedMessage(head, head === 3 ? { id: "another" } : {}));
    assert.deepEqual((await store.replicate(replicatedBatch(1, 4, { messages, enqueues }))).enqueued, [
      0,
      0,
      4,
      5,
    ]);
    await store.archive("t", NODE_B);
    assert.deepEqual((await store.replicate(batch)).enqueued, [0, 0, 0], "in any of them");
  });

  test("a log takes on the incarnation of a batch that has one", async (store) => {
    const incarnation = async () => (await store.heads()).map((log) => log.incarnation);
    await store.append([testMessage("t", "1")]);
    assert.deepEqual(await incarnation(), [""]);
    const batch = (head: number, incarnation: string) =>
      store.replicate(replicatedBatch(head, head, {
        origin: NODE_A,
        incarnation,
        messages: [replicatedMessage(head, { headers: NO_BYTES })],
      }));
    await batch(1, "first");
    assert.deepEqual(await incarnation(), ["first"]);
    await batch(2, "");
    await store.append([testMessage("t", "3")]);
    assert.deepEqual(await incarnation(), ["first"]);
    await batch(4, "second");
    assert.deepEqual(await incarnation(), ["second"]);
    await assert.rejects(batch(6, "third"), hasCode("gap"));
    assert.deepEqual(await incarnation(), ["second"]);
  });

  test("archive sets a log aside, which can be read, and another one takes its place", async (store) => {
    await assert.rejects(store.archive("t", NODE_B), hasCode("conflict", '"t"'));
    const names: string[] = [];
    for (const [round, incarnation] of ["", "", "i", "i", "i", ""].entries()) {
      const messages = [
        replicatedMessage(1, { payload: new TextEncoder().encode(`round ${round}`) }),
        replicatedMessage(2),
      ];
      const copied = store.replicate(replicatedBatch(1, 2, { incarnation, messages }));
      const name = store.archive("t", NODE_B); // in the same commit
      assert.deepEqual((await copied).appended, 2);
      names.push(await name);
      assert.deepEqual(await store.heads(), []);
      assert.deepEqual(await readAll(store, "t", NODE_B), []);
    }
    assert.deepEqual(names, ["unknown", "unknown.2", "i", "i.2", "i.3", "unknown.3"]);
    await store.append([testMessage("t", "now", NODE_B)]);
    assert.deepEqual(await texts(store, "t", NODE_B), ["now"]);
    assert.deepEqual(
      (await store.heads()).map(({ headId, incarnation, sequence }) => [headId, incarnation, sequence]),
      [
        [1, "", 13],
      ],
    );
    assert.deepEqual(
      (await store.archivedLogs()).toSorted((a, b) => names.indexOf(a.name) - names.indexOf(b.name)),
      names.map((name) => ({ topic: "t", origin: NODE_B, name, headId: 2 })),
    );
    for (const [round, name] of names.entries()) {
      const page = await store.readArchived("t", NODE_B, name, 1, PLENTY);
      assert.deepEqual(shape(page), [`1 round ${round} 1 kept`, "2 2 1 kept"]);
      assert.deepEqual(page.map(({ sequence }) => sequence), [round * 2 + 1, round * 2 + 2]);
    }
    const one = await store.readArchived("t", NODE_B, "i", 2, { messages: 1, bytes: 1 });
    assert.deepEqual(shape(one), ["2 2 1 kept"]);
    assert.deepEqual(await store.readArchived("t", NODE_B, "i", 3, PLENTY), []);
    assert.deepEqual(await store.readArchived("t", NODE_B, "no", 1, PLENTY), []);
    assert.deepEqual(await store.readArchived("t", NODE_A, "i", 1, PLENTY), []);
    assert.equal(await store.archive("t", NODE_B), "unknown.4");
  });

  test("archive forgets the ranges of all logs of the origin where it is asked to", async (store) => {
    const ranges = ["t", "u"].map((topic) => ({ topic, from: 2, to: 3 }));
    for (const origin of [NODE_A, NODE_B]) {
      await store.replicate(replicatedBatch(1, 1, { topic: "deletes", origin, deletes: ranges }));
      await store.replicate(replicatedBatch(1, 2, { origin }));
    }
    await store.archive("deletes", NODE_B, true);
    const deleted = async (topic: string, origin: NodeName) =>
      (await store.replicate(replicatedBatch(1, 3, { topic, origin }))).deletedHeads;
    assert.deepEqual(await deleted("t", NODE_B), []);
    assert.deepEqual(await deleted("u", NODE_B), []);
    assert.deepEqual(await deleted("t", NODE_A), [3]);
    assert.deepEqual(await deleted("u", NODE_A), [2, 3]);
    assert.deepEqual(shape(await readAll(store, "t", NODE_B)), ["1 1 1 kept", "2  0 deleted", "3 3 1 kept"]);
  });

  test("ranges of a log set aside do not count for the one in its place, and the other way round", async (store) => {
    const marker = (head: number, from: number, to: number) =>
      store.replicate(
        replicatedBatch(head, head, { topic: "deletes", deletes: [{ topic: "t", from, to }] }),
      );
    await store.replicate(replicatedBatch(1, 2));
    await marker(1, 2, 4);
    const name = await store.archive("t", NODE_B);
    assert.deepEqual((await store.replicate(replicatedBatch(1, 3))).deletedHeads, []);
    await marker(2, 1, 1);
    assert.deepEqual(shape(await readAll(store, "t", NODE_B)), ["1  0 deleted", "2 2 1 kept", "3 3 1 kept"]);
    await marker(3, 3, 4);
    const aside = await store.readArchived("t", NODE_B, name, 1, PLENTY);
    assert.deepEqual(shape(aside), ["1  0 deleted", "2  0 deleted"], "where both have the same message");
  });

  test("what is deleted is erased in logs set aside that have the same message, and no other", async (store) => {
    const before = Array.from(
      { length: 3_000 },
      (_, at) => replicatedMessage(at + 1, at + 1 === 5 ? { id: "another" } : {}),
    );
    await store.replicate(replicatedBatch(1, 3_000, { messages: before }));
    const name = await store.archive("t", NODE_B);
    const erased = async () =>
      (await store.readArchived("t", NODE_B, name, 1, { messages: 10_000, bytes: 1e9 })).filter((
        { deleted },
      ) => deleted)
        .map(({ headId, payload, headers }) => headId + payload.length + headers.length);
    const marker = (head: number, from: number, to: number) =>
      store.replicate(
        replicatedBatch(head, head, { topic: "deletes", deletes: [{ topic: "t", from, to }] }),
      );
    await store.replicate(replicatedBatch(1, 6, {
      messages: [1, 2, 3, 4, 5, 6].map((head) =>
        head === 1 ? replicatedTombstone(1) : replicatedMessage(head)
      ),
    }));
    assert.deepEqual(await erased(), [1], "arrived deleted");
    await store.replicate(replicatedBatch(2, 2, { messages: [replicatedTombstone(2)] }));
    assert.deepEqual(await erased(), [1, 2], "became deleted");
    await store.eraseRange("t", NODE_B, 3, 3, "");
    assert.deepEqual(await erased(), [1, 2, 3], "ahead of its marker");
    await marker(1, 4, 5);
    assert.deepEqual(await erased(), [1, 2, 3, 4], "by a marker, but for another message");
    await marker(2, 8, 9);
    await store.replicate(replicatedBatch(7, 10));
    assert.deepEqual(await erased(), [1, 2, 3, 4, 8, 9], "by one that came before");
    await store.replicate(replicatedBatch(11, 2_999));
    await marker(3, 2_000, 9_000);
    assert.equal((await erased()).length, 6 + 1_000, "of many");
    await store.archive("t", NODE_B);
    await store.replicate(replicatedBatch(1, 10));
    assert.equal((await erased()).length, 6 + 1_000);
    await marker(4, 6, 7);
    for (const { name } of await store.archivedLogs()) {
      const aside = await store.readArchived("t", NODE_B, name, 6, { messages: 2, bytes: 1e6 });
      assert.deepEqual(shape(aside), ["6  0 deleted", "7  0 deleted"], "in all of them");
    }
  });

  test("what a later version says of a message is kept, erased with it, and makes no difference", async (store) => {
    const more = Uint8Array.of(...TEST_HEADERS, 0x4a, 2, 1, 2);
    const later = replicatedMessage(1, { headers: more });
    const bare = [replicatedMessage(1), replicatedMessage(2)];
    await store.replicate(replicatedBatch(1, 1, { messages: [later] }));
    assert.equal((await store.replicate(replicatedBatch(1, 2, { messages: bare }))).headId, 2);
    await store.replicate(
      replicatedBatch(2, 2, { messages: [replicatedMessage(2, { headers: more })] }),
    );
    const headers = async () => (await readAll(store, "t", NODE_B)).map(({ headers }) => [...headers]);
    assert.deepEqual(await headers(), [[...more], [...TEST_HEADERS]]);
    await store.replicate(replicatedBatch(1, 1, { messages: [replicatedTombstone(1)] }));
    assert.deepEqual(await headers(), [[], [...TEST_HEADERS]]);
  });

  test("deleteRange erases in logs set aside as well", async (store) => {
    const own = { origin: NODE_A, messages: [replicatedMessage(1), replicatedMessage(2)] };
    await store.replicate(replicatedBatch(1, 2, own));
    const name = await store.archive("t", NODE_A);
    await store.replicate(replicatedBatch(1, 2, own));
    await store.deleteRange("t", NODE_A, 2, 2, testMessage("deletes", "m"));
    assert.deepEqual(shape(await store.readArchived("t", NODE_A, name, 1, PLENTY)), [
      "1 1 1 kept",
      "2  0 deleted",
    ]);
  });

  test("recordPeerSync inserts and replaces by peer, topic and origin, and a cursor by peer", async (store) => {
    const state = {
      peer: "b",
      topic: "t",
      origin: NODE_B,
      localHead: 1,
      remoteHead: 2,
      lastSyncedHead: 3,
      lastAttemptAtMs: 1_700_000_000_004,
      lastSuccessAtMs: 1_700_000_000_005,
      consecutiveFailures: 6,
      lastError: "größer",
      localIncarnation: "l",
      remoteIncarnation: "r",
      fork: "none" as const,
    };
    const cursor = { peer: "b", incarnation: "i", sequence: 2 ** 40, opening: "m" };
    assert.equal(await store.peerCursor("b"), undefined);
    await store.recordPeerSync([state, { ...state, origin: NODE_A, fork: "open" }], cursor);
    await store.recordPeerSync([{ ...state, peer: "a", fork: "refused" }]);
    const changed = { ...state, localHead: 9, lastError: "", localIncarnation: "", remoteIncarnation: "" };
    await store.recordPeerSync([changed], { ...cursor, peer: "a" });
    await store.recordPeerSync([], { ...cursor, sequence: 3, incarnation: "j", opening: "n" });
    await store.recordPeerSync([]);
    assert.deepEqual(await store.peerSyncStates(), [
      { ...state, peer: "a", fork: "refused" },
      { ...state, origin: NODE_A, fork: "open" },
      changed,
    ]);
    assert.deepEqual(await store.peerCursor("b"), {
      peer: "b",
      incarnation: "j",
      sequence: 3,
      opening: "n",
    });
    assert.deepEqual(await store.peerCursor("a"), { ...cursor, peer: "a" });
    assert.equal(await store.peerCursor("c"), undefined);
  });
}
