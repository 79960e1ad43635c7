import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { MemoryStore } from "../store/memory/store.ts";
import type { AppendingProducer, OnceMessage, OnceOutcome, StoredMessage } from "../store/store.ts";
import { encodeHeaders } from "./headers.ts";
import type { Consumer } from "./consumer.ts";
import type { Message } from "./message.ts";
import type { Subscription } from "./subscription.ts";
import { isBusError, LOCAL, NO_BYTES, openTestBus, publishText, textOf } from "./test_bus.ts";

/** A store whose appends settle when the test lets them. */
class HeldStore extends MemoryStore {
  readonly #waiting: (() => void)[] = [];
  /** Pages that were read. */
  reads = 0;

  override async appendOnce(
    batch: readonly OnceMessage[],
    producer?: AppendingProducer,
  ): Promise<readonly OnceOutcome[]> {
    const appended = super.appendOnce(batch, producer);
    appended.catch(() => {}); // it is told when the test lets it
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return await appended;
  }

  override read(...call: Parameters<MemoryStore["read"]>): Promise<StoredMessage[]> {
    this.reads++;
    return super.read(...call);
  }

  get waiting(): number {
    return this.#waiting.length;
  }

  release(): void {
    this.#waiting.shift()?.();
  }
}

function batch(topic: string, ...sizes: readonly number[]) {
  return { messages: sizes.map((size) => ({ topic, payload: new Uint8Array(size), headers: NO_BYTES })) };
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
}

Deno.test("Bus.publishBatch lets batches wait in turn for room, and refuses when as much waits already", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store, { pendingBytes: 1_000 });
  const first = bus.publishBatch(batch("a", 500)); // and 256 for the message itself
  const second = bus.publishBatch(batch("a", 200));
  const third = bus.publishBatch(batch("a", 200));
  await settled();
  assert.equal(store.waiting, 1);
  await assert.rejects(bus.publishBatch(batch("a", 200)), isBusError("resource_exhausted"));
  store.release();
  await first;
  await settled();
  assert.equal(store.waiting, 2, "both fit now");
  store.release();
  store.release();
  const heads = (await Promise.all([second, third])).flat().map((run) =>
    run.kind === "published" && run.headId
  );
  assert.deepEqual(heads, [2, 3]);
});

Deno.test("Bus.publishBatch that waits for room ends by its signal and with the bus, and stores nothing", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store, { pendingBytes: 1_000 });
  const first = bus.publishBatch(batch("a", 900));
  const aborting = new AbortController();
  const aborted = bus.publishBatch(batch("a", 100), aborting.signal);
  const closed = bus.publishBatch(batch("a", 100));
  aborting.abort(new Error("enough"));
  await assert.rejects(aborted, /enough/);
  const closing = bus.close();
  await assert.rejects(closed, isBusError("unavailable"));
  store.release();
  await first;
  await closing;
});

Deno.test("Bus.publishBatch whose producer was taken over ends when all of its parts have settled, and the bus closes no sooner", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store, { messageBytes: 100, pendingBytes: 1_000 });
  const old = await bus.openProducer({ id: "p", epoch: 0 });
  await bus.openProducer({ id: "p", epoch: 0 });
  const ends: string[] = [];
  const { messages } = batch("a", 1, 101, 2); // the second is too large: two parts
  const call = bus.publishBatch({ messages, producer: old, firstSequence: 1 });
  const ended = assert.rejects(call, isBusError("failed_precondition")).then(() => ends.push("call"));
  void bus.close().then(() => ends.push("bus"));
  await settled();
  assert.equal(store.waiting, 2);
  store.release();
  await settled();
  assert.deepEqual(ends, [], "the second part is still at the store");
  store.release();
  await ended;
  await settled();
  assert.deepEqual(ends.sort(), ["bus", "call"]);
});

Deno.test("Bus.publishBatch comes after what was published before it, and before what comes later", async () => {
  const bus = await openTestBus(new MemoryStore());
  const text = (value: string) => new TextEncoder().encode(value);
  await Promise.all([
    publishText(bus, "a", "1"),
    bus.publishBatch({
      messages: ["2", "3"].map((it) => ({ topic: "a", payload: text(it), headers: NO_BYTES })),
    }),
    publishText(bus, "a", "4"),
  ]);
  const texts: string[] = [];
  for await (const page of bus.fetch({ topic: "a", fromHeadId: 1, limit: 10 })) {
    texts.push(...page.map(textOf));
  }
  assert.deepEqual(texts, ["1", "2", "3", "4"]);
});

Deno.test("Bus.publishBatch has what it needs of its messages when it has entered, also where it had to wait", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store, { pendingBytes: 2_000 });
  const headers = encodeHeaders({ name: "value" });
  const followed = bus.subscribe({ topic: "followed", fromHeadId: 1, pageSize: 0 });
  const publish = (topic: string, text: string) => {
    const message = { topic, payload: new TextEncoder().encode(text), headers: headers.slice() };
    const entered = () => [message.payload, message.headers].forEach((bytes) => bytes.fill(0xff));
    return bus.publishBatch({ messages: [message], entered });
  };
  const published = Promise.all([
    publish("followed", "1"),
    publish("other", "1"),
    publish("followed", "2".repeat(800)),
    publish("other", "2".repeat(800)),
  ]);
  for (let i = 0; i < 4; i++) {
    await settled();
    store.release();
  }
  await published;
  const live: Message[] = [];
  while (live.length < 2) live.push(...await followed.next());
  assert.equal(store.reads, 0, "who follows gets it from memory");
  const stored: Message[] = [];
  for await (const page of bus.fetch({ topic: "other", fromHeadId: 1, limit: 10 })) stored.push(...page);
  for (const messages of [live, stored]) {
    assert.deepEqual(messages.map(textOf), ["1", "2".repeat(800)]);
    for (const message of messages) assert.deepEqual(message.headers, headers);
  }
  await bus.close();
});

