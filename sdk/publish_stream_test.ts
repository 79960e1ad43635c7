/** Calls of `publish` that overlap, against a daemon that keeps what it is sent in memory and that each test can trouble. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type Clock, type ServerCall, Status, StatusError, type StreamingServerCall } from "@msgbus/grpc";
import { PublishRequestSchema, PublishResponseSchema } from "@msgbus/proto";
import {
  PublishStreamRequestSchema,
  PublishStreamResponseSchema,
  type StreamedPublish,
} from "@msgbus/proto/stream";
import assert from "node:assert/strict";
import { MsgbusError } from "./error.ts";
import { ScriptedDaemon } from "./testing/scripted_daemon.ts";

const NODE = { tenantId: "t", blName: "b", deviceId: "d" };
const UUID = Uint8Array.fromHex("01a1faa9e04b73298d46403dc26affff");
const decoder = new TextDecoder();

/** A daemon that stores what it is sent, each sequence of a producer once. */
class KeepingDaemon {
  readonly daemon = new ScriptedDaemon();
  /** Payloads in the order in which they were stored. */
  readonly stored: string[] = [];
  /** Messages of each request that came, and requests of calls of their own. */
  readonly batches: number[] = [];
  /** Idempotency keys as they came, "" for none. */
  readonly keys: unknown[] = [];
  singles = 0;
  calls = 0;
  /** Sequences that are stored, by producer. */
  readonly #heads = new Map<string, Map<number, number>>();
  /** What it says that it is. */
  node = NODE;
  /** Asked before a request is stored: a promise to wait for, or what is thrown instead. */
  before: (messages: number) => Promise<void> | undefined = () => undefined;
  /** Asked before a request that was stored is acknowledged. */
  unacknowledged: () => Promise<void> | undefined = () => undefined;
  refuse: (message: StreamedPublish) => { code: Status; message: string } | undefined = () => undefined;

  constructor() {
    this.daemon
      .on("publishStream", {
        kind: "bidi_streaming",
        handle: (requests, call) => this.#stream(requests, call),
      })
      .on("publish", { kind: "unary", handle: (request, call) => this.#single(request, call) })
      .start();
  }

  /** Forgets all producers. */
  forget(): void {
    this.#heads.clear();
  }

  async #single(bytes: Uint8Array, { metadata }: ServerCall): Promise<Uint8Array> {
    this.singles++;
    this.keys.push(metadata.get("idempotency-key") ?? "");
    await this.before(1);
    const { topic, payload, headers } = fromBinary(PublishRequestSchema, bytes);
    this.stored.push(decoder.decode(payload));
    const message = { id: "i", topic, payload, headers, origin: NODE, headId: BigInt(this.stored.length) };
    return toBinary(PublishResponseSchema, create(PublishResponseSchema, { message }));
  }

  async #stream(requests: AsyncIterable<Uint8Array>, call: StreamingServerCall): Promise<void> {
    this.calls++;
    let heads = new Map<number, number>();
    let next = 1;
    for await (const bytes of requests) {
      const { producer, firstSequence, messages } = fromBinary(PublishStreamRequestSchema, bytes);
      if (producer !== undefined) {
        heads = this.#heads.get(producer.id) ?? heads;
        this.#heads.set(producer.id, heads);
        const lastSequence = BigInt(Math.max(0, ...heads.keys()));
        await call.write(
          response({ welcome: { node: this.node, epoch: producer.epoch, lastSequence } }),
        );
      }
      if (firstSequence > 0n) next = Number(firstSequence);
      if (messages.length === 0) continue;
      this.batches.push(messages.length);
      await this.before(messages.length);
      const published = [];
      const refused = [];
      for (const message of messages) {
        const sequence = next++;
        this.keys.push(message.idempotencyKey);
        const refusal = this.refuse(message);
        if (refusal !== undefined) {
          refused.push({ firstSequence: BigInt(sequence), count: 1, ...refusal });
          continue;
        }
        let head = heads.get(sequence);
        if (head === undefined) {
          head = this.stored.push(decoder.decode(message.payload));
          heads.set(sequence, head);
        }
        published.push({
          firstSequence: BigInt(sequence),
          count: 1,
          firstHeadId: BigInt(head),
          firstUuid: UUID,
          createdAtMs: 1_700_000_000_123n,
        });
      }
      await this.unacknowledged();
      await call.write(response({ acknowledged: BigInt(next - 1), published, refused }));
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.daemon[Symbol.asyncDispose]();
  }
}

function response(init: MessageInitShape<typeof PublishStreamResponseSchema>): Uint8Array {
  return toBinary(PublishStreamResponseSchema, create(PublishStreamResponseSchema, init));
}

function numbers(from: number, to: number): string[] {
  return Array.from({ length: to - from + 1 }, (_, at) => String(from + at));
}

function isError(code: string, text = /./): (error: unknown) => boolean {
  return (error) => error instanceof MsgbusError && error.code === code && text.test(error.message);
}

/** Something that happens when the test says so. */
function gate(): { readonly opened: Promise<void>; open: () => void } {
  let open = () => {};
  const opened = new Promise<void>((resolve) => open = resolve);
  return { opened, open };
}

Deno.test("publish makes one call of its own where nothing else is on its way", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  for (const number of numbers(1, 3)) await client.publish("orders", number);
  assert.deepEqual([keeping.singles, keeping.calls], [3, 0]);
});

