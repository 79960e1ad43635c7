/** What appending once promises, for every store. */
import assert from "node:assert/strict";
import {
  contractTests,
  hasCode,
  NODE_A,
  readAll,
  type StoreUnderTest,
  testFifoMessage,
  testMessage,
  texts,
} from "./contract.ts";
import { MAX_PRODUCERS } from "./once.ts";
import {
  DEFAULT_DEDUP_LIMITS,
  type OnceMessage,
  type OnceOutcome,
  type ProducerName,
  type Store,
} from "./store.ts";

const NOW_MS = 1_700_000_000_000;
const HOUR_MS = 3_600_000;

function keyed(topic: string, key: string | undefined, text: string, createdAtMs = NOW_MS): OnceMessage {
  return { ...testMessage(topic, text), key, createdAtMs };
}

function at(createdAtMs: number, text: string, topic = "t"): OnceMessage {
  return { ...testMessage(topic, text), createdAtMs };
}

function many(...names: string[]): OnceMessage[] {
  return names.map((name) => testMessage("t", name));
}

function as(firstSequence: number, epoch = 1, id = "p") {
  return { ...named(id), epoch, firstSequence };
}

function named(id: string, owner = ""): ProducerName {
  return { owner, id };
}

/** Outcomes in short: "+" for appended, "=" for duplicate, "!" for refused, each with its place and what else counts. */
function short(outcomes: readonly OnceOutcome[]): string[] {
  return outcomes.map((outcome) => {
    switch (outcome.kind) {
      case "appended":
        return `+${outcome.at} ${outcome.count} head ${outcome.headId}`;
      case "duplicate":
        return `=${outcome.at} ${outcome.id} head ${outcome.headId}${outcome.deleted ? " deleted" : ""}`;
      case "refused":
        return `!${outcome.at} ${outcome.reason}`;
    }
  });
}

async function once(store: Store, batch: OnceMessage[], producer?: ReturnType<typeof as>): Promise<string[]> {
  return short(await store.appendOnce(batch, producer));
}

