import assert from "node:assert/strict";
import { MemoryStore } from "../store/memory/store.ts";
import type { AppendingProducer, OnceMessage, OnceOutcome } from "../store/store.ts";
import { isBusError, LOCAL, NO_BYTES, openTestBus, publishText, textOf } from "./test_bus.ts";

/** A store whose appends settle when the test lets them. */
class HeldStore extends MemoryStore {
  readonly #waiting: (() => void)[] = [];

  override async appendOnce(
    batch: readonly OnceMessage[],
    producer?: AppendingProducer,
  ): Promise<readonly OnceOutcome[]> {
    const appended = super.appendOnce(batch, producer);
    appended.catch(() => {}); // it is told when the test lets it
    await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return await appended;
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
