import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import {
  DEFAULT_DEDUP_LIMITS,
  type ReadLimits,
  type SequenceFilter,
  type SequencePage,
} from "../store/store.ts";
import type { Bus } from "./bus.ts";
import type { Consumer } from "./consumer.ts";
import type { ConsumeRequest } from "./requests.ts";
import {
  HeldTimers,
  isBusError,
  LOCAL,
  NO_BYTES,
  openTestBus,
  OTHER,
  publishText,
  seededRandom,
  textOf,
} from "./test_bus.ts";

const LIMITS: ReadLimits = { messages: 100, bytes: 1 << 20 };

/** A store whose reads over all logs settle when the test lets them, and count. */
class HeldStore extends MemoryStore {
  reads = 0;
  held: Promise<void> | undefined;

  override async readAll(from: number, filter: SequenceFilter, limits: ReadLimits): Promise<SequencePage> {
    this.reads++;
    const page = await super.readAll(from, filter, limits);
    await this.held;
    return page;
  }
}

function consume(bus: Bus, ...patterns: readonly string[]): Promise<Consumer> {
  return consumeWith(bus, { patterns });
}

function consumeWith(bus: Bus, request: Partial<ConsumeRequest>): Promise<Consumer> {
  return bus.consume({
    patterns: [">"],
    origins: [],
    from: { kind: "oldest" },
    skipDeleted: false,
    ...request,
  });
}

/** Everything up to the newest message. */
async function drain(consumer: Consumer): Promise<string[]> {
  const texts: string[] = [];
  while (consumer.behind) texts.push(...(await consumer.next(LIMITS)).messages.map(textOf));
  return texts;
}

async function publishMany(bus: Bus, topic: string, count: number): Promise<void> {
  const messages = Array.from({ length: count }, () => ({ topic, payload: NO_BYTES, headers: NO_BYTES }));
  await bus.publishBatch({ messages });
}

async function replicateText(bus: Bus, topic: string, ...texts: readonly string[]): Promise<void> {
  const head = bus.head(topic, OTHER) ?? 0;
  const messages = texts.map((text, at) => ({
    headId: head + at + 1,
    id: `${topic}-${head + at + 1}`,
    createdAtMs: 1_000 + head + at + 1,
    payload: new TextEncoder().encode(text),
    headers: NO_BYTES,
    deleted: false,
  }));
  await bus.replicate({ topic, origin: OTHER, incarnation: "", messages });
}

/** Something that happens when the test says so. */
function gate(): { readonly opened: Promise<void>; readonly open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => open = resolve);
  return { opened, open };
}

Deno.test("Bus.consume gives the messages of all logs that match, in the order in which they were stored", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishText(bus, "a.x", "1");
  await publishText(bus, "b.x", "2");
  await replicateText(bus, "a.x", "3");
  await publishText(bus, "a.y.z", "4");
  await publishText(bus, "a", "5");
  await publishText(bus, "a/x", "6");
  assert.deepEqual(await drain(await consume(bus, ">")), ["1", "2", "3", "4", "5", "6"]);
  assert.deepEqual(await drain(await consume(bus, "a.>")), ["1", "3", "4"]);
  assert.deepEqual(await drain(await consume(bus, "*.x", "a")), ["1", "2", "3", "5"]);
  assert.deepEqual(await drain(await consume(bus, "a/#")), ["5", "6"]);
  assert.deepEqual(await drain(await consume(bus, "a.x")), ["1", "3"]);
  assert.deepEqual(await drain(await consumeWith(bus, { patterns: ["a.x"], origins: [OTHER] })), ["3"]);
  const here = { tenantId: "", blName: "", deviceId: "" };
  assert.deepEqual(await drain(await consumeWith(bus, { patterns: ["a.x"], origins: [here] })), ["1"]);
});

Deno.test("Bus.consume begins at the newest, a head, a time or a cursor", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishText(bus, "a", "1");
  await publishText(bus, "b", "2");
  await publishText(bus, "a", "3");
  await replicateText(bus, "c", "4", "5");
  assert.deepEqual(await drain(await consumeWith(bus, { from: { kind: "newest" } })), []);
  assert.deepEqual(await drain(await consumeWith(bus, { from: { kind: "head", headId: 2 } })), ["3", "5"]);
  assert.deepEqual(await drain(await consumeWith(bus, { from: { kind: "time", ms: 1_002 } })), [
    "1",
    "2",
    "3",
    "5",
  ]);
  const first = await consume(bus, ">");
  await first.next({ messages: 2, bytes: 1_000 });
  const cursor = bus.cursorAt(first.sequence);
  assert.deepEqual(await drain(await consumeWith(bus, { from: { kind: "cursor", cursor } })), [
    "3",
    "4",
    "5",
  ]);
  const nothing = bus.cursorAt(0);
  assert.equal(
    (await drain(await consumeWith(bus, { from: { kind: "cursor", cursor: nothing } }))).length,
    5,
  );
});