/** Registers the tests of appending once. */
export function testOnceContract(kind: StoreUnderTest): void {
  const test = contractTests(kind);

  test("appendOnce answers a key that is known with the first message, and stores nothing", async (store) => {
    const [first] = await store.appendOnce([keyed("t", "k", "one")]);
    assert.deepEqual(first, { kind: "appended", at: 0, count: 1, headId: 1, sequence: 1 });
    const retry = { ...keyed("t", "k", "one", NOW_MS + 5), id: "another id" };
    assert.deepEqual(await store.appendOnce([retry]), [
      {
        kind: "duplicate",
        at: 0,
        headId: 1,
        sequence: 1,
        id: "id-one",
        createdAtMs: NOW_MS,
        deleted: false,
      },
    ]);
    assert.deepEqual(await texts(store, "t"), ["one"]);
  });

  test("appendOnce keeps the keys of topics apart, and knows no key of what was appended without", async (store) => {
    await store.append([testMessage("t", "plain")]);
    assert.deepEqual(await once(store, [keyed("t", "k", "one")]), ["+0 1 head 2"]);
    assert.deepEqual(await once(store, [keyed("u", "k", "two")]), ["+0 1 head 1"]);
    assert.deepEqual(await once(store, [keyed("t", undefined, "one"), keyed("t", undefined, "one")]), [
      "+0 2 head 3",
    ]);
  });

  test("appendOnce refuses a key with another payload or other headers", async (store) => {
    const headers = Uint8Array.of(0x32, 6, 0x0a, 1, 97, 0x12, 1, 98);
    await store.appendOnce([{ ...keyed("t", "k", "one"), headers }]);
    const others = [keyed("t", "k", "one"), { ...keyed("t", "k", "other"), headers }];
    assert.deepEqual(await once(store, others), ["!0 key_conflict", "!1 key_conflict"]);
    assert.deepEqual(await texts(store, "t"), ["one"]);
  });

  test("appendOnce takes headers in another order for the same ones", async (store) => {
    const [a, b] = [[0x32, 6, 0x0a, 1, 97, 0x12, 1, 98], [0x32, 3, 0x0a, 1, 99]];
    await store.appendOnce([{ ...keyed("t", "k", "one"), headers: Uint8Array.of(...a, ...b) }]);
    const turned = { ...keyed("t", "k", "one"), headers: Uint8Array.of(...b, ...a) };
    assert.deepEqual(await once(store, [turned]), ["=0 id-one head 1"]);
    const swapped = { ...turned, headers: Uint8Array.of(...b, 0x32, 6, 0x12, 1, 98, 0x0a, 1, 97) };
    assert.deepEqual(await once(store, [swapped]), ["=0 id-one head 1"]);
  });

  test("appendOnce answers a key of a deleted message with deleted, whatever the payload", async (store) => {
    await store.appendOnce([keyed("t", "k", "one")]);
    await store.deleteRange("t", NODE_A, 1, 1, testMessage("deletes", "m"));
    assert.deepEqual(await once(store, [keyed("t", "k", "other")]), ["=0 id-one head 1 deleted"]);
    assert.equal((await readAll(store, "t")).length, 1);
  });

  test("appendOnce holds its rules within one batch", async (store) => {
    const batch = [
      keyed("t", "a", "one"),
      keyed("t", undefined, "two"),
      keyed("t", "a", "one"),
      keyed("t", "a", "other"),
      keyed("u", "a", "three"),
      keyed("t", "b", "four"),
    ];
    assert.deepEqual(await once(store, batch), [
      "+0 2 head 1",
      "=2 id-one head 1",
      "!3 key_conflict",
      "+4 1 head 1",
      "+5 1 head 3",
    ]);
    assert.deepEqual(await texts(store, "t"), ["one", "two", "four"]);
  });

  test("appendOnce holds its rules between calls that overlap", async (store) => {
    const answers = await Promise.all([
      once(store, [keyed("t", "k", "one")]),
      once(store, [keyed("t", "k", "one")]),
      once(store, many("a", "b"), as(1)),
      once(store, many("a", "b", "c"), as(1)),
      once(store, [keyed("t", "k", "other")]),
    ]);
    assert.deepEqual(answers, [
      ["+0 1 head 1"],
      ["=0 id-one head 1"],
      ["+0 2 head 2"],
      ["=0 id-a head 2", "=1 id-b head 3", "+2 1 head 4"],
      ["!0 key_conflict"],
    ]);
  });

  test("appendOnce forgets a log's keys when that is set aside", async (store) => {
    await store.appendOnce([keyed("t", "k", "one")]);
    await store.archive("t", NODE_A);
    assert.deepEqual(await once(store, [keyed("t", "k", "other")]), ["+0 1 head 1"]);
    assert.deepEqual(await texts(store, "t"), ["other"]);
  });

  test("appendOnce answers sequences that are known with the first messages", async (store) => {
    assert.deepEqual(await once(store, many("a", "b", "c"), as(1)), ["+0 3 head 1"]);
    await store.append([testMessage("t", "between")]);
    assert.deepEqual(await once(store, many("d"), as(4)), ["+0 1 head 5"]);
    assert.deepEqual(await once(store, many("b", "c", "d", "e"), as(2)), [
      "=0 id-b head 2",
      "=1 id-c head 3",
      "=2 id-d head 5",
      "+3 1 head 6",
    ]);
    assert.deepEqual(await texts(store, "t"), ["a", "b", "c", "between", "d", "e"]);
  });

  test("appendOnce finds every sequence of a long run over several topics again", async (store) => {
    const batch = Array.from({ length: 3_000 }, (_, n) => testMessage(`t${n % 3}`, `${n}`));
    for (let from = 0; from < batch.length; from += 500) {
      await store.appendOnce(batch.slice(from, from + 500), as(from + 1));
    }
    const outcomes = await store.appendOnce(batch, as(1));
    assert.equal(outcomes.length, batch.length);
    outcomes.forEach((outcome, n) => {
      assert.ok(outcome.kind === "duplicate");
      assert.deepEqual([outcome.at, outcome.id, outcome.headId, outcome.sequence], [
        n,
        `id-${n}`,
        Math.floor(n / 3) + 1,
        n + 1,
      ]);
    });
  });

  test("appendOnce refuses a known sequence with another topic, payload or headers", async (store) => {
    await store.appendOnce(many("a", "b", "c"), as(1));
    const others = [
      testMessage("u", "a"),
      testMessage("t", "other"),
      { ...testMessage("t", "c"), headers: Uint8Array.of(0x32, 0) },
    ];
    assert.deepEqual(await once(store, others, as(1)), [
      "!0 sequence_conflict",
      "!1 sequence_conflict",
      "!2 sequence_conflict",
    ]);
    assert.deepEqual((await store.heads()).map(({ topic, headId }) => [topic, headId]), [["t", 3]]);
  });

  test("appendOnce answers a known sequence of a deleted message with deleted", async (store) => {
    await store.appendOnce(many("a", "b"), as(1));
    await store.deleteRange("t", NODE_A, 1, 1, testMessage("deletes", "m"));
    assert.deepEqual(await once(store, many("other", "b"), as(1)), [
      "=0 id-a head 1 deleted",
      "=1 id-b head 2",
    ]);
  });

  test("appendOnce answers a known sequence of a log that was set aside", async (store) => {
    await store.appendOnce(many("a"), as(1));
    await store.archive("t", NODE_A);
    await store.append([testMessage("t", "new")]);
    assert.deepEqual(await once(store, many("a"), as(1)), ["=0 id-a head 1"]);
    assert.deepEqual(await once(store, many("other"), as(1)), ["!0 sequence_conflict"]);
  });

  test("appendOnce takes gaps between sequences, and never what would fill them later", async (store) => {
    assert.deepEqual(await once(store, many("e"), as(5)), ["+0 1 head 1"]);
    assert.deepEqual(await once(store, many("i"), as(9)), ["+0 1 head 2"]);
    assert.deepEqual(await once(store, many("d", "e", "f"), as(4)), [
      "!0 forgotten",
      "=1 id-e head 1",
      "!2 forgotten",
    ]);
    assert.deepEqual(await texts(store, "t"), ["e", "i"]);
  });

  test("appendOnce keeps producers apart", async (store) => {
    assert.deepEqual(await once(store, many("a"), as(1, 1, "p")), ["+0 1 head 1"]);
    assert.deepEqual(await once(store, many("b"), as(1, 1, "q")), ["+0 1 head 2"]);
    assert.deepEqual(await once(store, many("a"), as(1, 1, "p")), ["=0 id-a head 1"]);
  });

  test("appendOnce looks at a message's key first, and passes its sequence", async (store) => {
    await store.appendOnce([keyed("t", "k", "one")]);
    const batch = [keyed("t", "k", "one"), keyed("t", "l", "two"), keyed("t", "k", "one")];
    assert.deepEqual(await once(store, batch, as(1)), [
      "=0 id-one head 1",
      "+1 1 head 2",
      "=2 id-one head 1",
    ]);
    assert.deepEqual(await store.openProducer(named("p"), 1, NOW_MS), { epoch: 1, lastSequence: 3 });
    // Without its key, the third is none that this producer stored.
    assert.deepEqual(await once(store, many("x", "two", "one"), as(1)), [
      "!0 forgotten",
      "=1 id-two head 2",
      "!2 forgotten",
    ]);
  });

  test("openProducer begins with epoch 1, goes on with the same one, and takes over with 0 or a higher one", async (store) => {
    assert.deepEqual(await store.openProducer(named("p"), 0, NOW_MS), { epoch: 1, lastSequence: 0 });
    await store.appendOnce(many("a", "b"), as(1));
    assert.deepEqual(await store.openProducer(named("p"), 1, NOW_MS), { epoch: 1, lastSequence: 2 });
    assert.deepEqual(await store.openProducer(named("p"), 0, NOW_MS), { epoch: 2, lastSequence: 0 });
    assert.deepEqual(await store.openProducer(named("p"), 7, NOW_MS), { epoch: 7, lastSequence: 0 });
    assert.deepEqual(await store.openProducer(named("q"), 3, NOW_MS), { epoch: 3, lastSequence: 0 });
    assert.deepEqual(await once(store, many("a"), as(1, 7)), ["+0 1 head 3"], "a new epoch counts anew");
  });

  test("openProducer and appendOnce refuse a stale epoch, naming both, and store nothing", async (store) => {
    await store.openProducer(named("p"), 1, NOW_MS);
    await store.appendOnce(many("a"), as(1));
    await store.openProducer(named("p"), 5, NOW_MS);
    await assert.rejects(store.openProducer(named("p"), 4, NOW_MS), hasCode("stale_epoch", "stale epoch 4"));
    await assert.rejects(store.appendOnce(many("b"), as(2)), hasCode("stale_epoch", "epoch 5"));
    await assert.rejects(store.appendOnce(many("a"), as(1)), hasCode("stale_epoch"), "retries, too");
    assert.deepEqual(await texts(store, "t"), ["a"]);
  });

  test("appendOnce makes a producer known that nobody opened", async (store) => {
    await store.appendOnce(many("a"), as(3, 2));
    assert.deepEqual(await store.openProducer(named("p"), 0, NOW_MS), { epoch: 3, lastSequence: 0 });
  });

  test("appendOnce forgets the oldest keys beyond the limit, and those are stored again", async (store) => {
    for (const key of ["a", "b", "c", "d"]) await store.appendOnce([keyed("t", key, key)]);
    assert.deepEqual(await once(store, [keyed("t", "b", "b")]), ["=0 id-b head 2"]);
    assert.deepEqual(await once(store, [keyed("t", "a", "a")]), ["+0 1 head 5"]);
    assert.deepEqual(await once(store, [keyed("t", "d", "d")]), ["=0 id-d head 4"]);
  }, { ...DEFAULT_DEDUP_LIMITS, keys: 3 });

  test(
    "appendOnce forgets the oldest runs beyond the limit, and what they held is refused",
    async (store) => {
      for (let n = 1; n <= 4; n++) {
        await store.append([testMessage("t", "between")]);
        await store.appendOnce(many(`${n}`), as(n));
      }
      assert.deepEqual(await once(store, many("1", "2", "3", "4"), as(1)), [
        "!0 forgotten",
        "=1 id-2 head 4",
        "=2 id-3 head 6",
        "=3 id-4 head 8",
      ]);
      assert.deepEqual(await store.openProducer(named("p"), 1, NOW_MS), { epoch: 1, lastSequence: 4 });
    },
    { ...DEFAULT_DEDUP_LIMITS, keys: 3 },
  );

  test("appendOnce counts a producer that is alone as one run, however much it appends", async (store) => {
    for (let n = 1; n <= 50; n++) await store.appendOnce(many(`${n}`), as(n));
    await store.appendOnce([keyed("t", "k", "one")]);
    assert.deepEqual(await once(store, many("1", "50"), as(1)), ["=0 id-1 head 1", "!1 sequence_conflict"]);
    assert.deepEqual(await once(store, [keyed("t", "k", "one")]), ["=0 id-one head 51"]);
  }, { ...DEFAULT_DEDUP_LIMITS, keys: 2 });

  test("appendOnce remembers the last sequence of a producer whose runs are forgotten", async (store) => {
    await store.appendOnce(many("1", "2"), as(1));
    for (const id of ["x", "y", "z"]) {
      await store.appendOnce(many(id), as(1, 1, id));
    }
    assert.deepEqual(await once(store, many("2", "3"), as(2)), ["!0 forgotten", "+1 1 head 6"]);
    assert.deepEqual(await store.openProducer(named("p"), 1, NOW_MS), { epoch: 1, lastSequence: 3 });
  }, { ...DEFAULT_DEDUP_LIMITS, keys: 2 });

  test("appendOnce forgets no key for runs of producers, and no run for keys", async (store) => {
    await store.appendOnce([keyed("t", "k", "k")]);
    await store.appendOnce(many("1"), as(1));
    for (let n = 2; n <= 4; n++) {
      await store.append([testMessage("t", "between")]);
      await store.appendOnce(many(`${n}`), as(n));
    }
    assert.deepEqual(await once(store, [keyed("t", "k", "k")]), ["=0 id-k head 1"]);
    for (const key of ["a", "b"]) await store.appendOnce([keyed("t", key, key)]);
    assert.deepEqual(await once(store, many("4"), as(4)), ["=0 id-4 head 8"]);
  }, { ...DEFAULT_DEDUP_LIMITS, keys: 3 });

  test("appendOnce forgets keys by age, by the times of what is appended", async (store) => {
    await store.appendOnce([keyed("t", "a", "a", NOW_MS)]);
    await store.appendOnce([keyed("t", "b", "b", NOW_MS + HOUR_MS)]);
    const atAge = NOW_MS + 24 * HOUR_MS;
    assert.deepEqual(await once(store, [keyed("t", "a", "a", atAge)]), ["=0 id-a head 1"]);
    assert.deepEqual(await once(store, [keyed("t", "a", "a", atAge + 1)]), ["+0 1 head 3"]);
    assert.deepEqual(await once(store, [keyed("t", "b", "b", atAge + 1)]), ["=0 id-b head 2"]);
  }, { ...DEFAULT_DEDUP_LIMITS, ageMs: 24 * HOUR_MS });

  test("appendOnce refuses sequences that it forgot by age while the producer is in use", async (store) => {
    await store.appendOnce([at(NOW_MS, "a")], as(1));
    await store.append([testMessage("t", "between")]);
    await store.appendOnce([at(NOW_MS + 20 * HOUR_MS, "b")], as(2));
    const later = NOW_MS + 30 * HOUR_MS;
    assert.deepEqual(await once(store, [at(later, "a"), at(later, "b")], as(1)), [
      "!0 forgotten",
      "=1 id-b head 3",
    ]);
  }, { ...DEFAULT_DEDUP_LIMITS, ageMs: 24 * HOUR_MS });

  test("appendOnce keeps a run that grows, however long ago it began", async (store) => {
    for (let day = 0; day < 5; day++) {
      await store.appendOnce([at(NOW_MS + day * 20 * HOUR_MS, `${day}`)], as(day + 1));
    }
    const last = NOW_MS + 81 * HOUR_MS;
    assert.deepEqual(await once(store, [at(last, "0")], as(1)), ["=0 id-0 head 1"]);
  }, { ...DEFAULT_DEDUP_LIMITS, ageMs: 24 * HOUR_MS });

  test("openProducer knows no producer that appended nothing for the age", async (store) => {
    await store.appendOnce([at(NOW_MS, "a")], as(1, 4));
    await store.appendOnce([at(NOW_MS + 20 * HOUR_MS, "b")], as(2, 4));
    const within = NOW_MS + 43 * HOUR_MS;
    assert.deepEqual(await store.openProducer(named("q"), 0, within), { epoch: 1, lastSequence: 0 });
    assert.deepEqual(await store.openProducer(named("p"), 4, within), { epoch: 4, lastSequence: 2 });
    const after = within + 25 * HOUR_MS;
    assert.deepEqual(await store.openProducer(named("p"), 0, after), { epoch: 1, lastSequence: 0 });
    assert.deepEqual(await once(store, [at(after, "a")], as(1)), ["+0 1 head 3"]);
  }, { ...DEFAULT_DEDUP_LIMITS, ageMs: 24 * HOUR_MS });

  test("openProducer forgets the least recently used producers beyond the limit", async (store) => {
    await store.openProducer(named("first"), 3, NOW_MS);
    await store.openProducer(named("second"), 3, NOW_MS + 1);
    const later = NOW_MS + HOUR_MS;
    await store.openProducer(named("first"), 3, later);
    await Promise.all(
      Array.from({ length: MAX_PRODUCERS - 1 }, (_, n) => store.openProducer(named(`p${n}`), 3, later + n)),
    );
    await store.openProducer(named("last"), 3, later + MAX_PRODUCERS);
    const end = later + MAX_PRODUCERS;
    assert.deepEqual(await store.openProducer(named("second"), 0, end), { epoch: 1, lastSequence: 0 });
    assert.deepEqual(await store.openProducer(named("last"), 0, end), { epoch: 4, lastSequence: 0 });
    assert.deepEqual(await store.openProducer(named("p9000"), 0, end), { epoch: 4, lastSequence: 0 });
  });

  test("openProducer beyond the limit forgets the least recently used producer of the owner that has the most", async (store) => {
    const others = Array.from({ length: MAX_PRODUCERS - 2 }, (_, n) => named(`p${n}`, "many"));
    await store.openProducer(named("p0", "one"), 3, NOW_MS);
    await store.openProducer(named("p1", "one"), 3, NOW_MS);
    await Promise.all(others.map((name, n) => store.openProducer(name, 3, NOW_MS + 1 + n)));
    let nowMs = NOW_MS + MAX_PRODUCERS;
    for (let n = 0; n < 20; n++) await store.openProducer(named(`q${n}`, "many"), 3, nowMs++);
    const epochOf = async (id: string, owner: string) =>
      (await store.openProducer(named(id, owner), 0, nowMs++)).epoch;
    assert.equal(await epochOf("p0", "one"), 4);
    assert.equal(await epochOf("p1", "one"), 4);
    assert.equal(await epochOf("p9000", "many"), 4);
    assert.equal(await epochOf("p0", "many"), 1);
  });

  test("openProducer beyond the limit forgets the least recently used one of all where each owner has as many", async (store) => {
    const owners = ["a", "b"];
    let nowMs = NOW_MS;
    for (let n = 0; n < MAX_PRODUCERS / 2; n++) {
      await Promise.all(owners.map((owner) => store.openProducer(named(`p${n}`, owner), 3, nowMs++)));
    }
    await store.openProducer(named("p0", "a"), 3, nowMs += HOUR_MS);
    await store.openProducer(named("new", "c"), 3, nowMs++);
    await once(store, [testMessage("t", "x")], { ...named("new", "c"), epoch: 3, firstSequence: 1 });
    assert.deepEqual(await store.openProducer(named("p0", "a"), 0, nowMs), { epoch: 4, lastSequence: 0 });
    assert.deepEqual(await store.openProducer(named("p0", "b"), 0, nowMs), { epoch: 1, lastSequence: 0 });
  });

  test("openProducer beyond the limit spares owners with few among thousands that have as many as each other", async (store) => {
    const few = Array.from({ length: 1_000 }, (_, n) => named("p", `few ${n}`));
    const more = Array.from(
      { length: MAX_PRODUCERS - few.length },
      (_, n) => named(`p${n % 2}`, `more ${n >> 1}`),
    );
    let nowMs = NOW_MS;
    await Promise.all([...few, ...more].map((name) => store.openProducer(name, 3, nowMs++)));
    for (let n = 0; n < 2; n++) await store.openProducer(named("new", `${n}`), 3, nowMs++);
    const epochOf = async (id: string, owner: string) =>
      (await store.openProducer(named(id, owner), 0, nowMs)).epoch;
    assert.equal(await epochOf("p", "few 0"), 4);
    assert.equal(await epochOf("p1", "more 0"), 4);
    assert.equal(await epochOf("p0", "more 2"), 4);
    assert.equal(await epochOf("p0", "more 0"), 1);
    assert.equal(await epochOf("p0", "more 1"), 1);
  });

  test("producers of different owners have nothing in common", async (store) => {
    const [a, b] = ["a", "b"].map((owner) => ({ ...named("p", owner), epoch: 1, firstSequence: 1 }));
    await store.openProducer(named("p", "a"), 1, NOW_MS);
    assert.deepEqual(await once(store, many("one", "two"), a), ["+0 2 head 1"]);
    assert.deepEqual(await once(store, many("one"), b), ["+0 1 head 3"]);
    assert.deepEqual(await store.openProducer(named("p", "b"), 9, NOW_MS), { epoch: 9, lastSequence: 0 });
    assert.deepEqual(await store.openProducer(named("p", "a"), 1, NOW_MS), { epoch: 1, lastSequence: 2 });
    assert.deepEqual(await once(store, many("one"), a), ["=0 id-one head 1"]);
  });

  test("appendOnce of nothing has no outcome, and other writes take no part", async (store) => {
    assert.deepEqual(await once(store, []), []);
    await store.enqueueFifo(testFifoMessage("q", "f"));
    assert.deepEqual(await once(store, [keyed("t", "k", "one")], as(1)), ["+0 1 head 1"]);
    await store.deleteRange("t", NODE_A, 1, 1, testMessage("t", "marker"));
    assert.deepEqual(await once(store, [keyed("t", "k", "one")], as(1)), ["=0 id-one head 1 deleted"]);
    assert.equal((await readAll(store, "t")).length, 2);
  });
}
