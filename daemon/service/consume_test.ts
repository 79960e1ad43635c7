/** Consume through the wire: a channel in memory, the service, the bus, a store in memory. */
import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Channel, GrpcServer, listenMemory, type ResponseStream, Status, StatusError } from "@msgbus/grpc";
import {
  ConsumePosition,
  ConsumeRequestSchema,
  type ConsumeResponse,
  ConsumeResponseSchema,
} from "@msgbus/proto/stream";
import { AuthorizedBus } from "../bus/authorized_bus.ts";
import { Bus } from "../bus/bus.ts";
import { Grants } from "../bus/grants.ts";
import { encodeHeaders } from "../bus/headers.ts";
import { HeldTimers } from "../bus/test_bus.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { registerStreams } from "./stream_methods.ts";
import { streamHandlers } from "./stream_service.ts";
import { settled, statusOf } from "./test_calls.ts";

const NODE = { tenantId: "tenant", blName: "default", deviceId: "device" };
const NOW_MS = 1_790_000_000_000;
const NO_BYTES = new Uint8Array();

type Request = MessageInitShape<typeof ConsumeRequestSchema>;

/** One call of Consume, and what came of it. */
class ConsumeCall {
  readonly responses: ResponseStream;
  /** "topic#head: payload" of each message. */
  readonly got: string[] = [];
  readonly ids: string[] = [];
  readonly answers: ConsumeResponse[] = [];
  readonly #logs = new Map<bigint, string>();
  readonly #requests: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #ended = false;