Deno.test("Bus.consume refuses cursors of other data directories, of what is not stored, and what is no cursor", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishText(bus, "a", "1");
  const other = await openTestBus(new MemoryStore());
  await publishText(other, "a", "1");
  const from = (cursor: string) => consumeWith(bus, { from: { kind: "cursor", cursor } });
  await assert.rejects(from(other.cursorAt(1)), isBusError("failed_precondition", "start.cursor"));
  const cursor = bus.cursorAt(1);
  const ahead = cursor.replace("/1/", "/2/");
  await assert.rejects(from(ahead), isBusError("failed_precondition", "start.cursor"));
  await assert.rejects(from(`${cursor}x`), isBusError("failed_precondition", "start.cursor"));
  for (const wrong of ["x", "", "a/b/c", "a/-1/c", "a/01/c", "/1/c"]) {
    await assert.rejects(from(wrong), isBusError("invalid_argument", "start.cursor"), wrong);
  }
});

Deno.test("Bus.consume refuses the cursor of a place behind a restored backup, also where the same message came there again", async () => {
  const store = new MemoryStore();
  const bus = await openTestBus(store);
  const backup = new MemoryStore(store.incarnation, DEFAULT_DEDUP_LIMITS, store.openingOf(1));
  await replicateText(bus, "a", "before");
  await replicateText(await openTestBus(backup), "a", "before");
  const before = bus.cursorAt(1);
  await replicateText(bus, "lost", "1");
  await replicateText(bus, "b", "2");
  const behind = bus.cursorAt(3);

  backup.reopen("after");
  const restored = await openTestBus(backup);
  const from = (cursor: string) => consumeWith(restored, { from: { kind: "cursor", cursor } });
  await assert.rejects(from(behind), isBusError("failed_precondition", "start.cursor"));
  await replicateText(restored, "missed", "3");
  await replicateText(restored, "b", "2");
  await replicateText(restored, "lost", "1");
  await assert.rejects(from(behind), isBusError("failed_precondition", "start.cursor"));
  assert.deepEqual(await drain(await from(before)), ["3", "2", "1"]);
  assert.deepEqual(await drain(await from(restored.cursorAt(2))), ["2", "1"]);
  assert.deepEqual(await drain(await from(restored.cursorAt(1))), ["3", "2", "1"]);
});

Deno.test("Bus.consume refuses no pattern, too many, and patterns that can only be a mistake", async () => {
  const bus = await openTestBus(new MemoryStore());
  await assert.rejects(consume(bus), isBusError("invalid_argument", "start.patterns"));
  await assert.rejects(
    consume(bus, ...Array.from({ length: 101 }, () => ">")),
    isBusError("invalid_argument", "start.patterns"),
  );
  await assert.rejects(consume(bus, ">", "a.>.b"), isBusError("invalid_argument", "start.patterns[1]"));
  const origins = [{ tenantId: "t", blName: "", deviceId: "d" }];
  await assert.rejects(
    consumeWith(bus, { origins }),
    isBusError("invalid_argument", "start.origins[0].bl_name"),
  );
});

Deno.test("Consumer.next gives each message of one page once, within both limits, and a large one alone", async () => {
  const bus = await openTestBus(new MemoryStore());
  for (const text of ["1", "22", "333", "4", "5"]) await publishText(bus, "a", text);
  const consumer = await consume(bus, "a");
  const page = async (messages: number, bytes: number) =>
    (await consumer.next({ messages, bytes })).messages.map(textOf);
  assert.deepEqual(await page(1, 1_000), ["1"]);
  assert.deepEqual(await page(10, 1), ["22"]);
  assert.deepEqual(await page(10, 4), ["333", "4"]);
  assert.deepEqual(await consumer.next(LIMITS), {
    messages: await lastOf(bus),
    caughtUp: true,
    progress: false,
  });
});

async function lastOf(bus: Bus) {
  const consumer = await consumeWith(bus, { from: { kind: "head", headId: 5 } });
  return (await consumer.next(LIMITS)).messages;
}

Deno.test("Consumer: what all consumers have is not kept in memory, what one lacks is", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  const [quick, slow] = [await consume(bus, "t"), await consume(bus, "t")];
  for (let i = 1; i <= 3; i++) {
    const waiting = quick.next(LIMITS);
    await publishText(bus, "t", `${i}`);
    assert.deepEqual((await waiting).messages.map(textOf), [`${i}`]);
  }
  assert.deepEqual(await drain(slow), ["1", "2", "3"]);
  assert.equal(store.reads, 0);
  await publishText(bus, "t", "4"); // with it goes what both have
  assert.deepEqual(await drain(await consume(bus, "t")), ["1", "2", "3", "4"]);
  assert.equal(store.reads, 1);
});

