import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  SyncFollowSchema,
  SyncHelloSchema,
  SyncPositionSchema,
  type SyncRequest,
  SyncRequestSchema,
  type SyncResponse,
} from "@msgbus/proto/sync";
import type { Bus } from "../bus/bus.ts";
import type { Cursor } from "../bus/cursor.ts";
import { isBusError, NO_BYTES, openTestBus, OTHER, publishText } from "../bus/test_bus.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { DEFAULT_DEDUP_LIMITS } from "../store/store.ts";
import { answerSync, type SyncOutput, type SyncSource } from "./answer_sync.ts";
import { decodeResponse } from "./sync_codec.ts";

Deno.test("answerSync begins with the welcome, also when a log changes while the caller's position is looked up", async () => {
  const bus = await openTestBus(new MemoryStore("incarnation"));
  await publishText(bus, "t", "1");
  const asked = Promise.withResolvers<void>();
  const answered = Promise.withResolvers<void>();
  const source: SyncSource = {
    node: bus.node,
    incarnation: bus.incarnation,
    get sequence() {
      return bus.sequence;
    },
    heads: () => bus.heads(),
    logHead: (topic, origin) => bus.logHead(topic, origin),
    watchHeads: (changed) => bus.watchHeads(changed),
    subscribe: (request) => bus.subscribe(request),
    placeAt: (sequence) => bus.placeAt(sequence),
    knows: async (place) => {
      asked.resolve();
      await answered.promise;
      return await bus.knows(place);
    },
  };
  const sent: Uint8Array[] = [];
  const welcomed = Promise.withResolvers<void>();
  const output: SyncOutput = {
    send: (response) => {
      if (sent.push(response) === 2) welcomed.resolve();
      return true;
    },
    ready: () => Promise.resolve(),
    inTurn: (make) => make(),
  };
  const ending = new AbortController();
  const after = create(SyncPositionSchema, { ...bus.placeAt(1), sequence: 1n });
  const hello = create(SyncHelloSchema, { node: bus.node, incarnation: "other", after });
  const request = toBinary(
    SyncRequestSchema,
    create(SyncRequestSchema, { request: { case: "hello", value: hello } }),
  );
  async function* requests() {
    yield request;
    await new Promise<void>((resolve) => ending.signal.addEventListener("abort", () => resolve()));
  }
  // Timers of 0 ms run at once here: news of a head leaves as early as it can.
  const timer = (ms: number, callback: () => void) => {
    if (ms === 0) queueMicrotask(callback);
    return () => {};
  };
  const session = answerSync(source, requests(), output, ending.signal, timer);
  await asked.promise;
  await publishText(bus, "t", "2");
  answered.resolve();
  await welcomed.promise;
  ending.abort();
  await session;
  const [first, second] = sent.map((bytes) => decodeResponse(bytes).news);
  assert.equal(first?.welcome?.incarnation, "incarnation");
  assert.deepEqual(second?.heads.map(({ headId }) => headId), [2n]);
  await bus.close();
});

Deno.test("answerSync tells everything to whoever was told more than a restored backup has, also where the same message came there again", async () => {
  const store = new MemoryStore();
  const bus = await openTestBus(store);
  const backup = new MemoryStore(store.incarnation, DEFAULT_DEDUP_LIMITS, store.openingOf(1));
  await copyText(bus, "a", "before");
  await copyText(await openTestBus(backup), "a", "before");
  const before = bus.placeAt(1);
  await copyText(bus, "lost", "1");
  await copyText(bus, "b", "2");
  const behind = bus.placeAt(3);
  backup.reopen("after");
  const restored = await openTestBus(backup);
  await copyText(restored, "missed", "3");
  await copyText(restored, "b", "2");
  assert.deepEqual(await toldTopics(restored, behind), { resumed: false, topics: ["a", "b", "missed"] });
  assert.deepEqual(await toldTopics(restored, before), { resumed: true, topics: ["b", "missed"] });
});

/** Stores another node's message; its id follows from the text. */
async function copyText(bus: Bus, topic: string, text: string): Promise<void> {
  const message = { headId: 1, id: `id-${text}`, createdAtMs: 1_000, payload: NO_BYTES, headers: NO_BYTES };
  await bus.replicate({ topic, origin: OTHER, incarnation: "", messages: [{ ...message, deleted: false }] });
}