Deno.test("Bus.publishBatch gives what is on its way to the disk to those who come meanwhile", async () => {
  const store = new HeldStore();
  const bus = await openTestBus(store);
  const publish = async (texts: readonly string[], meanwhile?: () => void | Promise<void>) => {
    const payloads = texts.map((text) => new TextEncoder().encode(text));
    const published = bus.publishBatch({
      messages: payloads.map((payload) => ({ topic: "a", payload, headers: NO_BYTES })),
    });
    await meanwhile?.();
    await settled();
    store.release();
    await published;
  };
  await publish(["1"]);
  let subscription: Subscription | undefined;
  let consumer: Consumer | undefined;
  await publish(["2", "3"], async () => {
    subscription = bus.subscribe({ topic: "a", fromHeadId: 2, pageSize: 0 });
    const pattern = { patterns: ["a"], origins: [], from: { kind: "newest" }, skipDeleted: false } as const;
    consumer = await bus.consume(pattern);
  });
  for (const texts of [["2", "3"], ["4"]]) {
    if (texts[0] === "4") await publish(texts);
    const followed: string[] = [];
    while (followed.length < texts.length) followed.push(...(await subscription?.next() ?? []).map(textOf));
    const consumed: string[] = [];
    while (consumed.length < texts.length) {
      const page = await consumer?.next({ messages: 10, bytes: 1_000 });
      consumed.push(...(page?.messages ?? []).map(textOf));
    }
    assert.deepEqual([followed, consumed], [texts, texts]);
  }
  assert.equal(store.reads, 1, "only what nobody followed when it was handed over is read from the store");
  await bus.close();
});

Deno.test("Bus.publishBatch knows the topic and the key of each message of many topics", async () => {
  const bus = await openTestBus(new MemoryStore());
  const topics = [..."abcabbcdea"];
  const publish = (text: string) => {
    const payload = new TextEncoder().encode(text);
    const messages = topics.map((topic, at) => ({ topic, payload, headers: NO_BYTES, key: `key-${at}` }));
    return bus.publishBatch({ messages });
  };
  await publish("one");
  assert.deepEqual([..."abcde"].map((topic) => bus.head(topic)), [3, 3, 2, 1, 1]);
  const refused = (await publish("other")).map((outcome) =>
    outcome.kind === "refused" &&
    /"(.)" with the idempotency key "(.*)":/.exec(outcome.error.message)?.slice(1)
  );
  assert.deepEqual(refused, topics.map((topic, at) => [topic, `key-${at}`]));
});

Deno.test("Bus.publishBatch keeps nothing of messages in memory that nobody follows while the store writes them", async () => {
  class SlowStore extends MemoryStore {
    release = () => {};

    override appendOnce(batch: readonly OnceMessage[]): Promise<readonly OnceOutcome[]> {
      const released = new Promise<void>((resolve) => this.release = resolve);
      return super.appendOnce(batch).then((outcomes) => released.then(() => outcomes));
    }
  }
  const store = new SlowStore();
  const bus = await openTestBus(store);
  await publishText(bus, "a", "the log is there");
  const handOver = (topic: string) => {
    const payload = new Uint8Array(1);
    return {
      payload: new WeakRef(payload),
      published: bus.publishBatch({ messages: [{ topic, payload, headers: NO_BYTES }] }),
    };
  };
  const { payload, published } = handOver("a");
  await settled(); // a reference is only weak in the turn after its own
  collectGarbage();
  assert.equal(payload.deref(), undefined);
  store.release();
  const [run] = await published;
  assert.equal(run?.kind === "published" && run.headId, 2);
});

Deno.test("Bus.publishBatch beside other publishes of the same turn leaves the newest head, and wakes subscribers", async () => {
  const bus = await openTestBus(new MemoryStore());
  const subscription = bus.subscribe({ topic: "a", fromHeadId: 1, pageSize: 0 });
  const consumer = await bus.consume({
    patterns: ["a"],
    origins: [],
    from: { kind: "newest" },
    skipDeleted: false,
  });
  const heads: number[] = [];
  const reading = (async () => {
    while (heads.length < 5) heads.push(...(await subscription.next()).map(({ headId }) => headId));
  })();
  const key = { topic: "a", payload: NO_BYTES, headers: NO_BYTES, key: "k" };
  await Promise.all([publishText(bus, "a", "1"), bus.publishBatch(batch("a", 1, 1))]);
  assert.equal(bus.head("a"), 3);
  assert.equal(bus.sequence, 3);
  await Promise.all([bus.publish(key), publishText(bus, "a", "5"), bus.publishBatch(batch("b", 1))]);
  assert.equal(bus.head("a"), 5);
  await reading;
  assert.deepEqual(heads, [1, 2, 3, 4, 5]);
  const consumed: number[] = [];
  while (consumed.length < 5) {
    const { messages } = await consumer.next({ messages: 10, bytes: 1_000 });
    consumed.push(...messages.map(({ headId }) => headId));
  }
  assert.deepEqual(consumed, [1, 2, 3, 4, 5]);
  await bus.close();
});

Deno.test("Bus.archive in the turn of a publish leaves the head of the log that begins anew", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishText(bus, "a", "old");
  await Promise.all([bus.archive("a", LOCAL), bus.publishBatch(batch("a", 1, 1))]);
  assert.equal(bus.head("a"), 2);
});

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}
