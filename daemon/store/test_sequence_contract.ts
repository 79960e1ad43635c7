import assert from "node:assert/strict";
import {
  contractTests,
  NODE_A,
  NODE_B,
  plain,
  PLENTY,
  readAll,
  type StoreUnderTest,
  testMessage,
} from "./contract.ts";
import type {
  LogName,
  NewMessage,
  ReadLimits,
  SequencedMessage,
  SequenceFilter,
  Store,
  StoredMessage,
} from "./store.ts";

/** Every message that passes, page by page; checks that each page goes on. */
async function everySequence(
  store: Store,
  filter: SequenceFilter = {},
  limits: ReadLimits = PLENTY,
  from = 1,
): Promise<SequencedMessage[]> {
  const all: SequencedMessage[] = [];
  for (;;) {
    const { messages, next } = await store.readAll(from, filter, limits);
    assert.ok(messages.length <= limits.messages);
    for (const { sequence } of messages) {
      assert.ok(sequence > (all.at(-1)?.sequence ?? 0) && sequence >= from && sequence < next);
    }
    all.push(...messages);
    if (next === from) return all;
    assert.ok(next > from);
    from = next;
  }
}

/** A canonical UUID that is a number. */
export function uuid(number: number): string {
  return `018f0000-1234-7abc-8def-${number.toString(16).padStart(12, "0")}`;
}

/** Messages of which each follows the one before. */
function following(topic: string, first: number, count: number): NewMessage[] {
  return Array.from({ length: count }, (_, at) => {
    const message = { ...testMessage(topic, `${first + at}`), id: uuid(first + at) };
    return at === 0 ? message : { ...message, follows: true };
  });
}

function idsOf(messages: readonly StoredMessage[]): string[] {
  return messages.map(({ id }) => id);
}

function placesOf(messages: readonly SequencedMessage[]): string[] {
  return messages.map(({ topic, origin, headId, sequence, id }) =>
    `${topic} ${origin.deviceId} ${headId} ${sequence} ${id}`
  );
}

