/** PublishStream through the wire: a channel in memory, the service, the bus, a store in memory. */
import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  Channel,
  GrpcServer,
  listenMemory,
  type ResponseStream,
  Status,
  statusName,
  type StreamingServerCall,
} from "@msgbus/grpc";
import {
  PublishStreamRequestSchema,
  type PublishStreamResponse,
  PublishStreamResponseSchema,
} from "@msgbus/proto/stream";
import { Bus } from "../bus/bus.ts";
import type { BusLimits } from "../bus/limits.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { type AppendingProducer, type OnceMessage, type OnceOutcome, StoreError } from "../store/store.ts";
import { PublishStream } from "./publish_stream.ts";
import { registerStreams } from "./stream_methods.ts";
import { streamHandlers } from "./stream_service.ts";
import { settled, statusOf } from "./test_calls.ts";

const NODE = { tenantId: "tenant", blName: "default", deviceId: "device" };
const NOW_MS = 1_790_000_000_000;
const text = (value: string) => new TextEncoder().encode(value);

type Request = MessageInitShape<typeof PublishStreamRequestSchema>;

/** A store whose appends settle when the test lets them, or fail. */
class HeldStore extends MemoryStore {
  readonly #waiting: (() => void)[] = [];
  held = false;
  failure: StoreError | undefined;

  override async appendOnce(
    batch: readonly OnceMessage[],
    producer?: AppendingProducer,
  ): Promise<readonly OnceOutcome[]> {
    if (this.failure !== undefined) throw this.failure;
    const appended = super.appendOnce(batch, producer);
    if (this.held) await new Promise<void>((resolve) => this.#waiting.push(resolve));
    return await appended;
  }

  /** Appends that wait. */
  get waiting(): number {
    return this.#waiting.length;
  }

  release(at = 0): void {
    const [resolve] = this.#waiting.splice(at, 1);
    resolve?.();
  }
}

/** One call of PublishStream. */
class StreamCall {
  readonly responses: ResponseStream;
  readonly #requests: Uint8Array[] = [];
  #wake: (() => void) | undefined;
  #ended = false;
  readonly #arrived: PublishStreamResponse[] = [];