  constructor(channel: Channel, first: Request) {
    this.send(first);
    this.responses = channel.bidiStreaming("/msgbus.v1.StreamService/Consume", this.#sending());
  }

  send(request: Request): void {
    this.#requests.push(toBinary(ConsumeRequestSchema, create(ConsumeRequestSchema, request)));
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** Reads on; false at the end. Rejects with StatusError. */
  async read(): Promise<boolean> {
    const batch = await this.responses.nextBatch();
    for (const bytes of batch ?? []) this.#take(fromBinary(ConsumeResponseSchema, bytes));
    return batch !== null;
  }

  /** Reads until so many messages are there. */
  async until(count: number): Promise<readonly string[]> {
    while (this.got.length < count) assert.ok(await this.read(), "the call ended");
    return this.got;
  }

  async untilCaughtUp(): Promise<readonly string[]> {
    while (this.answers.at(-1)?.caughtUp !== true) assert.ok(await this.read(), "the call ended");
    return this.got;
  }

  #take(response: ConsumeResponse): void {
    this.answers.push(response);
    for (const { log, topic } of response.logs) {
      assert.ok(!this.#logs.has(log), "each log is named once");
      this.#logs.set(log, topic);
    }
    for (const { log, firstHeadId, messages } of response.batches) {
      let id = 0n;
      messages.forEach(({ uuid, payload, deleted }, at) => {
        id = uuid.length > 0 ? BigInt(`0x${uuid.toHex()}`) : id + 1n;
        this.ids.push(id.toString(16).padStart(32, "0"));
        const text = deleted ? "(deleted)" : new TextDecoder().decode(payload);
        this.got.push(`${this.#logs.get(log)}#${firstHeadId + BigInt(at)}: ${text}`);
      });
    }
  }

  async *#sending(): AsyncGenerator<Uint8Array> {
    for (;;) {
      const request = this.#requests.shift();
      if (request !== undefined) yield request;
      else if (this.#ended) return;
      else await new Promise<void>((resolve) => this.#wake = resolve);
    }
  }
}

class Fixture implements AsyncDisposable {
  readonly bus: Bus;
  readonly store: MemoryStore;
  readonly stopping = new AbortController();
  readonly revoked = new AbortController();
  readonly timers: HeldTimers;
  readonly #server = new GrpcServer();
  readonly #channel: Channel;

  private constructor(bus: Bus, store: MemoryStore, timers: HeldTimers, grants: Grants | undefined) {
    this.bus = bus;
    this.store = store;
    this.timers = timers;
    const access = grants && new AuthorizedBus(bus, '"tester"', grants, this.revoked.signal);
    const busOf = access && (() => access);
    registerStreams(
      this.#server,
      () => Promise.resolve(streamHandlers(bus, this.stopping.signal, busOf)),
      busOf,
    );
    const listener = listenMemory();
    void this.#server.serve(listener);
    this.#channel = new Channel(listener.connect);
  }

  static async open(grants?: Grants): Promise<Fixture> {
    let last = 0;
    const random = (into: Uint8Array) => into.forEach((_, at) => into[at] = last = (last * 31 + 7) & 0xff);
    const store = new MemoryStore();
    const timers = new HeldTimers();
    const { timer } = timers;
    const bus = await Bus.open({ store, node: NODE, clock: () => NOW_MS, random, timer });
    return new Fixture(bus, store, timers, grants);
  }

  call(first: Request): ConsumeCall {
    return new ConsumeCall(this.#channel, first);
  }

  async publish(topic: string, ...texts: readonly string[]): Promise<string[]> {
    const ids = [];
    for (const text of texts) {
      const payload = new TextEncoder().encode(text);
      ids.push((await this.bus.publish({ topic, payload, headers: NO_BYTES })).id.replaceAll("-", ""));
    }
    return ids;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel.close();
    await this.#server.shutdown(0);
    await this.bus.close();
  }
}

Deno.test("Consume replays what matches, says when it has caught up, then follows", async () => {
  await using fixture = await Fixture.open();
  const ids = await fixture.publish("a.x", "1", "2");
  await fixture.publish("b", "no");
  ids.push(...await fixture.publish("a.y", "3"));
  const call = fixture.call({ start: { patterns: ["a.*"] } });
  assert.deepEqual(await call.untilCaughtUp(), ["a.x#1: 1", "a.x#2: 2", "a.y#1: 3"]);
  ids.push(...await fixture.publish("a.z", "4"));
  await fixture.publish("b", "no");
  ids.push(...await fixture.publish("a.x", "5"));
  assert.deepEqual((await call.until(5)).slice(3), ["a.z#1: 4", "a.x#3: 5"]);
  assert.deepEqual(call.ids, ids);
});

Deno.test("Consume says at once that there is nothing, and where that is", async () => {
  await using fixture = await Fixture.open();
  await fixture.publish("a", "1");
  const newest = { case: "position", value: ConsumePosition.NEWEST } as const;
  const call = fixture.call({ start: { patterns: [">"], from: newest } });
  assert.deepEqual(await call.untilCaughtUp(), []);
  const cursor = call.answers.at(-1)?.cursor ?? "";
  await fixture.publish("a", "2");
  const again = fixture.call({ start: { patterns: [">"], from: { case: "cursor", value: cursor } } });
  assert.deepEqual(await again.until(1), ["a#2: 2"]);
});

Deno.test("Consume says that it has caught up also where nothing of what memory holds is wanted", async () => {
  await using fixture = await Fixture.open();
  const other = fixture.call({ start: { patterns: [">"] } });
  await other.untilCaughtUp();
  await fixture.publish("a", "1", "2");
  await other.until(2);
  assert.deepEqual(await fixture.call({ start: { patterns: ["b"] } }).untilCaughtUp(), []);
});

Deno.test("Consume from the newest tells its place at once, also where messages came meanwhile and there is no credit", async () => {
  await using fixture = await Fixture.open();
  await fixture.publish("a", "old");
  const consume = fixture.bus.consume.bind(fixture.bus);
  fixture.bus.consume = async (request) => {
    const consumer = await consume(request);
    await fixture.publish("a", "new");
    return consumer;
  };
  const newest = { case: "position", value: ConsumePosition.NEWEST } as const;
  const call = fixture.call({ start: { patterns: ["a"], from: newest }, credit: {} });
  assert.ok(await call.read());
  const [{ cursor = "", caughtUp } = {}] = call.answers;
  assert.deepEqual([call.got, caughtUp], [[], false]);
  fixture.bus.consume = consume;
  const again = fixture.call({ start: { patterns: ["a"], from: { case: "cursor", value: cursor } } });
  assert.deepEqual(await again.until(1), ["a#2: new"]);
});

Deno.test("Consume tells its place now and then while nothing that matches is published, and not when nothing is", async () => {
  await using fixture = await Fixture.open();
  const call = fixture.call({ start: { patterns: ["a"] } });
  await call.untilCaughtUp();
  await fixture.publish("b", "1", "2");
  await fixture.publish("b", "3");
  await settled();
  assert.deepEqual([fixture.timers.waiting.length, call.answers.length], [1, 1]);
  fixture.timers.fire();
  assert.ok(await call.read());
  const { cursor = "", caughtUp } = call.answers.at(-1) ?? {};
  assert.deepEqual([call.answers.length, call.got, caughtUp], [2, [], true]);
  assert.equal(cursor, fixture.bus.cursorAt(3));
  await settled();
  assert.deepEqual(fixture.timers.waiting, []);
  const again = fixture.call({ start: { patterns: [">"], from: { case: "cursor", value: cursor } } });
  await fixture.publish("a", "4");
  assert.deepEqual([await again.until(1), await call.until(1)], [["a#1: 4"], ["a#1: 4"]]);
});

Deno.test("Consume tells its place while it looks for what matches among what is stored", async () => {
  await using fixture = await Fixture.open();
  const messages = Array.from(
    { length: 9_000 },
    () => ({ topic: "b", payload: NO_BYTES, headers: NO_BYTES }),
  );
  await fixture.bus.publishBatch({ messages });
  const readAll = MemoryStore.prototype.readAll;
  fixture.store.readAll = async (...request) => {
    const page = await readAll.apply(fixture.store, request);
    fixture.timers.fire();
    return page;
  };
  const call = fixture.call({ start: { patterns: ["a"] } });
  await call.untilCaughtUp();
  assert.deepEqual(call.answers.map(({ caughtUp }) => caughtUp), [false, true]);
  assert.equal(call.answers[0]?.cursor, fixture.bus.cursorAt(8_192));
});

Deno.test("Consume goes on behind the cursor of any answer", async () => {
  await using fixture = await Fixture.open();
  await fixture.publish("a", "1", "2", "3");
  await fixture.publish("b", "4");
  const credit = { messages: 2n, bytes: 1_000n };
  const call = fixture.call({ start: { patterns: [">"] }, credit });
  assert.deepEqual(await call.until(2), ["a#1: 1", "a#2: 2"]);
  const cursor = call.answers.at(-1)?.cursor ?? "";
  const again = fixture.call({ start: { patterns: [">"], from: { case: "cursor", value: cursor } } });
  assert.deepEqual(await again.untilCaughtUp(), ["a#3: 3", "b#1: 4"]);
  const wrong = fixture.call({ start: { patterns: [">"], from: { case: "cursor", value: `${cursor}0` } } });
  assert.equal((await statusOf(wrong.read())).code, Status.FAILED_PRECONDITION);
});

Deno.test("Consume says no more in one answer than gRPC takes by default, also of many logs with the longest names", async () => {
  await using fixture = await Fixture.open();
  const long = (text: string) => text.padEnd(1_024, "-");
  const origin = { tenantId: long("t"), blName: long("b"), deviceId: long("d") };
  const count = 1_000; // with 5 KB of names and ids each
  for (let n = 0; n < count; n++) {
    const content = { createdAtMs: 5, payload: NO_BYTES, headers: NO_BYTES, deleted: false };
    const messages = [{ headId: 1, id: long(`id ${n}`), ...content }];
    await fixture.bus.replicate({ topic: long(`topic ${n}`), origin, incarnation: "", messages });
  }
  const call = fixture.call({ start: { patterns: [">"] } });
  await call.untilCaughtUp();
  assert.deepEqual(call.got, Array.from({ length: count }, (_, n) => `${long(`topic ${n}`)}#1: `));
  const sizes = call.answers.map((answer) => toBinary(ConsumeResponseSchema, answer).length);
  assert.ok(sizes.length > 1 && sizes.every((size) => size <= (4 << 20) - (16 << 10)), `${sizes}`);
  assert.deepEqual(
    call.answers.map(({ caughtUp }) => caughtUp),
    sizes.map((_, at) => at === sizes.length - 1),
  );
  const [{ cursor = "", batches = [] } = {}] = call.answers;
  const again = fixture.call({ start: { patterns: [">"], from: { case: "cursor", value: cursor } } });
  assert.deepEqual(await again.untilCaughtUp(), call.got.slice(batches.length));
});

Deno.test("Consume begins at a head or a time, leaves out deleted messages where asked, and other origins", async () => {
  await using fixture = await Fixture.open();
  await fixture.publish("a", "1", "2", "3");
  await fixture.publish("b", "4");
  await fixture.bus.deleteRange({ topic: "a", fromHeadId: 2, toHeadId: 2 });
  const got = async (start: Request["start"]) =>
    await fixture.call({ ...start && { start } }).untilCaughtUp();
  const all = { patterns: ["a", "b"] };
  assert.deepEqual(await got({ ...all, from: { case: "headId", value: 2n } }), ["a#2: (deleted)", "a#3: 3"]);
  assert.deepEqual(await got({ ...all, skipDeleted: true }), ["a#1: 1", "a#3: 3", "b#1: 4"]);
  assert.equal((await got({ ...all, from: { case: "timeMs", value: BigInt(NOW_MS) } })).length, 4);
  assert.deepEqual(await got({ ...all, from: { case: "timeMs", value: BigInt(NOW_MS + 1) } }), []);
  assert.equal((await got({ ...all, origins: [NODE] })).length, 4);
  assert.deepEqual(await got({ ...all, origins: [{ ...NODE, deviceId: "other" }] }), []);
});

Deno.test("Consume carries headers, large messages and ids that are no UUIDs", async () => {
  await using fixture = await Fixture.open();
  const headers = encodeHeaders({ a: "ä" });
  const payload = new Uint8Array(1 << 20).fill(7);
  await fixture.bus.publish({ topic: "a", payload, headers });
  const origin = { ...NODE, deviceId: "other" };
  const copied = {
    headId: 1,
    id: "order-7",
    createdAtMs: 5,
    payload: NO_BYTES,
    headers: NO_BYTES,
    deleted: false,
  };
  await fixture.bus.replicate({ topic: "a", origin, incarnation: "", messages: [copied] });
  const call = fixture.call({ start: { patterns: ["a"] } });
  await call.until(2);
  const [mine, its] = call.answers.flatMap(({ batches }) => batches.flatMap(({ messages }) => messages));
  assert.deepEqual([mine?.payload.length, { ...mine?.headers }], [1 << 20, { a: "ä" }]);
  assert.deepEqual([its?.id, its?.uuid.length, its?.createdAtMs], ["order-7", 0, 5n]);
});

Deno.test("Consume sends no more than its credit, and the rest when there is more", async () => {
  await using fixture = await Fixture.open();
  await fixture.publish("a", ...Array.from({ length: 10 }, (_, at) => `message ${at}`));
  const call = fixture.call({ start: { patterns: ["a"] }, credit: { messages: 3n, bytes: 1_000n } });
  await call.until(3);
  await settled();
  assert.equal(call.got.length, 3);
  call.send({ credit: { messages: 100n, bytes: 0n } });
  await call.until(10);
  const bytes = fixture.call({ start: { patterns: ["a"] }, credit: { messages: 100n, bytes: 10n } });
  await bytes.until(2);
  await settled();
  assert.equal(bytes.got.length, 2, "9 bytes, then what begins within the credit");
  bytes.send({ credit: { messages: 0n, bytes: 9n } });
  await bytes.until(3);
  const late = fixture.call({ start: { patterns: ["a"] }, credit: {} });
  await settled();
  late.send({ credit: { messages: 1n, bytes: 1n } });
  assert.deepEqual(await late.until(1), ["a#1: message 0"]);
});

Deno.test("Consume goes on when the client says no more, and ends where its credit is used up", async () => {
  await using fixture = await Fixture.open();
  await fixture.publish("a", "1", "2", "3");
  const unbound = fixture.call({ start: { patterns: ["a"] } });
  unbound.end();
  await unbound.untilCaughtUp();
  await fixture.publish("a", "4");
  assert.equal((await unbound.until(4)).length, 4);
  const bound = fixture.call({ start: { patterns: ["a"] }, credit: { messages: 2n, bytes: 1_000n } });
  bound.end();
  while (await bound.read());
  assert.deepEqual(bound.got, ["a#1: 1", "a#2: 2"]);
});

Deno.test("Consume refuses a call without a start, with two, and what can't be read", async () => {
  await using fixture = await Fixture.open();
  const without = await statusOf(fixture.call({ credit: { messages: 1n, bytes: 1n } }).read());
  assert.deepEqual([without.code, /no start/.test(without.message)], [Status.INVALID_ARGUMENT, true]);
  const twice = fixture.call({ start: { patterns: ["a"] } });
  await twice.untilCaughtUp();
  twice.send({ start: { patterns: ["a"] } });
  assert.equal((await statusOf(twice.read())).code, Status.INVALID_ARGUMENT);
  const none = await statusOf(fixture.call({ start: {} }).read());
  assert.deepEqual([none.code, /at least one/.test(none.message)], [Status.INVALID_ARGUMENT, true]);
  const position = { case: "position", value: 9 as ConsumePosition } as const;
  assert.equal(
    (await statusOf(fixture.call({ start: { patterns: ["a"], from: position } }).read())).code,
    Status.INVALID_ARGUMENT,
  );
});

Deno.test("Consume gives of the topics that match those that the caller may read, and refuses a name that he may not", async () => {
  const grants = new Grants({ publish: [], subscribe: ["a.>"], fifo: [], sync: false, admin: false });
  await using fixture = await Fixture.open(grants);
  await fixture.publish("a.x", "1");
  await fixture.publish("b", "secret");
  const call = fixture.call({ start: { patterns: [">"] } });
  assert.deepEqual(await call.untilCaughtUp(), ["a.x#1: 1"]);
  const { code } = await statusOf(fixture.call({ start: { patterns: ["b"] } }).read());
  assert.equal(code, Status.PERMISSION_DENIED);
  fixture.revoked.abort(new StatusError(Status.UNAUTHENTICATED, "the rights were changed"));
  assert.equal((await statusOf(call.read())).code, Status.UNAUTHENTICATED);
});

Deno.test("Consume ends with UNAVAILABLE when the daemon stops", async () => {
  await using fixture = await Fixture.open();
  const call = fixture.call({ start: { patterns: ["a"] } });
  await call.untilCaughtUp();
  fixture.stopping.abort();
  assert.equal((await statusOf(call.read())).code, Status.UNAVAILABLE);
});
