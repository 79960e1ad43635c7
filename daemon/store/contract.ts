import assert from "node:assert/strict";
import {
  type DedupLimits,
  type NewFifoMessage,
  type NewMessage,
  type NodeName,
  type ReadLimits,
  type Store,
  type StoredMessage,
  StoreError,
  type StoreErrorCode,
} from "./store.ts";

/** How the contract suite gets at one kind of store. */
export interface StoreUnderTest {
  /** Names the kind in the names of the tests. */
  readonly name: string;
  /** A new, empty store. The suite closes it. */
  open(dedup?: DedupLimits): Promise<Store>;
}

export const NODE_A: NodeName = { tenantId: "tenant", blName: "line", deviceId: "a" };
export const NODE_B: NodeName = { tenantId: "tenant", blName: "line", deviceId: "b" };

export const NO_BYTES: Uint8Array = new Uint8Array();
/** An encoded entry of headers. */
export const TEST_HEADERS: Uint8Array = Uint8Array.of(0x32, 1, 7);
export const PLENTY: ReadLimits = { messages: 100_000, bytes: 1 << 30 };

/** A message whose payload and id follow from `text`. */
export function testMessage(topic: string, text: string, origin: NodeName = NODE_A): NewMessage {
  const payload = new TextEncoder().encode(text);
  return { topic, origin, id: `id-${text}`, createdAtMs: 1_700_000_000_000, payload, headers: NO_BYTES };
}

/** A message for a queue whose payload follows from `id`. */
export function testFifoMessage(queue: string, id: string): NewFifoMessage {
  const payload = new TextEncoder().encode(`payload of ${id}`);
  const headers = Uint8Array.of(1, 2, 3);
  return {
    queue,
    id,
    topic: "t",
    source: NODE_A,
    target: NODE_B,
    payload,
    headers,
    createdAtMs: 1_700_000_000_000,
  };
}

/** Encoded headers whose one value is a number of bytes, below 127. */
export function testHeaders(value: Uint8Array): Uint8Array {
  return Uint8Array.of(0x32, value.length, ...value);
}

/** All that a message tells, to be compared. */
export function plain({ headId, sequence, id, createdAtMs, payload, headers, deleted }: StoredMessage) {
  return { headId, sequence, id, createdAtMs, payload: [...payload], headers: [...headers], deleted };
}

/** Every message of a log, page by page. */
export async function readAll(
  store: Store,
  topic: string,
  origin: NodeName = NODE_A,
  limits: ReadLimits = PLENTY,
): Promise<StoredMessage[]> {
  const all: StoredMessage[] = [];
  for (let from = 1;;) {
    const page = await store.read(topic, origin, from, limits);
    if (page.length === 0) return all;
    all.push(...page);
    from += page.length;
  }
}

/** The payloads of a log. */
export async function texts(
  store: Store,
  topic: string,
  origin: NodeName = NODE_A,
  limits: ReadLimits = PLENTY,
): Promise<string[]> {
  return (await readAll(store, topic, origin, limits)).map(({ payload }) =>
    new TextDecoder().decode(payload)
  );
}

/** Whether an error is a StoreError with this code, and with this text in its message. */
export function hasCode(code: StoreErrorCode, text = ""): (error: unknown) => boolean {
  return (error) => error instanceof StoreError && error.code === code && error.message.includes(text);
}

/** Registers a test with a new store. */
export type ContractTest = (
  criterion: string,
  run: (store: Store) => Promise<void>,
  dedup?: DedupLimits,
) => void;

/** Tests whose names begin with the kind of store. */
export function contractTests({ name, open }: StoreUnderTest): ContractTest {
  return (criterion, run, dedup) =>
    Deno.test(`${name} store: ${criterion}`, async () => {
      const store = await open(dedup);
      try {
        await run(store);
      } finally {
        await store.close();
      }
    });
}