Deno.test("publish sends the idempotency key, alone and in a stream", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  await client.publish("orders", "1", { idempotencyKey: "a key" });
  await client.publish("orders", "2");
  await Promise.all([
    client.publish("orders", "3", { idempotencyKey: "x".repeat(256), headers: { a: "b" } }),
    client.publish("orders", "4"),
    client.publish("orders", "5", { idempotencyKey: "k" }),
  ]);
  assert.deepEqual([keeping.singles, keeping.calls], [2, 1]);
  assert.deepEqual(keeping.keys, ["a key", "", "x".repeat(256), "", "k"]);
  assert.deepEqual(keeping.stored, numbers(1, 5));
});

Deno.test("publish rejects with TypeError for an idempotency key that can't be sent as it is", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  for (const idempotencyKey of ["", " a", "a ", "é", "a\nb", "x".repeat(257)]) {
    await assert.rejects(client.publish("orders", "1", { idempotencyKey }), TypeError);
  }
  assert.deepEqual(keeping.stored, []);
});

Deno.test("publish called a thousand times at once is one stream of few batches, in order", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const all = numbers(1, 1_000);
  const messages = await Promise.all(all.map((number) => client.publish("orders", number)));
  assert.deepEqual(keeping.stored, all);
  assert.deepEqual(messages.map(({ headId }) => headId), all.map(Number));
  assert.deepEqual([keeping.singles, keeping.calls], [0, 1]);
  assert.ok(keeping.batches.length <= 3, `${keeping.batches}`);
});

Deno.test("publish by a stream returns the stored message with everything that belongs to it", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const payload = new Uint8Array([1, 2, 3]);
  const headers = JSON.parse('{"a":"ä","__proto__":"p"}');
  const publishing = [
    client.publish("orders", payload, { headers }),
    client.publish("other", { n: 1 }),
    client.publish("orders", ""),
  ];
  payload.fill(9); // it is the caller's again
  const [first, second, third] = await Promise.all(publishing);
  assert.deepEqual(first?.payload, new Uint8Array([1, 2, 3]));
  assert.deepEqual(first?.headers, headers);
  assert.deepEqual([first?.topic, first?.origin, first?.headId], ["orders", NODE, 1]);
  assert.equal(first?.id, "01a1faa9-e04b-7329-8d46-403dc26affff");
  assert.equal(first?.createdAt.getTime(), 1_700_000_000_123);
  assert.deepEqual(second?.json(), { n: 1 });
  assert.deepEqual(second?.headers, { "content-type": "application/json" });
  assert.deepEqual([third?.payload.length, third?.deleted], [0, false]);
});

Deno.test("publish counts ids of a run on over all bytes", async () => {
  await using daemon = new ScriptedDaemon().on("publishStream", {
    kind: "bidi_streaming",
    async handle(requests, call) {
      await call.write(response({ welcome: { node: NODE } }));
      for await (const bytes of requests) {
        const { messages } = fromBinary(PublishStreamRequestSchema, bytes);
        if (messages.length === 0) continue;
        const run = { firstSequence: 1n, count: messages.length, firstHeadId: 5n, firstUuid: UUID };
        await call.write(response({ acknowledged: BigInt(messages.length), published: [run] }));
      }
    },
  }).start();
  const client = daemon.client();
  const messages = await Promise.all([client.publish("t", "1"), client.publish("t", "2")]);
  assert.deepEqual(messages.map(({ id, headId }) => [id, headId]), [
    ["01a1faa9-e04b-7329-8d46-403dc26affff", 5],
    ["01a1faa9-e04b-7329-8d46-403dc26b0000", 6],
  ]);
});