  constructor(channel: Channel) {
    this.responses = channel.bidiStreaming("/msgbus.v1.StreamService/PublishStream", this.#sending());
  }

  send(request: Request): void {
    this.#requests.push(toBinary(PublishStreamRequestSchema, create(PublishStreamRequestSchema, request)));
    this.#wake?.();
  }

  end(): void {
    this.#ended = true;
    this.#wake?.();
  }

  /** The next response. Rejects with StatusError; null at the end. */
  async next(): Promise<PublishStreamResponse | null> {
    if (this.#arrived.length === 0) {
      const batch = await this.responses.nextBatch();
      if (batch === null) return null;
      this.#arrived.push(...batch.map((bytes) => fromBinary(PublishStreamResponseSchema, bytes)));
    }
    return this.#arrived.shift() ?? null;
  }

  /** Everything up to the acknowledgement of a sequence. */
  async until(acknowledged: number): Promise<PublishStreamResponse[]> {
    const responses: PublishStreamResponse[] = [];
    while (Number(responses.at(-1)?.acknowledged ?? 0n) < acknowledged) {
      responses.push(await this.next() ?? assert.fail("the stream ended"));
    }
    return responses;
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
  readonly stopping = new AbortController();
  readonly #server = new GrpcServer();
  readonly #channel: Channel;

  private constructor(bus: Bus) {
    this.bus = bus;
    registerStreams(
      this.#server,
      () => Promise.resolve(streamHandlers(bus, this.stopping.signal)),
      undefined,
    );
    const listener = listenMemory();
    void this.#server.serve(listener);
    this.#channel = new Channel(listener.connect);
  }

  static async open(store = new MemoryStore(), limits: Partial<BusLimits> = {}): Promise<Fixture> {
    let last = 0;
    const random = (into: Uint8Array) => into.forEach((_, at) => into[at] = last = (last * 31 + 7) & 0xff);
    return new Fixture(await Bus.open({ store, node: NODE, clock: () => NOW_MS, random, limits }));
  }

  call(): StreamCall {
    return new StreamCall(this.#channel);
  }

  async stored(topic: string): Promise<{ id: string; payload: string; headId: number }[]> {
    const all = [];
    for await (const page of this.bus.fetch({ topic, fromHeadId: 1, limit: 10_000 })) {
      all.push(...page.map(({ id, payload, headId }) => ({
        id,
        payload: new TextDecoder().decode(payload),
        headId,
      })));
    }
    return all;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#channel.close();
    await this.#server.shutdown(0);
    await this.bus.close();
  }
}

function messages(topic: string, ...payloads: readonly string[]) {
  return payloads.map((payload) => ({ topic, payload: text(payload) }));
}

Deno.test("PublishStream says first which node it appends to", async () => {
  await using fixture = await Fixture.open();
  const call = fixture.call();
  call.send({});
  const { welcome } = await call.next() ?? {};
  assert.deepEqual({ ...welcome?.node, $typeName: undefined }, { ...NODE, $typeName: undefined });
  call.end();
  assert.equal(await call.next(), null);
});

Deno.test("PublishStream answers runs whose ids, heads and times are those of the stored messages", async () => {
  await using fixture = await Fixture.open();
  const call = fixture.call();
  call.send({ messages: [...messages("a", "1", "2"), ...messages("b", "x"), ...messages("a", "3")] });
  const responses = await call.until(4);
  const runs = responses.flatMap(({ published }) => published);
  assert.deepEqual(
    runs.map(({ firstSequence, count, firstHeadId }) => [firstSequence, count, firstHeadId]),
    [[1n, 2, 1n], [3n, 1, 1n], [4n, 1, 3n]],
  );
  const uuids = runs.flatMap(({ firstUuid, count }) => {
    const first = BigInt(`0x${firstUuid.toHex()}`);
    return Array.from({ length: count }, (_, at) => (first + BigInt(at)).toString(16).padStart(32, "0"));
  });
  const a = await fixture.stored("a");
  const b = await fixture.stored("b");
  assert.deepEqual(a.map(({ payload }) => payload), ["1", "2", "3"]);
  const ids = [a[0], a[1], b[0], a[2]].map((message) => message?.id.replaceAll("-", ""));
  assert.deepEqual(uuids, ids);
  assert.ok(runs.every(({ createdAtMs }) => createdAtMs === BigInt(NOW_MS)));
});

Deno.test("PublishStream refuses single messages and stores all others", async () => {
  await using fixture = await Fixture.open(new MemoryStore(), { messageBytes: 10 });
  const call = fixture.call();
  call.send({
    messages: [
      ...messages("a", "1"),
      ...messages("", "no name"),
      ...messages("$msgbus.delete", "r"),
      ...messages("a", "much too large"),
      ...messages("a", "2"),
    ],
  });
  const responses = await call.until(5);
  const refused = responses.flatMap((response) => response.refused);
  assert.deepEqual(refused.map(({ firstSequence, count, code }) => [firstSequence, count, code]), [
    [2n, 1, Status.INVALID_ARGUMENT],
    [3n, 1, Status.PERMISSION_DENIED],
    [4n, 1, Status.RESOURCE_EXHAUSTED],
  ]);
  assert.match(refused[0]?.message ?? "", /topic/);
  assert.deepEqual((await fixture.stored("a")).map(({ payload }) => payload), ["1", "2"]);
  call.send({ messages: messages("a", "3") });
  assert.deepEqual(
    (await call.until(6)).flatMap(({ published }) => published).map((run) => run.firstHeadId),
    [
      3n,
    ],
  );
});

Deno.test("PublishStream acknowledges nothing before everything in front of it is durable", async () => {
  const store = new HeldStore();
  await using fixture = await Fixture.open(store);
  const call = fixture.call();
  store.held = true;
  call.send({ messages: messages("a", "1") });
  call.send({ messages: messages("b", "2") });
  assert.ok((await call.next())?.welcome !== undefined);
  while (store.waiting < 2) await settled();
  store.release(1); // the second is durable first
  let answered = false;
  const response = call.next().then((next) => {
    answered = true;
    return next;
  });
  await settled();
  assert.equal(answered, false);
  store.release();
  assert.ok((await response ?? assert.fail("the stream ended")).acknowledged >= 1n);
});

Deno.test("PublishStream tells a full disk of the messages that it met, and goes on", async () => {
  const store = new HeldStore();
  await using fixture = await Fixture.open(store);
  const call = fixture.call();
  store.failure = new StoreError("full", "the disk is full");
  call.send({ messages: messages("a", "1", "2") });
  const refused = (await call.until(2)).flatMap((response) => response.refused);
  assert.deepEqual(refused.map(({ firstSequence, count, code }) => [firstSequence, count, code]), [
    [1n, 2, Status.RESOURCE_EXHAUSTED],
  ]);
  store.failure = undefined;
  call.send({ messages: messages("a", "3") });
  await call.until(3);
  assert.deepEqual((await fixture.stored("a")).map(({ payload }) => payload), ["3"]);
});

Deno.test("PublishStream takes no more than it may have on the way to the disk, and loses nothing", async () => {
  const store = new HeldStore();
  await using fixture = await Fixture.open(store);
  const call = fixture.call();
  store.held = true;
  const large = new Uint8Array(3 << 20);
  for (let i = 0; i < 6; i++) call.send({ messages: [{ topic: "a", payload: large }] });
  assert.ok((await call.next())?.welcome !== undefined);
  while (store.waiting < 2) await settled();
  await settled();
  assert.equal(store.waiting, 2, "of 8 MiB two messages of 3 MiB are taken");
  store.held = false;
  store.release();
  store.release();
  await call.until(6);
  assert.equal(fixture.bus.head("a"), 6);
});

Deno.test("PublishStream waits in turn while the whole node has too much on the way to the disk", async () => {
  const store = new HeldStore();
  await using fixture = await Fixture.open(store, { pendingBytes: 1_000 });
  store.held = true;
  const calls = [fixture.call(), fixture.call()];
  for (const call of calls) {
    call.send({ messages: [{ topic: "a", payload: new Uint8Array(600) }] });
    assert.ok((await call.next())?.welcome !== undefined);
    await settled();
  }
  assert.equal(store.waiting, 1);
  store.release();
  while (store.waiting < 1) await settled();
  store.release();
  for (const call of calls) await call.until(1);
  assert.equal(fixture.bus.head("a"), 2);
});

Deno.test("PublishStream is refused for want of room only where many calls wait, not for what one of them sends ahead", async () => {
  const store = new HeldStore();
  await using fixture = await Fixture.open(store, { pendingBytes: 10_000 });
  store.held = true;
  const calls = Array.from({ length: 16 }, () => fixture.call());
  for (const call of calls) {
    for (let i = 0; i < 10; i++) call.send({ messages: [{ topic: "a", payload: new Uint8Array(300) }] });
  }
  const acknowledged = Promise.all(calls.map((call) => call.until(10)));
  while (fixture.bus.head("a") !== 160) {
    await settled();
    while (store.waiting > 0) store.release();
  }
  await acknowledged;
});

Deno.test("PublishStream takes a request of very many messages in parts, in order", async () => {
  const parts: number[] = [];
  class CountingStore extends MemoryStore {
    override appendOnce(batch: readonly OnceMessage[], producer?: AppendingProducer) {
      parts.push(batch.length);
      return super.appendOnce(batch, producer);
    }
  }
  await using fixture = await Fixture.open(new CountingStore());
  const call = fixture.call();
  call.send({ producer: { id: "p" }, messages: Array.from({ length: 40_000 }, () => ({ topic: "a" })) });
  await call.until(40_000);
  assert.deepEqual(parts, [16_384, 16_384, 7_232]);
  assert.equal(fixture.bus.head("a"), 40_000);
});

Deno.test("PublishStream counts on from the sequence that a request without messages says", async () => {
  await using fixture = await Fixture.open();
  const call = fixture.call();
  call.send({ firstSequence: 7n });
  call.send({ messages: messages("a", "1") });
  call.send({ messages: messages("a", "2") });
  const runs = (await call.until(8)).flatMap(({ published }) => published);
  assert.deepEqual(runs[0]?.firstSequence, 7n);
});

Deno.test("PublishStream ends with INVALID_ARGUMENT for sequences that go back, and keeps what came before", async () => {
  await using fixture = await Fixture.open();
  const call = fixture.call();
  call.send({ firstSequence: 7n, messages: messages("a", "1", "2") });
  await call.until(8);
  call.send({ firstSequence: 8n, messages: messages("a", "3") });
  const { code, message } = await statusOf(call.next());
  assert.equal(code, Status.INVALID_ARGUMENT);
  assert.match(message, /first_sequence 8 came after 8/);
  assert.deepEqual((await fixture.stored("a")).map(({ payload }) => payload), ["1", "2"]);
});

Deno.test("PublishStream that must end acknowledges what it took, then says UNAVAILABLE", async () => {
  const store = new HeldStore();
  await using fixture = await Fixture.open(store);
  const call = fixture.call();
  store.held = true;
  call.send({ messages: messages("a", "1") });
  assert.ok((await call.next())?.welcome !== undefined);
  while (store.waiting < 1) await settled();
  fixture.stopping.abort();
  await settled();
  store.release();
  assert.equal((await call.next())?.acknowledged, 1n);
  assert.equal((await statusOf(call.next())).code, Status.UNAVAILABLE);
});

Deno.test("PublishStream that fails acknowledges what is durable in front of the failure", async () => {
  const store = new HeldStore();
  await using fixture = await Fixture.open(store, { pendingBytes: 1_000 });
  const [call, waiting] = [fixture.call(), fixture.call()];
  store.held = true;
  call.send({ messages: [{ topic: "a", payload: new Uint8Array(600) }] });
  assert.ok((await call.next())?.welcome !== undefined);
  while (store.waiting < 1) await settled();
  waiting.send({ messages: [{ topic: "b", payload: new Uint8Array(600) }] });
  assert.ok((await waiting.next())?.welcome !== undefined);
  await settled();
  call.send({ messages: [{ topic: "a", payload: new Uint8Array(600) }] }); // for which there is no room to wait
  await settled();
  store.release();
  assert.equal((await call.next())?.acknowledged, 1n);
  assert.equal((await statusOf(call.next())).code, Status.RESOURCE_EXHAUSTED);
  while (store.waiting < 1) await settled();
  store.release();
  await waiting.until(1);
  assert.equal(fixture.bus.head("a"), 1);
});

/** The runs and refusals up to a sequence, in short: first sequence, count, and what else counts. */
async function answers(call: StreamCall, acknowledged: number): Promise<unknown[][]> {
  const responses = await call.until(acknowledged);
  return responses.flatMap(({ published, refused }) => [
    ...published.map(({ firstSequence, count, firstHeadId, duplicate, deleted }) => [
      Number(firstSequence),
      count,
      `head ${firstHeadId}${duplicate ? " again" : ""}${deleted ? " deleted" : ""}`,
    ]),
    ...refused.map((
      { firstSequence, count, code },
    ) => [Number(firstSequence), count, statusName(code as Status)]),
  ]);
}

/** The epoch and last sequence that a call is welcomed with. */
async function welcome(call: StreamCall): Promise<bigint[]> {
  const { welcome } = await call.next() ?? {};
  return [welcome?.epoch ?? -1n, welcome?.lastSequence ?? -1n];
}

Deno.test("PublishStream stores what a producer sends again once, and answers it as at first", async () => {
  await using fixture = await Fixture.open();
  const producer = { id: "p", epoch: 3n };
  const first = fixture.call();
  first.send({ producer, messages: [...messages("a", "1", "2", "3"), ...messages("b", "4")] });
  assert.deepEqual(await welcome(first), [3n, 0n]);
  const stored = (await first.until(4)).flatMap(({ published }) => published);
  first.end();
  const again = fixture.call();
  again.send({ producer, firstSequence: 2n });
  again.send({ messages: [...messages("a", "2", "3"), ...messages("b", "4"), ...messages("a", "5")] });
  assert.deepEqual(await welcome(again), [3n, 4n]);
  const runs = (await again.until(5)).flatMap(({ published }) => published);
  assert.deepEqual(
    runs.map(({ firstSequence, count, firstHeadId, duplicate }) => [
      firstSequence,
      count,
      firstHeadId,
      duplicate,
    ]),
    [[2n, 2, 2n, true], [4n, 1, 1n, true], [5n, 1, 4n, false]],
  );
  const uuid = BigInt(`0x${stored[0]?.firstUuid.toHex()}`);
  assert.equal(BigInt(`0x${runs[0]?.firstUuid.toHex()}`), uuid + 1n);
  assert.deepEqual(runs[1]?.firstUuid, stored[1]?.firstUuid);
  assert.deepEqual((await fixture.stored("a")).map(({ payload }) => payload), ["1", "2", "3", "5"]);
});

Deno.test("PublishStream keeps a producer's sequences across messages that are refused", async () => {
  await using fixture = await Fixture.open(new MemoryStore(), { messageBytes: 10 });
  const producer = { id: "p", epoch: 1n };
  const batch = [...messages("a", "1", "much too large", "3"), ...messages("", "4"), ...messages("a", "5")];
  const expected = (again: string) => [
    [1, 1, `head 1${again}`],
    [3, 1, `head 2${again}`],
    [5, 1, `head 3${again}`],
    [2, 1, "RESOURCE_EXHAUSTED"],
    [4, 1, "INVALID_ARGUMENT"],
  ];
  for (const again of ["", " again"]) {
    const call = fixture.call();
    call.send({ producer, firstSequence: 1n, messages: batch });
    assert.deepEqual(await answers(call, 5), expected(again));
    call.end();
  }
  const call = fixture.call();
  call.send({ producer, firstSequence: 1n, messages: messages("a", "1", "small") });
  assert.deepEqual(
    await answers(call, 2),
    [[1, 1, "head 1 again"], [2, 1, "FAILED_PRECONDITION"]],
    "what was refused is not stored later",
  );
});

Deno.test("PublishStream refuses a sequence with another message, and names it", async () => {
  await using fixture = await Fixture.open();
  const producer = { id: "p", epoch: 1n };
  const first = fixture.call();
  first.send({ producer, messages: messages("a", "1", "2", "3") });
  await first.until(3);
  const again = fixture.call();
  again.send({ producer, messages: messages("a", "1", "other", "3") });
  const responses = await again.until(3);
  const [refusal] = responses.flatMap(({ refused }) => refused);
  assert.deepEqual([refusal?.firstSequence, refusal?.count, refusal?.code], [
    2n,
    1,
    Status.FAILED_PRECONDITION,
  ]);
  assert.match(refusal?.message ?? "", /sequence 2 /);
  assert.equal(responses.flatMap(({ published }) => published).length, 2);
  assert.deepEqual((await fixture.stored("a")).map(({ payload }) => payload), ["1", "2", "3"]);
});

Deno.test("PublishStream says which messages were deleted since", async () => {
  await using fixture = await Fixture.open();
  const producer = { id: "p", epoch: 1n };
  const first = fixture.call();
  first.send({ producer, messages: messages("a", "1", "2", "3") });
  await first.until(3);
  await fixture.bus.deleteRange({ topic: "a", fromHeadId: 2, toHeadId: 2 });
  const again = fixture.call();
  again.send({ producer, messages: messages("a", "1", "2", "3") });
  assert.deepEqual(await answers(again, 3), [
    [1, 1, "head 1 again"],
    [2, 1, "head 2 again deleted"],
    [3, 1, "head 3 again"],
  ]);
});

Deno.test("PublishStream gives a new epoch for 0, and refuses one below, naming both", async () => {
  await using fixture = await Fixture.open();
  for (const [epoch, given] of [[0n, 1n], [0n, 2n], [7n, 7n], [7n, 7n], [0n, 8n]] as const) {
    const call = fixture.call();
    call.send({ producer: { id: "p", epoch } });
    assert.deepEqual(await welcome(call), [given, 0n]);
    call.end();
  }
  const stale = fixture.call();
  stale.send({ producer: { id: "p", epoch: 6n }, messages: messages("a", "1") });
  const { code, message } = await statusOf(stale.next());
  assert.equal(code, Status.FAILED_PRECONDITION);
  assert.match(message, /stale epoch 6, the producer is in epoch 8/);
  assert.deepEqual(await fixture.stored("a"), []);
});

Deno.test("PublishStream whose producer was taken over stores nothing more, and ends by itself", async () => {
  await using fixture = await Fixture.open();
  const before = fixture.call();
  before.send({ producer: { id: "p", epoch: 1n }, messages: messages("a", "1") });
  await before.until(1);
  const after = fixture.call();
  after.send({ producer: { id: "p", epoch: 0n } });
  assert.deepEqual(await welcome(after), [2n, 0n]);
  before.send({ messages: messages("a", "2") });
  const { code, message } = await statusOf(before.next());
  assert.equal(code, Status.FAILED_PRECONDITION);
  assert.match(message, /stale epoch 1, .* epoch 2/);
  after.send({ messages: messages("a", "3") });
  assert.deepEqual(await answers(after, 1), [[1, 1, "head 2"]]);
  assert.deepEqual((await fixture.stored("a")).map(({ payload }) => payload), ["1", "3"]);
});

Deno.test("PublishStream ends with INVALID_ARGUMENT for a producer or sequence that can't be", async () => {
  await using fixture = await Fixture.open();
  const cases: [Request, RegExp][] = [
    [{ producer: { id: "", epoch: 1n } }, /producer\.id/],
    [{ producer: { id: "x".repeat(1_025) } }, /producer\.id/],
    [{ producer: { id: "p", epoch: 1n << 60n } }, /producer\.epoch/],
    [{ firstSequence: 1n << 60n, messages: messages("a", "1", "2") }, /first_sequence/],
  ];
  for (const [request, pattern] of cases) {
    const call = fixture.call();
    call.send(request);
    const { code, message } = await statusOf((async () => {
      while (await call.next() !== null);
    })());
    assert.equal(code, Status.INVALID_ARGUMENT);
    assert.match(message, pattern);
  }
});

Deno.test("PublishStream stores a message with a key once, with a producer or without", async () => {
  await using fixture = await Fixture.open();
  const keyed = (idempotencyKey: string, payload: string) => ({
    topic: "a",
    payload: text(payload),
    idempotencyKey,
  });
  const plain = fixture.call();
  plain.send({ messages: [keyed("k", "1"), keyed("l", "2"), keyed("k", "1"), keyed("k", "other")] });
  assert.deepEqual(await answers(plain, 4), [
    [1, 2, "head 1"],
    [3, 1, "head 1 again"],
    [4, 1, "FAILED_PRECONDITION"],
  ]);
  const call = fixture.call();
  call.send({ producer: { id: "p" }, messages: [keyed("l", "2"), keyed("m", "3"), keyed("é", "4")] });
  assert.deepEqual(await answers(call, 3), [
    [1, 1, "head 2 again"],
    [2, 1, "head 3"],
    [3, 1, "INVALID_ARGUMENT"],
  ]);
  assert.deepEqual((await fixture.stored("a")).map(({ payload }) => payload), ["1", "2", "3"]);
});

Deno.test("PublishStream releases a request when all of its messages are on their way to the disk, and no sooner", async () => {
  const store = new HeldStore();
  const bus = await Bus.open({
    store,
    node: NODE,
    clock: () => NOW_MS,
    random: () => {},
    limits: { pendingBytes: 1_000 },
  });
  store.held = true;
  const requests: Uint8Array[] = [600, 601].map((size) =>
    toBinary(
      PublishStreamRequestSchema,
      create(PublishStreamRequestSchema, { messages: [{ topic: "a", payload: new Uint8Array(size) }] }),
    )
  );
  const released: number[] = [];
  const call = {
    send: () => true,
    ready: () => Promise.resolve(),
    release: (request: Uint8Array) => {
      released.push(requests.indexOf(request));
      request.fill(0xff);
    },
  } as unknown as StreamingServerCall;
  const running = new PublishStream(NODE, bus, call).run(
    async function* () {
      yield* requests;
    }(),
    new AbortController().signal,
  );
  await settled();
  assert.deepEqual(released, [0], "there is no room for the second one");
  store.release();
  await settled();
  assert.deepEqual(released, [0, 1]);
  store.release();
  await running;
  const payloads = (await store.read("a", NODE, 1, { messages: 9, bytes: 9_999 })).map(({ payload }) =>
    payload
  );
  assert.deepEqual(payloads, [new Uint8Array(600), new Uint8Array(601)]);
  await bus.close();
});

Deno.test("PublishStream keeps no request in memory that it has taken", async () => {
  const bus = await Bus.open({ store: new MemoryStore(), node: NODE, clock: () => NOW_MS, random: () => {} });
  const taken: WeakRef<Uint8Array>[] = [];
  async function* requests(): AsyncGenerator<Uint8Array> {
    for (let i = 0; i < 100; i++) {
      const messages = [{ topic: "t", payload: text(String(i)) }];
      const request = toBinary(PublishStreamRequestSchema, create(PublishStreamRequestSchema, { messages }));
      taken.push(new WeakRef(request));
      yield request;
    }
    await new Promise((resolve) => setTimeout(resolve, 0)); // a reference is only weak in the turn after its own
    collectGarbage();
    const kept = taken.filter((request) => request.deref() !== undefined).length;
    assert.ok(kept < 5, `${kept} of 100 requests are still in memory`);
  }
  const call = {
    send: () => true,
    ready: () => Promise.resolve(),
    release: () => {},
  } as unknown as StreamingServerCall;
  await new PublishStream(NODE, bus, call).run(requests(), new AbortController().signal);
});

function collectGarbage(): void {
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
}
