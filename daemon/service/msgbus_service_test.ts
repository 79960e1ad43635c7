/** CONTRACT.md §1 and §2 through the wire: a channel in memory, the service, the bus, a store in memory. */
import assert from "node:assert/strict";
import {
  create,
  type DescMessage,
  fromBinary,
  type MessageInitShape,
  type MessageShape,
  toBinary,
} from "@bufbuild/protobuf";
import { Channel, GrpcServer, listenMemory, Metadata, Status, StatusError } from "@msgbus/grpc";
import {
  type DeleteRangeRequestSchema,
  FetchRequestSchema,
  FetchResponseSchema,
  type MessageEnvelope,
  MsgbusService,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
} from "@msgbus/proto";
import { Bus } from "../bus/bus.ts";
import { MemoryStore } from "../store/memory/store.ts";
import { type Store, StoreError } from "../store/store.ts";
import { serveMsgbus } from "./msgbus_service.ts";
import { statusOf } from "./test_calls.ts";

const NODE = { tenantId: "tenant", blName: "default", deviceId: "device" };
const OTHER_NODE = { tenantId: "tenant", blName: "default", deviceId: "other" };
const NOW_MS = 1_790_000_000_000;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const text = (value: string) => new TextEncoder().encode(value);
const string = (value: Uint8Array | undefined) => new TextDecoder().decode(value);

type UnaryMethod = Exclude<keyof typeof MsgbusService.method, "fetch" | "subscribe">;

class Fixture implements AsyncDisposable {
  readonly channel: Channel;
  /** Makes one more. */
  readonly connect: () => Channel;
  readonly bus: Bus;
  readonly stopping = new AbortController();
  readonly errors: unknown[] = [];
  readonly #server = new GrpcServer({ onError: (error) => this.errors.push(error) });