Deno.test("publish keeps the order where the first message goes alone and others come meanwhile", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const first = gate();
  keeping.before = () => keeping.stored.length === 0 ? first.opened : undefined;
  const publishing = [client.publish("orders", "1")];
  while (keeping.singles === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  publishing.push(client.publish("orders", "2"), client.publish("orders", "3"));
  await new Promise((resolve) => setTimeout(resolve, 5));
  assert.deepEqual([keeping.singles, keeping.calls], [1, 0]);
  first.open();
  await Promise.all(publishing);
  assert.deepEqual(keeping.stored, ["1", "2", "3"]);
});

Deno.test("publish sends again what was not acknowledged when the connection was lost, and it is stored once", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  let losses = 0;
  keeping.unacknowledged = () => {
    // Stored, and nobody hears of it: three times.
    if (losses++ >= 3) return undefined;
    return keeping.daemon.stop().then(() => void keeping.daemon.start());
  };
  const all = numbers(1, 50);
  const messages = await Promise.all(all.map((number) => client.publish("orders", number)));
  assert.deepEqual(keeping.stored, all);
  assert.deepEqual(messages.map(({ headId }) => headId), all.map(Number));
  assert.ok(keeping.calls >= 4, `${keeping.calls} calls`);
});

Deno.test("publish sends nothing before the daemon has said who it is", async () => {
  const received: number[] = [];
  const welcome = gate();
  await using daemon = new ScriptedDaemon().on("publishStream", {
    kind: "bidi_streaming",
    async handle(requests, call) {
      void welcome.opened.then(() => call.send(response({ welcome: { node: NODE } })));
      for await (const bytes of requests) {
        received.push(fromBinary(PublishStreamRequestSchema, bytes).messages.length);
      }
    },
  }).start();
  const client = daemon.client();
  const results = Promise.allSettled(numbers(1, 3).map((number) => client.publish("t", number)));
  while (received.length === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  await new Promise((resolve) => setTimeout(resolve, 10));
  assert.deepEqual(received, [0]);
  welcome.open();
  while (!received.includes(3)) await new Promise((resolve) => setTimeout(resolve, 1));
  await client.close();
  await results;
});

for (
  const [what, change] of [
    ["another daemon", (keeping: KeepingDaemon) => void (keeping.node = { ...NODE, deviceId: "other" })],
    ["a daemon that has forgotten this client", (keeping: KeepingDaemon) => keeping.forget()],
  ] as const
) {
  Deno.test(`publish sends nothing again to ${what}, says so, and goes on`, async () => {
    await using keeping = new KeepingDaemon();
    const client = keeping.daemon.client();
    await Promise.all(numbers(1, 3).map((number) => client.publish("orders", number)));
    let lost = false;
    keeping.unacknowledged = () => {
      if (lost) return undefined;
      lost = true;
      change(keeping);
      return keeping.daemon.stop().then(() => void keeping.daemon.start());
    };
    const results = await Promise.allSettled(
      numbers(4, 6).map((number) => client.publish("orders", number)),
    );
    for (const result of results) {
      assert.ok(result.status === "rejected" && isError("UNAVAILABLE", /stored or not/)(result.reason));
    }
    await Promise.all(numbers(7, 9).map((number) => client.publish("orders", number)));
    assert.deepEqual(keeping.stored, numbers(1, 9), "each once");
  });
}

Deno.test("publish goes on in order after a loss with what came meanwhile", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const stored = gate();
  let lost = false;
  keeping.unacknowledged = () => {
    if (lost) return undefined;
    lost = true;
    stored.open();
    return keeping.daemon.stop();
  };
  const publishing = numbers(1, 10).map((number) => client.publish("orders", number));
  await stored.opened;
  publishing.push(...numbers(11, 20).map((number) => client.publish("orders", number)));
  await new Promise((resolve) => setTimeout(resolve, 5));
  keeping.daemon.start();
  await Promise.all(publishing);
  assert.deepEqual(keeping.stored, numbers(1, 20));
});

Deno.test("publish does not publish again by itself what one daemon may have stored and the next has no streams for", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  keeping.unacknowledged = () => {
    keeping.before = (): Promise<void> => {
      throw new StatusError(Status.UNIMPLEMENTED, "no such service");
    };
    return keeping.daemon.stop().then(() => void keeping.daemon.start());
  };
  const results = await Promise.allSettled(numbers(1, 3).map((number) => client.publish("orders", number)));
  for (const result of results) {
    assert.ok(result.status === "rejected" && isError("UNAVAILABLE", /may be stored or not/)(result.reason));
  }
  assert.deepEqual(keeping.stored, numbers(1, 3));
  assert.equal(keeping.singles, 0);
});