Deno.test("Consumer.next waits for what matches, and gives live messages without reading the store", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  const consumer = await consume(bus, "a.*");
  const next = consumer.next(LIMITS);
  await publishText(bus, "b", "not wanted");
  await publishText(bus, "a.new", "1");
  const { messages, caughtUp } = await next;
  assert.deepEqual([messages.map(textOf), caughtUp], [["1"], true]);
  const other = await consumeWith(bus, { from: { kind: "newest" } });
  const both = Promise.all([consumer.next(LIMITS), other.next(LIMITS)]);
  await bus.publishBatch({
    messages: ["2", "3"].map((text) => ({
      topic: "a.b",
      payload: new TextEncoder().encode(text),
      headers: NO_BYTES,
    })),
  });
  const [mine, its] = await both;
  assert.deepEqual(mine.messages.map(textOf), ["2", "3"]);
  assert.ok(mine.messages.every((message, at) => message === its.messages[at]), "one object serves all");
  assert.equal(store.reads, 0);
});

Deno.test("Consumer.next serves a slow consumer from the store when memory has moved on", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store, { recentMessagesPerLog: 4 });
  const consumer = await consume(bus, "a");
  for (let i = 1; i <= 20; i++) await publishText(bus, i % 2 === 0 ? "a" : "b", String(i));
  assert.deepEqual(await drain(consumer), ["2", "4", "6", "8", "10", "12", "14", "16", "18", "20"]);
  assert.ok(store.reads > 0);
});

Deno.test("Consumer.next leaves deleted messages out where asked, and gives nobody their payload", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  const live = await consumeWith(bus, { patterns: ["a"], from: { kind: "newest" } });
  for (const text of ["1", "2", "3"]) await publishText(bus, "a", text);
  await bus.deleteRange({ topic: "a", fromHeadId: 2, toHeadId: 2 });
  assert.deepEqual(await drain(live), ["1", "", "3"]);
  assert.deepEqual(await drain(await consume(bus, "a")), ["1", "", "3"]);
  assert.deepEqual(await drain(await consumeWith(bus, { patterns: ["a"], skipDeleted: true })), ["1", "3"]);
});

Deno.test("Consumer.next gives nobody what was deleted while its page was on its way", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  for (const text of ["1", "2"]) await publishText(bus, "a", text);
  const reading = await consume(bus, "a");
  const held = gate();
  store.held = held.opened;
  const page = reading.next(LIMITS);
  await bus.deleteRange({ topic: "a", fromHeadId: 1, toHeadId: 1 });
  store.held = undefined;
  held.open();
  assert.deepEqual((await page).messages.map(textOf), ["", "2"]);
});

Deno.test("Consumer.next goes on while others delete without a pause", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  for (const text of ["1", "2"]) await publishText(bus, "a", text);
  for (let i = 1; i <= 100; i++) await publishText(bus, "b", "x");
  const skipping = await consumeWith(bus, { skipDeleted: true, patterns: ["a", "b"] });
  let head = 0;
  Object.defineProperty(store, "held", { // each page finds more deleted when it comes
    get: () => {
      head++;
      assert.ok(head <= 10, "the page is read again and again");
      return bus.deleteRange({ topic: "b", fromHeadId: head, toHeadId: head });
    },
  });
  const { messages } = await skipping.next({ messages: 4, bytes: 1_000 });
  assert.deepEqual(messages.map(({ topic, headId }) => `${topic} ${headId}`), ["a 1", "a 2", "b 2"]);
});

Deno.test("Consumer.next finds logs that came into being behind its list", async () => {
  const bus = await openTestBus(new MemoryStore());
  for (let i = 0; i < 10; i++) await publishText(bus, `b.${i}`, "x");
  await publishText(bus, "a.1", "1");
  const consumer = await consume(bus, "a.>");
  assert.deepEqual(await drain(consumer), ["1"]);
  for (let i = 2; i <= 4; i++) await publishText(bus, `a.${i}`, String(i));
  assert.deepEqual(await drain(consumer), ["2", "3", "4"]);
});

