import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import {
  SyncFollowSchema,
  SyncHelloSchema,
  SyncPositionSchema,
  type SyncRequest,
  SyncRequestSchema,
} from "@msgbus/proto/sync";
import { isBusError, openTestBus, publishText } from "../bus/test_bus.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { answerSync, type SyncOutput, type SyncSource } from "./answer_sync.ts";
import { decodeResponse } from "./sync_codec.ts";

Deno.test("answerSync begins with the welcome, also when a log changes while the caller's position is looked up", async () => {
  const bus = await openTestBus(new MemoryStore("incarnation"));
  const { id } = await publishText(bus, "t", "1");
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
    idAt: async (sequence) => {
      asked.resolve();
      await answered.promise;
      return await bus.idAt(sequence);
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
  const after = create(SyncPositionSchema, { incarnation: "incarnation", sequence: 1n, messageId: id });
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