Deno.test("publish fails at once where no daemon is there, and nothing had been sent", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  await keeping.daemon.stop();
  const results = await Promise.allSettled(numbers(1, 3).map((number) => client.publish("orders", number)));
  for (const result of results) {
    assert.ok(result.status === "rejected" && isError("UNAVAILABLE", /nobody is there/)(result.reason));
  }
});

Deno.test("publish with waitForReady waits for a daemon to come", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client({ waitForReady: true });
  await keeping.daemon.stop();
  const publishing = Promise.all(numbers(1, 3).map((number) => client.publish("orders", number)));
  await new Promise((resolve) => setTimeout(resolve, 5));
  keeping.daemon.start();
  await publishing;
  assert.deepEqual(keeping.stored, numbers(1, 3));
});

Deno.test("publish publishes one by one at a daemon without streams, in order", async () => {
  const stored: string[] = [];
  await using daemon = new ScriptedDaemon().on("publish", {
    kind: "unary",
    handle(bytes) {
      const { topic, payload, headers } = fromBinary(PublishRequestSchema, bytes);
      stored.push(decoder.decode(payload));
      const message = { id: "i", topic, payload, headers, origin: NODE, headId: BigInt(stored.length) };
      return toBinary(PublishResponseSchema, create(PublishResponseSchema, { message }));
    },
  }).start();
  const client = daemon.client();
  for (const [from, to] of [[1, 20], [21, 40]] as const) {
    const messages = await Promise.all(numbers(from, to).map((number) => client.publish("orders", number)));
    assert.equal(messages.at(-1)?.text(), String(to));
  }
  assert.deepEqual(stored, numbers(1, 40));
});

Deno.test("publish rejects the message that the daemon refuses, and no other", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  keeping.refuse = ({ topic }) =>
    topic === "" ? { code: Status.INVALID_ARGUMENT, message: "topic: it is empty" } : undefined;
  const results = await Promise.allSettled([
    client.publish("orders", "1"),
    client.publish("", "2"),
    client.publish("orders", "3"),
  ]);
  assert.deepEqual(results.map(({ status }) => status), ["fulfilled", "rejected", "fulfilled"]);
  const [, refused] = results;
  assert.ok(refused?.status === "rejected" && isError("INVALID_ARGUMENT", /it is empty/)(refused.reason));
  assert.deepEqual(keeping.stored, ["1", "3"]);
});

Deno.test("publish ends with the daemon's status where the whole stream is refused", async () => {
  await using daemon = new ScriptedDaemon().on("publishStream", {
    kind: "bidi_streaming",
    handle: () => Promise.reject(new StatusError(Status.UNAUTHENTICATED, "who are you?")),
  }).start();
  const client = daemon.client();
  const results = await Promise.allSettled(numbers(1, 3).map((number) => client.publish("orders", number)));
  for (const result of results) {
    assert.ok(result.status === "rejected" && isError("UNAUTHENTICATED", /who are you/)(result.reason));
  }
});

Deno.test("publish rejects payloads that can't be sent, and no other message", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const results = await Promise.allSettled([
    client.publish("orders", "1"),
    client.publish("orders", new ArrayBuffer(1)),
    client.publish("orders", "3"),
  ]);
  const [, refused] = results;
  assert.ok(refused?.status === "rejected" && refused.reason instanceof TypeError);
  assert.deepEqual(keeping.stored, ["1", "3"]);
});

Deno.test("publish makes no request too large of messages that are not, whatever their headers", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const headers = { h: "€".repeat(1_397_900) }; // a message of just below 4 MiB
  await Promise.all([
    client.publish("orders", "x".repeat(200_000)),
    client.publish("orders", "2", { headers }),
    client.publish("orders", "3"),
  ]);
  assert.deepEqual(keeping.batches, [1, 1, 1]);
});

Deno.test("publish keeps the order of the largest messages with the largest headers too", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const headers = { h: "x".repeat(60 << 10) };
  await Promise.all([
    client.publish("orders", "1"),
    client.publish("orders", "2".padEnd((4 << 20) - (80 << 10)), { headers }),
    client.publish("orders", "3"),
  ]);
  assert.deepEqual(keeping.stored.map((text) => text.trim()), ["1", "2", "3"]);
  assert.equal(keeping.singles, 0);
});