/** Registers the tests that every store must pass; further ones are in `test_*_contract.ts`. */
export function testStoreContract(underTest: StoreUnderTest): void {
  const test = contractTests(underTest);

  test("append assigns heads per topic and origin and sequences over all", async (store) => {
    const placed = await store.append([
      testMessage("t", "1"),
      testMessage("u", "2"),
      testMessage("t", "3", NODE_B),
      testMessage("t", "4"),
    ]);
    assert.deepEqual(placed, [
      { headId: 1, sequence: 1 },
      { headId: 1, sequence: 2 },
      { headId: 1, sequence: 3 },
      { headId: 2, sequence: 4 },
    ]);
    assert.deepEqual(await store.append([testMessage("t", "5")]), [{ headId: 3, sequence: 5 }]);
    assert.deepEqual(await store.append([]), []);
  });

  test("append keeps every field", async (store) => {
    const time = 0x018f_0000_1234;
    const ids = [
      "018f0000-1234-7abc-8def-0123456789ab", // UUIDv7 of that time
      "018f0000-1235-7abc-8def-0123456789ab", // of another time
      "018f0000-1234-4abc-8def-0123456789ab", // another version
      "018F0000-1234-7ABC-8DEF-0123456789AB", // not canonical
      "018f0000-1234-7abc-8def-0123456789ag",
      "018f0000-1234-7abc-8def-0123456789aé",
      "any text ✓",
    ];
    const messages = ids.map((id, at) => ({
      topic: "tópic/\u{1f680}",
      origin: { tenantId: "a/b", blName: "c", deviceId: "ü" },
      id,
      createdAtMs: time,
      payload: Uint8Array.of(0, 1, 255).subarray(0, at % 4),
      headers: TEST_HEADERS.subarray(0, at % 3 === 0 ? 0 : 3),
    }));
    await store.append(messages);
    const stored = await readAll(store, "tópic/\u{1f680}", { tenantId: "a/b", blName: "c", deviceId: "ü" });
    assert.deepEqual(
      stored.map(({ id, createdAtMs, payload, headers, deleted }) => ({
        id,
        createdAtMs,
        payload: [...payload],
        headers: [...headers],
        deleted,
      })),
      messages.map(({ id, createdAtMs, payload, headers }) => ({
        id,
        createdAtMs,
        payload: [...payload],
        headers: [...headers],
        deleted: false,
      })),
    );
  });

  test("append and appendOnce have what they need of a message's bytes when they return", async (store) => {
    const message = (text: string) => ({ ...testMessage("t", text), headers: TEST_HEADERS.slice() });
    const messages = ["1", "2"].map(message);
    const once = [{ ...message("3"), key: "k" }, message("4")];
    const calls: Promise<unknown>[] = [store.append(messages), store.appendOnce(once)];
    for (const { payload, headers } of [...messages, ...once]) {
      payload.fill(0);
      headers.fill(0);
    }
    await Promise.all(calls);
    assert.deepEqual(await texts(store, "t"), ["1", "2", "3", "4"]);
    for (const { headers } of await readAll(store, "t")) assert.deepEqual(headers, TEST_HEADERS);
    const [outcome] = await store.appendOnce([{ ...message("3"), key: "k" }]);
    assert.equal(outcome?.kind, "duplicate");
  });

  test("deleteRange, replicate and enqueueFifo have what they need of a message's bytes, too", async (store) => {
    await store.append([testMessage("t", "1")]);
    const marker = testMessage("marker", "2");
    const { id, createdAtMs, payload, headers } = testMessage("t", "3");
    const copied = { headId: 1, id, createdAtMs, payload, headers, deleted: false };
    const [first, second] = ["a", "b"].map((id) => testFifoMessage("q", id));
    assert.ok(first !== undefined && second !== undefined);
    const calls: Promise<unknown>[] = [
      store.deleteRange("t", NODE_A, 1, 1, marker),
      store.replicate({
        topic: "t",
        origin: NODE_B,
        incarnation: "",
        messages: [copied],
        deletes: [],
        enqueues: [{ headId: 1, message: first }],
      }),
      store.enqueueFifo(second),
    ];
    for (const { payload, headers } of [marker, copied, first, second]) {
      payload.fill(0);
      headers.fill(0);
    }
    await Promise.all(calls);
    assert.deepEqual([await texts(store, "marker"), await texts(store, "t", NODE_B)], [["2"], ["3"]]);
    for (const id of ["a", "b"]) {
      const { payload, headers } = await store.peekFifo("q") ?? {};
      const expected = testFifoMessage("q", id);
      assert.deepEqual([payload, headers], [expected.payload, expected.headers]);
      await store.ackFifo("q", id);
    }
  });

  test("logs whose names differ only in where a part ends are different logs", async (store) => {
    const one = { tenantId: "a", blName: "b/c", deviceId: "d" };
    const two = { tenantId: "a/b", blName: "c", deviceId: "d" };
    const three = { tenantId: "a", blName: "b", deviceId: "c/d" };
    await store.append([one, two, three].map((origin, at) => testMessage("t", String(at), origin)));
    assert.deepEqual(await texts(store, "t", one), ["0"]);
    assert.deepEqual(await texts(store, "t", two), ["1"]);
    assert.deepEqual(await texts(store, "t", three), ["2"]);
  });

  test("overlapping appends apply in call order without gaps", async (store) => {
    const calls = [];
    for (let i = 0; i < 500; i++) {
      calls.push(store.append([testMessage("t", `${i}a`), testMessage(`u${i % 7}`, `${i}b`)]));
    }
    const sequences = (await Promise.all(calls)).flat().map(({ sequence }) => sequence);
    assert.deepEqual(sequences, Array.from({ length: 1000 }, (_, at) => at + 1));
    assert.deepEqual(await texts(store, "t"), Array.from({ length: 500 }, (_, at) => `${at}a`));
  });

  test("a read sees the writes called before it", async (store) => {
    void store.append([testMessage("t", "1")]);
    void store.append([testMessage("t", "2")]);
    assert.deepEqual(await texts(store, "t"), ["1", "2"]);
  });

  test("a read sees the writes called before it when they are too many for one commit", async (store) => {
    for (let i = 0; i < 20; i++) {
      void store.append(Array.from({ length: 500 }, (_, at) => testMessage("t", `${i * 500 + at}`)));
    }
    assert.deepEqual((await store.heads()).map(({ headId }) => headId), [10_000]);
  });

  test("read from every position returns the rest, however logs interleave", async (store) => {
    // Long runs, runs of one, and runs that go on over calls and commits.
    const pattern = "aaaaabababbbbbacacacaaaaaaaccccbcbcbabcabcaaaa";
    const expected = new Map<string, string[]>();
    for (let at = 0; at < pattern.length;) {
      const batch = [...pattern.slice(at, at + 1 + at % 5)].map((topic, i) =>
        testMessage(topic, `${at + i}`)
      );
      for (const { topic, id } of batch) expected.set(topic, [...expected.get(topic) ?? [], id]);
      await store.append(batch);
      at += batch.length;
    }
    for (const [topic, ids] of expected) {
      for (let from = 1; from <= ids.length + 2; from++) {
        for (const messages of [1, 2, 3, 1000]) {
          const page = await store.read(topic, NODE_A, from, { messages, bytes: 1 << 20 });
          assert.deepEqual(page.map(({ id }) => id), ids.slice(from - 1, from - 1 + messages));
          assert.deepEqual(page.map(({ headId }) => headId), page.map((_, at) => from + at));
        }
      }
    }
  });

  test("read stops at the limit of bytes, and returns one message that is larger alone", async (store) => {
    const sizes = [10, 10, 100, 10, 10, 10];
    await store.append(sizes.map((size, at) => ({
      ...testMessage("t", `${at}`),
      payload: new Uint8Array(size - 3),
      headers: TEST_HEADERS,
    })));
    const pages = [];
    for (let from = 1; from <= sizes.length;) {
      const page = await store.read("t", NODE_A, from, { messages: 10, bytes: 20 });
      pages.push(page.length);
      from += page.length;
    }
    assert.deepEqual(pages, [2, 1, 2, 1]);
  });

  test("read of an unknown log or beyond the head is empty", async (store) => {
    await store.append([testMessage("t", "1")]);
    assert.deepEqual(await store.read("u", NODE_A, 1, PLENTY), []);
    assert.deepEqual(await store.read("t", NODE_B, 1, PLENTY), []);
    assert.deepEqual(await store.read("t", NODE_A, 2, PLENTY), []);
  });

  test("messages of 4 MiB come back as they were, several at once", async (store) => {
    const payloads = [0, 1, 2].map((seed) => {
      const payload = new Uint8Array(4 << 20);
      for (let i = 0; i < payload.length; i++) payload[i] = (i * 31 + seed + (i >> 13)) & 0xff;
      return payload;
    });
    await Promise.all(payloads.map((payload) => store.append([{ ...testMessage("t", "big"), payload }])));
    const stored = await readAll(store, "t");
    assert.equal(stored.length, 3);
    stored.forEach(({ payload }, at) => assert.ok(sameBytes(payload, payloads[at] ?? NO_BYTES)));
  });

  test("heads lists thousands of logs", async (store) => {
    const topics = Array.from({ length: 3000 }, (_, at) => `topic ${at}`);
    await store.append(topics.map((topic) => testMessage(topic, "1")));
    await store.append(topics.slice(0, 10).map((topic) => testMessage(topic, "2")));
    const heads = new Map((await store.heads()).map(({ topic, headId }) => [topic, headId]));
    assert.equal(heads.size, 3000);
    topics.forEach((topic, at) => assert.equal(heads.get(topic), at < 10 ? 2 : 1));
    assert.deepEqual(await texts(store, "topic 2999"), ["1"]);
  });

  test("deleteRange empties the messages in place, counts the newly marked, appends the marker", async (store) => {
    const message = (text: string) => ({ ...testMessage("t", text), headers: TEST_HEADERS });
    await store.append(["1", "2"].map(message));
    await store.append([testMessage("u", "x")]);
    await store.append(["3", "4", "5"].map(message));
    assert.deepEqual(await store.deleteRange("t", NODE_A, 2, 3, testMessage("deletes", "m1")), {
      deletedCount: 2,
      marker: { headId: 1, sequence: 7 },
      erased: true,
    });
    assert.deepEqual(await store.deleteRange("t", NODE_A, 1, 4, testMessage("deletes", "m2")), {
      deletedCount: 2,
      marker: { headId: 2, sequence: 8 },
      erased: true,
    });
    const stored = await readAll(store, "t");
    assert.deepEqual(stored.map(({ deleted }) => deleted), [true, true, true, true, false]);
    assert.deepEqual(stored.map(({ id }) => id), ["id-1", "id-2", "id-3", "id-4", "id-5"]);
    assert.deepEqual(stored.map(({ payload }) => payload.length), [0, 0, 0, 0, 1]);
    assert.deepEqual(stored.map(({ headers }) => headers.length), [0, 0, 0, 0, 3]);
    assert.deepEqual(await texts(store, "u"), ["x"]);
    assert.deepEqual(await texts(store, "deletes"), ["m1", "m2"]);
    assert.deepEqual(await store.append([message("6")]), [{ headId: 6, sequence: 9 }]);
  });

  test("extent reaches over as many messages as have so many bytes, one at least, and no more after they are deleted", async (store) => {
    const payload = new Uint8Array(100_000);
    await store.append(Array.from({ length: 6 }, (_, at) => ({ ...testMessage("t", `${at}`), payload })));
    const extent = (from: number, to: number, bytes: number) => store.extent("t", NODE_A, from, to, bytes);
    for (
      const [from, to, bytes, last] of [[1, 6, 1, 1], [2, 6, 320_000, 4], [2, 3, 320_000, 3], [1, 9, 1e9, 9]]
    ) {
      const { to: reached, bytes: taken } = await extent(from ?? 0, to ?? 0, bytes ?? 0);
      assert.equal(reached, last);
      const messages = Math.min(reached, 6) - (from ?? 0) + 1;
      assert.ok(taken >= messages * 100_000 && taken < messages * 101_000, `${taken} for ${messages}`);
    }
    await store.deleteRange("t", NODE_A, 1, 4, testMessage("deletes", "m"));
    const { to, bytes } = await extent(1, 6, 150_000);
    assert.equal(to, 5);
    assert.ok(bytes < 101_000, `${bytes}`);
    assert.deepEqual(await extent(7, 9, 1), { to: 9, bytes: 0 });
    assert.deepEqual(await store.extent("unknown", NODE_A, 1, 9, 1), { to: 9, bytes: 0 });
  });

  test("deleteRange of what is not there fails alone and leaves its neighbours", async (store) => {
    await store.append([testMessage("t", "1"), testMessage("t", "2")]);
    const marker = testMessage("deletes", "m");
    const before = store.append([testMessage("t", "3")]);
    const failing = ([[0, 1], [1, 4], [3, 2]] as const).map(([from, to]) =>
      store.deleteRange("t", NODE_A, from, to, marker)
    );
    failing.push(store.deleteRange("unknown", NODE_A, 1, 1, marker));
    const after = store.append([testMessage("t", "4")]);
    const deletion = store.deleteRange("t", NODE_A, 4, 4, marker);
    for (const call of failing) await assert.rejects(call, hasCode("conflict"));
    assert.deepEqual(await before, [{ headId: 3, sequence: 3 }]);
    assert.deepEqual(await after, [{ headId: 4, sequence: 4 }]);
    assert.deepEqual(await deletion, { deletedCount: 1, marker: { headId: 1, sequence: 5 }, erased: true });
    assert.deepEqual(await texts(store, "t"), ["1", "2", "3", ""]);
  });

  test("a queue is first in, first out, and numbers its messages without reuse", async (store) => {
    assert.equal(await store.peekFifo("q"), undefined);
    const ids = ["018f0000-1234-7abc-8def-0123456789ab", "second", "third"];
    const sequences = await Promise.all(ids.map((id) => store.enqueueFifo(testFifoMessage("q", id))));
    assert.deepEqual(sequences, [1, 2, 3]);
    assert.equal(await store.enqueueFifo(testFifoMessage("other", "x")), 1);
    for (const [at, id] of ids.entries()) {
      const front = await store.peekFifo("q");
      assert.deepEqual(
        front && { ...front, payload: [...front.payload], headers: [...front.headers] },
        {
          ...testFifoMessage("q", id),
          payload: [...new TextEncoder().encode(`payload of ${id}`)],
          headers: [1, 2, 3],
          sequence: at + 1,
          attempts: 0,
        },
      );
      assert.equal(await store.ackFifo("q", id), true);
    }
    assert.equal(await store.peekFifo("q"), undefined);
    assert.equal(await store.enqueueFifo(testFifoMessage("q", "fourth")), 4);
    assert.equal((await store.peekFifo("other"))?.id, "x");
  });

  test("ackFifo and rejectFifo act on the front message only", async (store) => {
    assert.equal(await store.ackFifo("q", "a"), false);
    assert.equal(await store.rejectFifo("q", "a"), false);
    await store.enqueueFifo(testFifoMessage("q", "a"));
    await store.enqueueFifo(testFifoMessage("q", "b"));
    assert.equal(await store.ackFifo("q", "b"), false);
    assert.equal(await store.rejectFifo("q", "b"), false);
    assert.equal((await store.peekFifo("q"))?.attempts, 0);
    assert.equal(await store.rejectFifo("q", "a"), true);
    assert.equal(await store.rejectFifo("q", "a"), true);
    assert.deepEqual([(await store.peekFifo("q"))?.id, (await store.peekFifo("q"))?.attempts], ["a", 2]);
    assert.equal(await store.ackFifo("q", "a"), true);
    assert.equal(await store.ackFifo("q", "a"), false);
    assert.deepEqual([(await store.peekFifo("q"))?.id, (await store.peekFifo("q"))?.attempts], ["b", 0]);
  });

  test("check settles while the store works", async (store) => {
    await store.check();
  });

  test("close lets pending calls settle and refuses later ones", async (store) => {
    const appended = store.append([testMessage("t", "1")]);
    const read = store.read("t", NODE_A, 1, PLENTY);
    const closed = store.close();
    const late = store.append([testMessage("t", "2")]);
    await assert.rejects(late, hasCode("closed"));
    await assert.rejects(store.check(), hasCode("closed"));
    await closed;
    await store.close();
    assert.deepEqual(await appended, [{ headId: 1, sequence: 1 }]);
    assert.equal((await read).length, 1);
    await assert.rejects(store.heads(), hasCode("closed"));
  });
}

/** Much faster than deepEqual for megabytes. */
function sameBytes(a: Uint8Array, b: Uint8Array): boolean {
  return a.length === b.length && a.every((byte, at) => byte === b[at]);
}
