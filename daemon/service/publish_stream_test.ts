/** PublishStream through the wire: a channel in memory, the service, the bus, a store in memory. */
import assert from "node:assert/strict";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Channel, GrpcServer, listenMemory, type ResponseStream, Status, StatusError } from "@msgbus/grpc";
import {
  PublishStreamRequestSchema,
  type PublishStreamResponse,
  PublishStreamResponseSchema,
} from "@msgbus/proto/stream";
import { Bus } from "../bus/bus.ts";
import type { BusLimits } from "../bus/limits.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { type Appended, type NewMessage, StoreError } from "../store/store.ts";
import { registerStreams } from "./stream_methods.ts";
import { streamHandlers } from "./stream_service.ts";

const NODE = { tenantId: "tenant", blName: "default", deviceId: "device" };
const NOW_MS = 1_790_000_000_000;
const text = (value: string) => new TextEncoder().encode(value);

type Request = MessageInitShape<typeof PublishStreamRequestSchema>;

/** A store whose appends settle when the test lets them, or fail. */
class HeldStore extends MemoryStore {
  readonly #waiting: (() => void)[] = [];
  held = false;
  failure: StoreError | undefined;

  override async append(batch: readonly NewMessage[]): Promise<readonly Appended[]> {
    if (this.failure !== undefined) throw this.failure;
    const appended = super.append(batch);
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

async function statusOf(promise: Promise<unknown>): Promise<{ code: Status; message: string }> {
  try {
    await promise;
  } catch (error) {
    if (error instanceof StatusError) return { code: error.code, message: error.message };
    throw error;
  }
  assert.fail("the call did not fail");
}

async function settled(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setTimeout(resolve, 0));
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