Deno.test("Consumer.next tells of progress once a while among what is not wanted, from the store and live", async () => {
  const timers = new HeldTimers();
  const bus = await openTestBus(new MemoryStore(), {}, timers.timer);
  for (let i = 0; i < 3; i++) await publishMany(bus, "b", 4_096); // what one read of this store looks at
  const consumer = await consume(bus, "a");
  const next = async () => {
    const { messages, caughtUp, progress } = await consumer.next(LIMITS);
    return [messages.length, caughtUp, progress, consumer.sequence];
  };
  assert.deepEqual(await next(), [0, false, false, 4_096]);
  assert.deepEqual(timers.waiting, [1_000]);
  timers.fire();
  assert.deepEqual(await next(), [0, false, true, 8_192]);
  assert.deepEqual(await next(), [0, true, false, 12_288]);
  timers.fire();
  assert.deepEqual(await next(), [0, true, true, 12_288]);
  const waiting = next();
  assert.deepEqual(timers.waiting, [], "nothing comes: there is nothing to tell");
  await publishMany(bus, "b", 10);
  assert.deepEqual(timers.waiting, [1_000]);
  timers.fire();
  assert.deepEqual(await waiting, [0, true, true, 12_298]);
  const wanted = next();
  await publishText(bus, "b", "x");
  await publishText(bus, "a", "x");
  assert.deepEqual(await wanted, [1, true, false, 12_300]);
  assert.deepEqual(timers.waiting, [], "a message tells the place");
  await publishText(bus, "b", "x");
  const closed = next();
  consumer.close();
  await closed;
  assert.deepEqual(timers.waiting, []);
});

Deno.test("Consumer.next ends by its signal and goes on afterwards; one call at a time; close gives an empty page", async () => {
  const bus = await openTestBus(new MemoryStore());
  const consumer = await consume(bus, "a");
  const aborting = new AbortController();
  const next = consumer.next(LIMITS, aborting.signal);
  await assert.rejects(consumer.next(LIMITS), isBusError("failed_precondition"));
  aborting.abort(new Error("enough"));
  await assert.rejects(next, /enough/);
  await publishText(bus, "a", "1");
  assert.deepEqual((await consumer.next(LIMITS)).messages.map(textOf), ["1"]);
  const last = consumer.next(LIMITS);
  consumer.close();
  assert.deepEqual((await last).messages, []);
  const another = await consume(bus, "b");
  const waiting = another.next(LIMITS);
  await bus.close();
  await assert.rejects(waiting, isBusError("unavailable"));
});

Deno.test("Consumer.next ends with unavailable also where the consumer was opened while the bus closed", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishText(bus, "a", "1");
  const cursor = bus.cursorAt(1);
  const opening = [
    consumeWith(bus, { from: { kind: "cursor", cursor } }),
    consumeWith(bus, { from: { kind: "newest" } }),
  ];
  const reading = Promise.allSettled(opening.map(async (consumer) => await (await consumer).next(LIMITS)));
  await bus.close();
  for (const result of await reading) {
    assert.ok(result.status === "rejected" && isBusError("unavailable")(result.reason), result.status);
  }
  await assert.rejects(consumeWith(bus, {}), isBusError("unavailable"));
});

Deno.test("Bus.consume from newest leaves out nothing that is published after the call", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishText(bus, "a", "1");
  const opening = consumeWith(bus, { from: { kind: "newest" } });
  await publishText(bus, "a", "2");
  assert.deepEqual(await drain(await opening), ["2"]);
});

Deno.test("Consumer.next gives nothing of a log that was set aside, neither out of memory nor of a page on its way", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  await replicateText(bus, "a", "1", "2");
  const held = gate();
  store.held = held.opened;
  const stored = (await consume(bus, "a")).next(LIMITS);
  const live = await consumeWith(bus, { from: { kind: "newest" } });
  await replicateText(bus, "a", "3");
  await replicateText(bus, "b", "4");
  await bus.archive("a", OTHER);
  store.held = undefined;
  held.open();
  assert.deepEqual((await stored).messages, []);
  assert.deepEqual(await drain(live), ["4"]);
});

Deno.test("Consumer has no gap and no double where the stored past meets the live present", async () => {
  const bus = await openTestBus(new HeldStore(), { recentMessagesPerLog: 8 });
  const random = seededRandom(11);
  const total = 2_000;
  let published = 0;
  const publishing = (async () => {
    while (published < total) {
      const count = 1 + random(20);
      const messages = Array.from({ length: Math.min(count, total - published) }, () => ({
        topic: `t.${random(5)}`,
        payload: new TextEncoder().encode(String(++published)),
        headers: NO_BYTES,
      }));
      await bus.publishBatch({ messages });
      if (random(3) === 0) await publishText(bus, "other", "x");
    }
  })();
  const consumers = await Promise.all(Array.from({ length: 5 }, () => consume(bus, "t.*")));
  await Promise.all(consumers.map(async (consumer) => {
    const heads = new Map<string, number>();
    let last = 0;
    for (let count = 0; count < total;) {
      const { messages } = await consumer.next({ messages: 1 + random(50), bytes: 1_000 });
      for (const { topic, headId, sequence } of messages) {
        assert.equal(headId, (heads.get(topic) ?? 0) + 1);
        assert.ok(sequence > last);
        heads.set(topic, headId);
        last = sequence;
      }
      count += messages.length;
      if (random(10) === 0) await new Promise((resolve) => setTimeout(resolve, 0));
    }
  }));
  await publishing;
  assert.equal(bus.node, LOCAL);
});