Deno.test("publish ends with DEADLINE_EXCEEDED or CANCELLED for the message concerned only", async () => {
  await using keeping = new KeepingDaemon();
  const timers: { at: number; callback: () => void }[] = [];
  let now = 0;
  const clock: Clock = {
    nowMs: () => now,
    after(ms, callback) {
      const timer = { at: now + ms, callback };
      timers.push(timer);
      return () => void (timer.callback = () => {});
    },
  };
  const client = keeping.daemon.client({ clock });
  const stored = gate();
  keeping.before = () => stored.opened;
  const aborting = new AbortController();
  const publishing = [
    client.publish("orders", "1", { timeoutMs: 5_000 }),
    client.publish("orders", "2", { timeoutMs: 50 }),
    client.publish("orders", "3", { timeoutMs: 5_000, signal: aborting.signal }),
    client.publish("orders", "4", { timeoutMs: 5_000 }),
  ];
  const results = Promise.allSettled(publishing);
  while (keeping.batches.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  now = 60;
  for (const { at, callback } of [...timers]) if (at <= now) callback();
  aborting.abort();
  stored.open();
  const [first, second, third, fourth] = await results;
  assert.deepEqual([first?.status, fourth?.status], ["fulfilled", "fulfilled"]);
  assert.ok(second?.status === "rejected" && isError("DEADLINE_EXCEEDED", /stored or not/)(second.reason));
  assert.ok(third?.status === "rejected" && isError("CANCELLED")(third.reason));
});

Deno.test("publish sends no more than a window ahead of the acknowledgements", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const stored = gate();
  let received = 0;
  keeping.before = (messages) => {
    received += messages;
    return stored.opened;
  };
  const payload = new Uint8Array(1 << 20);
  const publishing = Promise.all(Array.from({ length: 20 }, () => client.publish("orders", payload)));
  while (received === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  await new Promise((resolve) => setTimeout(resolve, 20));
  assert.ok(received <= 8, `${received} messages of 1 MiB were sent`);
  stored.open();
  await publishing;
  assert.equal(keeping.stored.length, 20);
});

Deno.test("publish refuses to hold more than 64 MiB that wait", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const stored = gate();
  keeping.before = () => stored.opened;
  const payload = new Uint8Array(4_000_000);
  const results = Promise.allSettled(Array.from({ length: 20 }, () => client.publish("orders", payload)));
  await new Promise((resolve) => setTimeout(resolve, 5));
  stored.open();
  const refused = (await results).filter(({ status }) => status === "rejected");
  assert.ok(refused.length > 0 && refused.length < 5, `${refused.length}`);
  for (const result of refused) {
    assert.ok(result.status === "rejected" && isError("RESOURCE_EXHAUSTED", /await earlier/)(result.reason));
  }
  assert.equal(keeping.stored.length, 20 - refused.length);
});

Deno.test("publish refuses to hold more than 64 MiB also while a message is on its way alone", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  const alone = gate();
  keeping.before = () => alone.opened;
  const first = client.publish("orders", "1");
  while (keeping.singles === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  const payload = new Uint8Array(1 << 20);
  let refused = 0;
  const others = Array.from({ length: 70 }, () => client.publish("orders", payload));
  for (const other of others) other.catch(() => refused++);
  await new Promise((resolve) => setTimeout(resolve, 1));
  assert.equal(refused, 6);
  await assert.rejects(others.at(-1) ?? first, isError("RESOURCE_EXHAUSTED", /await earlier messages/));
  alone.open();
  await first;
  await Promise.allSettled(others);
});

Deno.test("close ends publishes that wait with UNAVAILABLE", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  keeping.before = () => new Promise(() => {});
  const results = Promise.allSettled(numbers(1, 3).map((number) => client.publish("orders", number)));
  while (keeping.batches.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  await client.close();
  for (const result of await results) {
    assert.ok(result.status === "rejected" && isError("UNAVAILABLE", /closed/)(result.reason));
  }
  await assert.rejects(client.publish("orders", "4"), isError("UNAVAILABLE"));
});

Deno.test("publish after close ends with UNAVAILABLE, also where the stream was busy a moment ago", async () => {
  await using keeping = new KeepingDaemon();
  const client = keeping.daemon.client();
  await Promise.all(numbers(1, 3).map((number) => client.publish("orders", number)));
  await client.close();
  await assert.rejects(client.publish("orders", "4"), isError("UNAVAILABLE", /closed/));
});