/** Registers the tests of reads over all logs, and of ids that follow one another. */
export function testSequenceContract(underTest: StoreUnderTest): void {
  const test = contractTests(underTest);

  test("append keeps the ids that follow one another, over topics and many messages", async (store) => {
    const [first, second] = [following("t", 0xffff_ff00, 700), following("t", 7, 3)];
    const mixed = [...first, ...second].map((message, at) =>
      at % 5 === 4 ? { ...message, topic: "u" } : message
    );
    await store.append(mixed);
    await store.append(following("t", 900, 2));
    const ids = Array.from({ length: 700 }, (_, at) => uuid(0xffff_ff00 + at));
    ids.push(uuid(7), uuid(8), uuid(9));
    const inT = ids.filter((_, at) => at % 5 !== 4);
    assert.deepEqual(idsOf(await readAll(store, "t")), [...inT, uuid(900), uuid(901)]);
    assert.deepEqual(idsOf(await readAll(store, "u")), ids.filter((_, at) => at % 5 === 4));
    for (const from of [2, 250, 257, 500]) {
      const [message] = await store.read("t", NODE_A, from, { messages: 1, bytes: 1 });
      assert.equal(message?.id, inT[from - 1]);
      assert.equal(message?.createdAtMs, 1_700_000_000_000);
    }
  });

  test("readAll has the messages of all logs in the order of their sequences", async (store) => {
    assert.deepEqual(await store.readAll(1, {}, PLENTY), { messages: [], next: 1 });
    await store.append([testMessage("t", "1"), testMessage("u", "2"), testMessage("t", "3", NODE_B)]);
    await store.append(Array.from({ length: 3 }, (_, at) => testMessage("t", `${at + 4}`)));
    const all = await everySequence(store);
    assert.deepEqual(placesOf(all), [
      "t a 1 1 id-1",
      "u a 1 2 id-2",
      "t b 1 3 id-3",
      "t a 2 4 id-4",
      "t a 3 5 id-5",
      "t a 4 6 id-6",
    ]);
    const read = await readAll(store, "t");
    assert.deepEqual(all.filter(({ topic, origin }) => topic === "t" && origin.deviceId === "a").map(plain), [
      ...read.map(plain),
    ]);
    for (let from = 1; from <= 6; from++) {
      for (const messages of [1, 2, 100]) {
        assert.deepEqual(
          placesOf(await everySequence(store, {}, { messages, bytes: 1 }, from)),
          placesOf(all.slice(from - 1)),
        );
      }
    }
    assert.deepEqual(await store.readAll(7, {}, PLENTY), { messages: [], next: 7 });
    assert.deepEqual(await store.readAll(100, {}, PLENTY), { messages: [], next: 100 });
    assert.equal((await store.readAll(0, {}, PLENTY)).messages.length, 6);
  });

  test("readAll stops at both limits, and returns one message that is larger alone", async (store) => {
    const sizes = [10, 10, 100, 10, 10, 10];
    await store.append(sizes.map((size, at) => ({
      ...testMessage(at < 4 ? "t" : "u", `${at}`),
      payload: new Uint8Array(size),
    })));
    const pages: number[][] = [];
    for (let from = 1; from <= sizes.length;) {
      const { messages, next } = await store.readAll(from, {}, { messages: 2, bytes: 20 });
      pages.push([messages.length, next]);
      from = next;
    }
    assert.deepEqual(pages, [[2, 3], [1, 4], [2, 6], [1, 7]]);
  });

  test("readAll finds what passes the filter", async (store) => {
    for (let at = 0; at < 40; at++) {
      await store.append([0, 1, 2].map((part) => ({
        ...testMessage(["t", "u", "v"][(at + part) % 3] ?? "", `${at}.${part}`, part === 2 ? NODE_B : NODE_A),
        createdAtMs: 1_700_000_000_000 + at * 10 + part,
      })));
    }
    await store.append(Array.from({ length: 500 }, (_, at) => testMessage("u", `${at}`)));
    await store.deleteRange("u", NODE_A, 3, 400, testMessage("deletes", "m"));
    const all = await everySequence(store);
    assert.equal(all.length, 40 * 3 + 500 + 1);
    const [t, u, later]: LogName[] = ["t", "u", "later"].map((topic) => ({ topic, origin: NODE_A }));
    if (t === undefined || u === undefined || later === undefined) throw new Error("unreachable");
    const is = ({ topic, origin }: LogName, log: LogName) =>
      topic === log.topic && origin.deviceId === log.origin.deviceId;
    const [onlyT, exceptT, none] = [[t, later], [t], [] as LogName[]];
    const cases: [SequenceFilter, (message: SequencedMessage) => boolean][] = [
      [{ only: onlyT }, (message) => is(message, t)],
      [{ except: exceptT }, (message) => !is(message, t)],
      [{ only: onlyT, except: exceptT }, () => false],
      [{ only: none }, () => false],
      [{ except: none }, () => true],
      [{ skipDeleted: true }, ({ deleted }) => !deleted],
      [{ createdFromMs: 1_700_000_000_205 }, ({ createdAtMs }) => createdAtMs >= 1_700_000_000_205],
      [
        { except: exceptT, skipDeleted: true, createdFromMs: 1_700_000_000_100 },
        (message) => !is(message, t) && !message.deleted && message.createdAtMs >= 1_700_000_000_100,
      ],
    ];
    for (const [filter, expected] of cases) {
      for (const limits of [PLENTY, { messages: 7, bytes: 1 << 20 }, { messages: 50, bytes: 20 }]) {
        assert.deepEqual(
          (await everySequence(store, filter, limits)).map((message) => [message.topic, plain(message)]),
          all.filter(expected).map((message) => [message.topic, plain(message)]),
        );
      }
    }
    await store.append([testMessage("later", "x")]);
    assert.deepEqual(placesOf((await everySequence(store, { only: onlyT })).slice(-1)), [
      "later a 1 622 id-x",
    ]);
  });

  test("readAll takes many lists of many logs", async (store) => {
    const topics = Array.from({ length: 2_000 }, (_, at) => `topic ${at}`);
    await store.append(topics.map((topic) => testMessage(topic, "1")));
    const lists = Array.from(
      { length: 100 },
      (_, list) => topics.filter((_, at) => at % 100 === list).map((topic) => ({ topic, origin: NODE_A })),
    );
    for (let round = 0; round < 2; round++) {
      for (const [at, only] of lists.entries()) {
        const found = await everySequence(store, { only });
        assert.deepEqual(found.map(({ topic }) => topic), topics.filter((_, index) => index % 100 === at));
      }
    }
  });

  test("readAll has no log that was set aside, but the one in its place", async (store) => {
    await store.append([testMessage("t", "1"), testMessage("u", "2"), testMessage("t", "3")]);
    await everySequence(store);
    await store.archive("t", NODE_A);
    assert.deepEqual(placesOf(await everySequence(store)), ["u a 1 2 id-2"]);
    await store.append([testMessage("t", "4")]);
    const expected = ["u a 1 2 id-2", "t a 1 4 id-4"];
    assert.deepEqual(placesOf(await everySequence(store)), expected);
    assert.deepEqual(
      placesOf(await everySequence(store, { only: [{ topic: "t", origin: NODE_A }] })),
      expected.slice(1),
    );
  });

  test("readAll goes on over a long stretch that nobody wants, a bounded part at a time", async (store) => {
    await store.append([testMessage("t", "first")]);
    for (let at = 0; at < 5; at++) {
      await store.append(
        Array.from({ length: 2_000 }, (_, part) => testMessage(part % 2 === 0 ? "u" : "v", "x")),
      );
    }
    await store.append([testMessage("t", "last")]);
    const only = [{ topic: "t", origin: NODE_A }];
    const pages: number[] = [];
    for (let from = 1, next = 0; next !== from;) {
      from = next === 0 ? 1 : next;
      const page = await store.readAll(from, { only }, PLENTY);
      next = page.next;
      pages.push(page.messages.length);
    }
    assert.ok(pages.length > 3, `${pages.length} pages`);
    assert.equal(pages.reduce((sum, count) => sum + count), 2);
  });

  test("readAll loses nothing and repeats nothing while messages are appended", async (store) => {
    const found: string[] = [];
    let appended = 0;
    let from = 1;
    const writes: Promise<unknown>[] = [];
    while (found.length < 3_000) {
      for (let call = 0; call < 3 && appended < 3_000; call++, appended += 50) {
        const topic = `topic ${appended / 50 % 7}`;
        const batch = Array.from({ length: 50 }, (_, at) => testMessage(topic, `${appended + at}`));
        writes.push(store.append(batch));
      }
      const { messages, next } = await store.readAll(from, {}, { messages: 170, bytes: 1 << 20 });
      found.push(...idsOf(messages));
      from = next;
    }
    await Promise.all(writes);
    assert.deepEqual(found, Array.from({ length: 3_000 }, (_, at) => `id-${at}`));
    assert.deepEqual(await store.readAll(from, {}, PLENTY), { messages: [], next: from });
  });
}