  private constructor(bus: Bus) {
    this.bus = bus;
    serveMsgbus(this.#server, bus, this.stopping.signal);
    const listener = listenMemory();
    void this.#server.serve(listener);
    this.connect = () => new Channel(listener.connect);
    this.channel = this.connect();
  }

  static async open(store: Store = new MemoryStore()): Promise<Fixture> {
    let last = 0;
    return new Fixture(
      await Bus.open({
        store,
        node: NODE,
        clock: () => NOW_MS,
        random: (into) => into.forEach((_, index) => into[index] = last = (last * 31 + 7) & 0xff),
      }),
    );
  }

  async call<M extends UnaryMethod>(
    name: M,
    request: MessageInitShape<typeof MsgbusService.method[M]["input"]>,
    metadata = new Metadata(),
  ): Promise<MessageShape<typeof MsgbusService.method[M]["output"]>> {
    const { input, output } = MsgbusService.method[name];
    // The compiler does not follow the pair of schemas through the index.
    const message = create(input as DescMessage, request as MessageInitShape<DescMessage>);
    const bytes = await this.channel.unary(pathOf(name), toBinary(input as DescMessage, message), {
      metadata,
    });
    return fromBinary(output as DescMessage, bytes) as MessageShape<typeof MsgbusService.method[M]["output"]>;
  }

  async publish(topic: string, ...payloads: readonly string[]): Promise<MessageEnvelope[]> {
    const stored: MessageEnvelope[] = [];
    for (const payload of payloads) {
      const { message } = await this.call("publish", { topic, payload: text(payload) });
      stored.push(message ?? assert.fail("the message is missing"));
    }
    return stored;
  }

  async fetch(
    request: MessageInitShape<typeof FetchRequestSchema>,
    channel = this.channel,
  ): Promise<MessageEnvelope[]> {
    const bytes = toBinary(FetchRequestSchema, create(FetchRequestSchema, request));
    const fetched: MessageEnvelope[] = [];
    for await (const response of channel.serverStreaming(pathOf("fetch"), bytes)) {
      fetched.push(
        fromBinary(FetchResponseSchema, response).message ?? assert.fail("the message is missing"),
      );
    }
    return fetched;
  }

  async *subscribe(
    request: MessageInitShape<typeof SubscribeRequestSchema>,
  ): AsyncGenerator<MessageEnvelope> {
    const bytes = toBinary(SubscribeRequestSchema, create(SubscribeRequestSchema, request));
    for await (const response of this.channel.serverStreaming(pathOf("subscribe"), bytes)) {
      yield fromBinary(SubscribeResponseSchema, response).message ?? assert.fail("the message is missing");
    }
  }

  async shutdown(graceMs: number): Promise<void> {
    await this.#server.shutdown(graceMs);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.channel.close();
    await this.#server.shutdown(0);
    await this.bus.close();
  }
}

function pathOf(name: keyof typeof MsgbusService.method): string {
  return `/msgbus.v1.MsgbusService/${MsgbusService.method[name].name}`;
}

function nodeOf(node: { tenantId: string; blName: string; deviceId: string } | undefined) {
  return node && { tenantId: node.tenantId, blName: node.blName, deviceId: node.deviceId };
}

Deno.test("Publish answers with the whole stored envelope", async () => {
  await using fixture = await Fixture.open();
  const { message } = await fixture.call("publish", {
    topic: "orders",
    payload: new Uint8Array([0, 1, 255]),
    headers: { "content-type": "application/json", "": "empty key", "x": "" },
  });
  assert.match(message?.id ?? "", UUID);
  assert.equal(message?.topic, "orders");
  assert.deepEqual(nodeOf(message?.origin), NODE);
  assert.equal(message?.headId, 1n);
  assert.deepEqual(message?.payload, new Uint8Array([0, 1, 255]));
  assert.deepEqual({ ...message?.headers }, { "content-type": "application/json", "": "empty key", "x": "" });
  assert.equal(message?.createdAtMs, BigInt(NOW_MS));
  assert.equal(message?.deleted, false);
  assert.deepEqual(await fixture.fetch({ topic: "orders" }), [message]);
});

Deno.test("Publish counts heads per topic, and takes a NodeId of the local node or of three empty parts", async () => {
  await using fixture = await Fixture.open();
  const heads: bigint[] = [];
  for (const origin of [undefined, { tenantId: "", blName: "", deviceId: "" }, NODE]) {
    const { message } = await fixture.call("publish", { topic: "a", ...(origin && { origin }) });
    heads.push(message?.headId ?? 0n);
  }
  assert.deepEqual(heads, [1n, 2n, 3n]);
  assert.equal((await fixture.publish("b", "x"))[0]?.headId, 1n);
});

Deno.test("Publish refuses a foreign origin and reserved topics with PERMISSION_DENIED, and names them", async () => {
  await using fixture = await Fixture.open();
  const foreign = await statusOf(fixture.call("publish", { topic: "a", origin: OTHER_NODE }));
  assert.equal(foreign.code, Status.PERMISSION_DENIED);
  assert.match(foreign.message, /tenant\/default\/other/);
  for (const topic of ["$msgbus.delete", "$msgbus.x", "$msgbus."]) {
    const reserved = await statusOf(fixture.call("publish", { topic }));
    assert.equal(reserved.code, Status.PERMISSION_DENIED);
    assert.match(reserved.message, /\$msgbus\./);
  }
  assert.deepEqual((await fixture.call("listHeads", {})).heads, []);
});

/** Calls with one bad name each: the field that the error must name. */
const BAD_NAMES: Readonly<Record<string, (fixture: Fixture, name: string) => Promise<unknown>>> = {
  "topic of Publish": (f, topic) => f.call("publish", { topic }),
  "topic of Fetch": (f, topic) => f.fetch({ topic }),
  "topic of Subscribe": (f, topic) => f.subscribe({ topic }).next(),
  "topic of GetHead": (f, topic) => f.call("getHead", { topic }),
  "topic of DeleteRange": (f, topic) => f.call("deleteRange", { topic, fromHeadId: 1n, toHeadId: 2n }),
  "topic of EnqueueFifo": (f, topic) => f.call("enqueueFifo", { queue: "q", topic, target: NODE }),
  "queue of EnqueueFifo": (f, queue) => f.call("enqueueFifo", { queue, topic: "t", target: NODE }),
  "queue of PeekFifo": (f, queue) => f.call("peekFifo", { queue }),
  "queue of AckFifo": (f, queue) => f.call("ackFifo", { queue, messageId: "m" }),
  "queue of RejectFifo": (f, queue) => f.call("rejectFifo", { queue, messageId: "m" }),
  "message_id of AckFifo": (f, messageId) => f.call("ackFifo", { queue: "q", messageId }),
  "message_id of RejectFifo": (f, messageId) => f.call("rejectFifo", { queue: "q", messageId }),
  "origin.tenant_id of Publish": (f, tenantId) =>
    f.call("publish", { topic: "t", origin: { ...NODE, tenantId } }),
  "origin.bl_name of Fetch": (f, blName) => f.fetch({ topic: "t", origin: { ...NODE, blName } }),
  "origin.device_id of GetHead": (f, deviceId) =>
    f.call("getHead", { topic: "t", origin: { ...NODE, deviceId } }),
  "target.device_id of EnqueueFifo": (f, deviceId) =>
    f.call("enqueueFifo", { queue: "q", topic: "t", target: { ...NODE, deviceId } }),
  "source.device_id of EnqueueFifo": (f, deviceId) =>
    f.call("enqueueFifo", { queue: "q", topic: "t", target: NODE, source: { ...NODE, deviceId } }),
};

for (const [what, call] of Object.entries(BAD_NAMES)) {
  Deno.test(`${what}: an empty, a blank and a NUL-bearing name is INVALID_ARGUMENT with the field's name`, async () => {
    await using fixture = await Fixture.open();
    for (const name of ["", "  \t", "a\0b"]) {
      const { code, message } = await statusOf(call(fixture, name));
      assert.equal(code, Status.INVALID_ARGUMENT, JSON.stringify(name));
      assert.ok(message.includes(what.split(" ")[0] ?? ""), message);
    }
  });
}

Deno.test("Publish refuses a payload over the limit with RESOURCE_EXHAUSTED, and what it takes can be fetched", async () => {
  await using fixture = await Fixture.open();
  const tooLarge = await statusOf(
    fixture.call("publish", { topic: "a", payload: new Uint8Array(4_194_304) }),
  );
  assert.equal(tooLarge.code, Status.RESOURCE_EXHAUSTED);
  // The largest payload that is taken must come through the default limit of every gRPC client, with its envelope.
  let low = 4_000_000;
  let high = 4_194_304;
  while (high - low > 1) {
    const size = Math.floor((low + high) / 2);
    const taken = await fixture.call("publish", { topic: "size", payload: new Uint8Array(size) }).then(
      () => true,
      () => false,
    );
    if (taken) low = size;
    else high = size;
  }
  const head = (await fixture.call("getHead", { topic: "size" })).headId;
  for (let from = 1n; from <= head; from++) {
    assert.equal((await fixture.fetch({ topic: "size", fromHeadId: from, limit: 1 })).length, 1);
  }
  assert.equal(low, 4_194_304 - 16_384);
});

Deno.test("Fetch begins at 1 for 0, serves 100 for 0, 10,000 for more, and nothing for an unknown log", async () => {
  await using fixture = await Fixture.open();
  await Promise.all(Array.from({ length: 10_050 }, () => fixture.call("publish", { topic: "a" })));
  const heads = async (request: MessageInitShape<typeof FetchRequestSchema>) =>
    (await fixture.fetch(request)).map(({ headId }) => Number(headId));
  assert.deepEqual(await heads({ topic: "a" }), Array.from({ length: 100 }, (_, i) => i + 1));
  assert.deepEqual(await heads({ topic: "a", fromHeadId: 10_049n, limit: 5 }), [10_049, 10_050]);
  assert.deepEqual(
    await heads({ topic: "a", limit: 10_001 }),
    Array.from({ length: 10_000 }, (_, i) => i + 1),
  );
  assert.deepEqual(await heads({ topic: "a", fromHeadId: 10_051n }), []);
  assert.deepEqual(await heads({ topic: "a", fromHeadId: 0xffff_ffff_ffff_ffffn }), []);
  assert.deepEqual(await heads({ topic: "unknown" }), []);
  assert.deepEqual(await heads({ topic: "a", origin: OTHER_NODE }), []);
});

Deno.test("Subscribe replays everything whatever the page size, then follows live", async () => {
  await using fixture = await Fixture.open();
  await Promise.all(Array.from({ length: 250 }, (_, i) => fixture.publish("a", String(i + 1))));
  for (const replayLimit of [0, 1, 7]) {
    const heads: number[] = [];
    for await (const message of fixture.subscribe({ topic: "a", fromHeadId: 3n, replayLimit })) {
      heads.push(Number(message.headId));
      if (heads.length === 248) void fixture.publish("a", "live");
      if (heads.length === 249) break;
    }
    assert.deepEqual(heads, Array.from({ length: 249 }, (_, i) => i + 3));
    const head = Number((await fixture.call("getHead", { topic: "a" })).headId);
    if (head > 250) {
      await fixture.call("deleteRange", { topic: "a", fromHeadId: 251n, toHeadId: BigInt(head) });
    }
    if (replayLimit === 0) break;
  }
});

Deno.test("Subscribe has no gap and no double at the seam while others publish at full speed", async () => {
  await using fixture = await Fixture.open();
  const total = 5_000;
  let published = 0;
  const publishers = Array.from({ length: 20 }, async () => {
    while (published++ < total) await fixture.call("publish", { topic: "a" });
  });
  const subscribers = Array.from({ length: 8 }, async (_, index) => {
    while (published < index * 400) await new Promise((resolve) => setTimeout(resolve, 1));
    let next = 1;
    for await (const { headId } of fixture.subscribe({ topic: "a", replayLimit: 1 + index * 13 })) {
      assert.equal(Number(headId), next);
      if (next++ === total) break;
    }
  });
  await Promise.all([...publishers, ...subscribers]);
});

Deno.test("Subscribe to a log that does not exist yet waits for it", async () => {
  await using fixture = await Fixture.open();
  const subscription = fixture.subscribe({ topic: "later" });
  const first = subscription.next();
  await fixture.publish("other", "x");
  await fixture.publish("later", "y");
  assert.equal(string((await first).value?.payload), "y");
  await subscription.return(undefined);
});

Deno.test("Subscribe ends with UNAVAILABLE when the daemon stops", async () => {
  await using fixture = await Fixture.open();
  const waiting = statusOf(fixture.subscribe({ topic: "a" }).next());
  await fixture.call("health", {});
  fixture.stopping.abort(new StatusError(Status.UNAVAILABLE, "bye"));
  assert.equal((await waiting).code, Status.UNAVAILABLE);
  assert.equal(
    (await statusOf(fixture.subscribe({ topic: "a" }).next())).code,
    Status.UNAVAILABLE,
    "later ones too",
  );
});

/** A store whose reads are answered when the test says so. */
class HeldReads extends MemoryStore {
  /** The topics that were asked for, in order. */
  readonly asked: string[] = [];
  #held: (() => void)[] = [];
  #open = false;