/** What the answer to a caller begins with that was told everything up to a place. */
async function toldTopics(bus: Bus, place: Cursor): Promise<{ resumed: boolean; topics: string[] }> {
  const ending = new AbortController();
  const news: SyncResponse[] = [];
  const output: SyncOutput = {
    ...noOutput,
    send: (response) => {
      const { news: said } = decodeResponse(response);
      if (said !== undefined) news.push(said);
      if (said?.told !== undefined) ending.abort();
      return true;
    },
  };
  async function* requests() {
    const after = create(SyncPositionSchema, { ...place, sequence: BigInt(place.sequence) });
    const value = create(SyncHelloSchema, { node: OTHER, incarnation: "other", after });
    yield toBinary(SyncRequestSchema, create(SyncRequestSchema, { request: { case: "hello", value } }));
    await new Promise<void>((resolve) => ending.signal.addEventListener("abort", () => resolve()));
  }
  await answerSync(bus, requests(), output, ending.signal, noTimer);
  const topics = news.flatMap(({ logs }) => logs.map(({ topic }) => topic));
  return { resumed: news[0]?.welcome?.resumed ?? false, topics: topics.sort() };
}

const noOutput: SyncOutput = {
  send: () => true,
  ready: () => Promise.resolve(),
  inTurn: (make) => make(),
};
const noTimer = () => () => {};

Deno.test("answerSync ends by its signal also when the caller says nothing", async () => {
  const bus = await openTestBus(new MemoryStore());
  const silent: AsyncIterable<Uint8Array> = {
    [Symbol.asyncIterator]: () => ({ next: () => new Promise(() => {}) }),
  };
  const ending = new AbortController();
  const session = answerSync(bus, silent, noOutput, ending.signal, noTimer);
  ending.abort();
  await session;
  await bus.close();
});

Deno.test("answerSync leaves nothing at its signal, which outlives the session", async () => {
  const bus = await openTestBus(new MemoryStore());
  const { signal } = new AbortController();
  const listeners = new Set<unknown>();
  const add = signal.addEventListener.bind(signal);
  const remove = signal.removeEventListener.bind(signal);
  signal.addEventListener = (type: string, listener: EventListener) => {
    listeners.add(listener);
    add(type, listener);
  };
  signal.removeEventListener = (type: string, listener: EventListener) => {
    listeners.delete(listener);
    remove(type, listener);
  };
  async function* requests() {
    const value = create(SyncHelloSchema, { node: bus.node, incarnation: "other" });
    yield toBinary(SyncRequestSchema, create(SyncRequestSchema, { request: { case: "hello", value } }));
  }
  await answerSync(bus, requests(), noOutput, signal, noTimer);
  assert.equal(listeners.size, 0);
  await bus.close();
});

Deno.test("answerSync listens no more to a caller that follows again and again, and reads nothing", async () => {
  const bus = await openTestBus(new MemoryStore());
  await publishText(bus, "t", "1");
  const told = Promise.withResolvers<void>();
  const blocked: SyncOutput = {
    send: (response) => {
      if (decodeResponse(response).news?.heads.length === 1) told.resolve();
      return true;
    },
    ready: () => Promise.resolve(),
    inTurn: () => new Promise(() => {}),
  };
  const encode = (request: SyncRequest["request"]) =>
    toBinary(SyncRequestSchema, create(SyncRequestSchema, { request }));
  let taken = 0;
  async function* requests() {
    yield encode({ case: "hello", value: create(SyncHelloSchema, { node: bus.node }) });
    await told.promise;
    const follow = encode({ case: "follow", value: create(SyncFollowSchema, { log: 0n, fromHeadId: 1n }) });
    for (; taken < 100_000; taken++) yield follow;
  }
  const ending = new AbortController();
  const session = answerSync(bus, requests(), blocked, ending.signal, noTimer);
  await told.promise;
  await new Promise((resolve) => setTimeout(resolve, 500));
  assert.ok(taken > 0 && taken < 1_000, `${taken} requests were taken`);
  ending.abort();
  await session;
  await bus.close();
});

Deno.test("answerSync refuses more patterns than each topic can be held against", async () => {
  const bus = await openTestBus(new MemoryStore());
  async function* requests() {
    const include = Array.from({ length: 1_001 }, (_, at) => `t${at}`);
    const value = create(SyncHelloSchema, { node: bus.node, include });
    yield toBinary(SyncRequestSchema, create(SyncRequestSchema, { request: { case: "hello", value } }));
  }
  const session = answerSync(bus, requests(), noOutput, new AbortController().signal, noTimer);
  await assert.rejects(session, isBusError("resource_exhausted"));
  await bus.close();
});