  override async read(...request: Parameters<MemoryStore["read"]>): ReturnType<MemoryStore["read"]> {
    this.asked.push(request[0]);
    if (!this.#open) await new Promise<void>((resolve) => this.#held.push(resolve));
    return await super.read(...request);
  }

  open(): void {
    this.#open = true;
    for (const answer of this.#held.splice(0)) answer();
  }
}

Deno.test("Fetch and Subscribe: the many calls of one connection wait in line to be read, and hold up no other", async () => {
  const store = new HeldReads();
  await using fixture = await Fixture.open(store);
  await fixture.publish("many", "1", "2");
  await fixture.publish("one", "3");
  const many = Array.from({ length: 20 }, () => fixture.fetch({ topic: "many" }));
  const follower = fixture.subscribe({ topic: "many" });
  const followed = follower.next();
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(store.asked, ["many", "many"]);
  await using other = fixture.connect();
  const one = fixture.fetch({ topic: "one" }, other);
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.deepEqual(store.asked, ["many", "many", "one"]);
  store.open();
  assert.equal((await one).length, 1);
  for (const fetched of await Promise.all(many)) assert.equal(fetched.length, 2);
  assert.equal((await followed).value?.headId, 1n);
  await follower.return(undefined);
});

Deno.test("Subscribe that comes while the daemon stops leaves no error behind of the page that it read ahead", async () => {
  const store = new MemoryStore();
  const read = store.read.bind(store);
  let release: () => void = () => {};
  const released = new Promise<void>((resolve) => release = resolve);
  await using fixture = await Fixture.open(store);
  for (let i = 0; i < 3; i++) await fixture.publish("a", "x".repeat(1_000_000));
  store.read = async (...request) => {
    await released;
    return await read(...request);
  };
  fixture.stopping.abort(new StatusError(Status.UNAVAILABLE, "bye"));
  const late = fixture.subscribe({ topic: "a", fromHeadId: 1n });
  assert.equal((await statusOf(late.next())).code, Status.UNAVAILABLE);
  release();
  // The runner fails a test that leaves a rejection behind, when its turn is over.
  await new Promise((resolve) => setTimeout(resolve, 0));
});

Deno.test("Subscribe of a client who does not read ends when the daemon stops, without waiting for it", async () => {
  await using fixture = await Fixture.open();
  const payload = "x".repeat(1_000_000);
  for (let i = 0; i < 8; i++) await fixture.publish("a", payload);
  const subscription = fixture.subscribe({ topic: "a" });
  await subscription.next();
  const begin = performance.now();
  fixture.stopping.abort(new StatusError(Status.UNAVAILABLE, "bye"));
  await fixture.shutdown(60_000);
  assert.ok(performance.now() - begin < 30_000);
  await subscription.return(undefined).catch(() => {});
});

Deno.test("a failed store is INTERNAL without details for the client, and its owner is told all", async () => {
  const store = new MemoryStore();
  store.append = () => Promise.reject(new StoreError("broken", "Cannot write: a secret path"));
  await using fixture = await Fixture.open(store);
  const { code, message } = await statusOf(fixture.call("publish", { topic: "a" }));
  assert.equal(code, Status.INTERNAL);
  assert.doesNotMatch(message, /secret/);
  const [error] = fixture.errors;
  assert.ok(error instanceof StatusError && error.cause instanceof Error);
  assert.match(String(error.cause.cause), /a secret path/);
});

Deno.test("GetHead and ListHeads tell what is there, and found is false where nothing is", async () => {
  await using fixture = await Fixture.open();
  await fixture.publish("a", "1", "2");
  await fixture.publish("b", "1");
  const head = await fixture.call("getHead", { topic: "a" });
  assert.deepEqual([head.headId, head.found], [2n, true]);
  for (const request of [{ topic: "c" }, { topic: "a", origin: OTHER_NODE }]) {
    const none = await fixture.call("getHead", request);
    assert.deepEqual([none.headId, none.found], [0n, false]);
  }
  const { heads } = await fixture.call("listHeads", {});
  assert.deepEqual(
    heads.map(({ topic, origin, headId }) => [topic, nodeOf(origin), headId]).sort(),
    [["a", NODE, 2n], ["b", NODE, 1n]],
  );
  assert.deepEqual((await fixture.call("listPeerSyncStates", {})).states, []);
});

Deno.test("DeleteRange marks in place, erases, counts newly marked ones, and leaves a marker", async () => {
  await using fixture = await Fixture.open();
  await fixture.call("publish", { topic: "a", payload: text("secret 1"), headers: { secret: "yes" } });
  await fixture.publish("a", "secret 2", "kept");
  const range = (from: bigint, to: bigint) =>
    fixture.call("deleteRange", { topic: "a", fromHeadId: from, toHeadId: to });
  assert.equal((await range(1n, 2n)).deletedCount, 2n);
  assert.deepEqual(
    (await fixture.fetch({ topic: "a" })).map((
      m,
    ) => [Number(m.headId), m.deleted, string(m.payload), { ...m.headers }]),
    [[1, true, "", {}], [2, true, "", {}], [3, false, "kept", {}]],
  );
  assert.equal((await range(2n, 3n)).deletedCount, 1n, "the second was marked before");
  assert.equal((await fixture.call("getHead", { topic: "a" })).headId, 3n, "heads do not move");
  const markers = await fixture.fetch({ topic: "$msgbus.delete" });
  assert.equal(
    string(markers[0]?.payload),
    `{"topic":"a","origin":{"tenant_id":"tenant","bl_name":"default","device_id":"device"},` +
      `"from_head_id":1,"to_head_id":2,"created_at_ms":${NOW_MS}}`,
  );
  assert.deepEqual(markers.map((marker) => nodeOf(marker.origin)), [NODE, NODE]);
});

Deno.test("DeleteRange never covers what is published later, and is nothing where nothing is stored", async () => {
  await using fixture = await Fixture.open();
  await fixture.publish("a", "1");
  assert.equal(
    (await fixture.call("deleteRange", { topic: "a", fromHeadId: 0n, toHeadId: 99n })).deletedCount,
    1n,
  );
  await fixture.publish("a", "2");
  assert.deepEqual((await fixture.fetch({ topic: "a" })).map(({ deleted }) => deleted), [true, false]);
  assert.equal(
    (await fixture.call("deleteRange", { topic: "a", fromHeadId: 3n, toHeadId: 9n })).deletedCount,
    0n,
  );
  assert.equal(
    (await fixture.call("deleteRange", { topic: "b", fromHeadId: 1n, toHeadId: 9n })).deletedCount,
    0n,
  );
  const [marker, ...more] = await fixture.fetch({ topic: "$msgbus.delete" });
  assert.equal(JSON.parse(string(marker?.payload)).to_head_id, 1, "the marker says what was stored");
  assert.deepEqual(more, []);
});

Deno.test("DeleteRange refuses from > to, foreign origins and reserved topics", async () => {
  await using fixture = await Fixture.open();
  const call = (request: MessageInitShape<typeof DeleteRangeRequestSchema>) =>
    statusOf(fixture.call("deleteRange", request));
  await fixture.publish("a", "1", "2", "3");
  assert.equal((await call({ topic: "a", fromHeadId: 3n, toHeadId: 2n })).code, Status.INVALID_ARGUMENT);
  assert.equal(
    (await call({ topic: "a", origin: OTHER_NODE, fromHeadId: 1n, toHeadId: 2n })).code,
    Status.PERMISSION_DENIED,
  );
  assert.equal(
    (await call({ topic: "$msgbus.delete", fromHeadId: 1n, toHeadId: 1n })).code,
    Status.PERMISSION_DENIED,
  );
  assert.deepEqual((await fixture.fetch({ topic: "a" })).map(({ deleted }) => deleted), [
    false,
    false,
    false,
  ]);
});

Deno.test("Fifo: sequences count per queue, and only the front message is acknowledged or rejected", async () => {
  await using fixture = await Fixture.open();
  const enqueue = async (
    queue: string,
    payload: string,
    extra: { headers?: Record<string, string>; target?: typeof NODE; source?: typeof NODE } = {},
  ) =>
    (await fixture.call("enqueueFifo", { queue, topic: "t", target: {}, payload: text(payload), ...extra }))
      .message ??
      assert.fail("the message is missing");
  const first = await enqueue("q", "1", { headers: { a: "b" }, target: NODE, source: OTHER_NODE });
  const second = await enqueue("q", "2");
  assert.deepEqual([first.sequence, second.sequence, (await enqueue("r", "1")).sequence], [1n, 2n, 1n]);
  assert.deepEqual([nodeOf(first.source), nodeOf(first.target)], [OTHER_NODE, NODE]);
  assert.deepEqual([nodeOf(second.source), nodeOf(second.target)], [NODE, NODE]);
  assert.match(first.id, UUID);
  assert.equal(first.createdAtMs, BigInt(NOW_MS));
  assert.deepEqual((await fixture.call("peekFifo", { queue: "q" })).message, first);

  const ack = async (messageId: string) =>
    (await fixture.call("ackFifo", { queue: "q", messageId })).accepted;
  const reject = async (messageId: string) =>
    (await fixture.call("rejectFifo", { queue: "q", messageId })).accepted;
  assert.equal(await ack(second.id), false, "not in front");
  assert.equal(await reject(second.id), false, "not in front");
  assert.deepEqual((await fixture.call("peekFifo", { queue: "q" })).message, first, "nothing changed");
  assert.equal(await reject(first.id), true);
  assert.equal(await reject(first.id), true);
  const rejected = (await fixture.call("peekFifo", { queue: "q" })).message;
  assert.deepEqual([rejected?.id, rejected?.attempts], [first.id, 2]);
  assert.equal(await ack(first.id), true);
  assert.equal((await fixture.call("peekFifo", { queue: "q" })).message?.id, second.id);
  assert.equal(await ack(second.id), true);
  assert.equal((await statusOf(fixture.call("peekFifo", { queue: "q" }))).code, Status.NOT_FOUND);
  assert.equal(await ack(second.id), false, "nothing is there");
  assert.equal((await enqueue("q", "3")).sequence, 3n, "a number is never used again");
});

Deno.test("EnqueueFifo needs a target, and says so", async () => {
  await using fixture = await Fixture.open();
  const { code, message } = await statusOf(fixture.call("enqueueFifo", { queue: "q", topic: "t" }));
  assert.equal(code, Status.INVALID_ARGUMENT);
  assert.match(message, /target/);
});

Deno.test("Health and Ready answer with the local node, and Ready turns false with the store", async () => {
  const store = new MemoryStore();
  await using fixture = await Fixture.open(store);
  const health = await fixture.call("health", {});
  assert.deepEqual([health.status, nodeOf(health.node)], ["SERVING", NODE]);
  const ready = await fixture.call("ready", {});
  assert.deepEqual([ready.ready, ready.status, ready.error, nodeOf(ready.node)], [true, "READY", "", NODE]);
  await store.close();
  const broken = await fixture.call("ready", {});
  assert.deepEqual([broken.ready, broken.status], [false, "NOT_READY"]);
  assert.notEqual(broken.error, "");
  assert.equal((await fixture.call("health", {})).status, "SERVING");
});

Deno.test("every method answers bytes that are no request with INVALID_ARGUMENT", async () => {
  await using fixture = await Fixture.open();
  const cut = new Uint8Array([0x0a, 200, 1, 0x61]);
  for (const name of Object.keys(MsgbusService.method) as (keyof typeof MsgbusService.method)[]) {
    const call = name === "fetch" || name === "subscribe"
      ? fixture.channel.serverStreaming(pathOf(name), cut).nextBatch()
      : fixture.channel.unary(pathOf(name), cut);
    assert.equal((await statusOf(call)).code, Status.INVALID_ARGUMENT, name);
  }
});

Deno.test("Publish with an idempotency-key stores once and answers with the first envelope, deleted or not", async () => {
  await using fixture = await Fixture.open();
  const publish = async (key: string, payload: string, headers: Record<string, string> = {}) => {
    const request = { topic: "t", payload: text(payload), headers };
    const { message } = await fixture.call("publish", request, new Metadata({ "idempotency-key": key }));
    return message ?? assert.fail("the message is missing");
  };
  const first = await publish("k", "1", { a: "b", c: "d" });
  assert.deepEqual(await publish("k", "1", { c: "d", a: "b" }), first);
  const [one, two, three] = await Promise.all([publish("l", "2"), publish("l", "2"), publish("m", "2")]);
  assert.deepEqual(one, two);
  assert.deepEqual([first.headId, one.headId, three.headId], [1n, 2n, 3n]);
  assert.equal((await fixture.publish("t", "plain"))[0]?.headId, 4n);
  assert.deepEqual(await publish("k", "1", { a: "b", c: "d" }), first, "later ones make no difference");
  await fixture.call("deleteRange", { topic: "t", fromHeadId: 1n, toHeadId: 1n });
  const deleted = await publish("k", "whatever");
  assert.deepEqual([deleted.deleted, deleted.id, deleted.headId, string(deleted.payload)], [
    true,
    first.id,
    1n,
    "",
  ]);
  assert.deepEqual(await fixture.fetch({ topic: "t", limit: 1 }), [deleted]);
});

Deno.test("Publish refuses an idempotency-key of another message, and stores all others of that moment", async () => {
  await using fixture = await Fixture.open();
  const publish = (key: string, payload: string) =>
    fixture.call("publish", { topic: "t", payload: text(payload) }, new Metadata({ "idempotency-key": key }));
  await publish("k", "1");
  const [refused, stored] = await Promise.all([statusOf(publish("k", "other")), publish("l", "2")]);
  assert.equal(refused.code, Status.FAILED_PRECONDITION);
  assert.match(refused.message, /idempotency key "k"/);
  assert.equal(stored.message?.headId, 2n);
  assert.equal(fixture.bus.head("t"), 2);
});

Deno.test("Publish refuses an idempotency-key that is not ASCII instead of storing without one", async () => {
  await using fixture = await Fixture.open();
  class Umlaut extends Metadata {
    override toFields() {
      return [{ name: "idempotency-key", value: "\u00fc" }];
    }
  }
  const { code, message } = await statusOf(fixture.call("publish", { topic: "t" }, new Umlaut()));
  assert.deepEqual([code, /not printable ASCII/.test(message)], [Status.INVALID_ARGUMENT, true]);
  assert.equal(fixture.bus.head("t"), undefined);
});

Deno.test("Publish refuses an idempotency-key that is empty, too long, or said twice", async () => {
  await using fixture = await Fixture.open();
  const twice = new Metadata({ "idempotency-key": "a" });
  twice.append("idempotency-key", "b");
  const bad = [
    new Metadata({ "idempotency-key": "" }),
    new Metadata({ "idempotency-key": "x".repeat(257) }),
    twice,
  ];
  for (const metadata of bad) {
    const { code, message } = await statusOf(fixture.call("publish", { topic: "t" }, metadata));
    assert.equal(code, Status.INVALID_ARGUMENT);
    assert.match(message, /idempotency.key/);
  }
  assert.equal(fixture.bus.head("t"), undefined);
  await fixture.call("publish", { topic: "t" }, new Metadata({ "idempotency-key": "x".repeat(256) }));
  assert.equal(fixture.bus.head("t"), 1);
});
