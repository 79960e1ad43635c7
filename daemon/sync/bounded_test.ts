/** What a session of other versions, wrong clocks, broken logs and little news costs, and what it leaves alone. */
import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { type ByteStream, Channel, type Connect, Status, StatusError } from "@msgbus/grpc";
import {
  FetchRequestSchema,
  FetchResponseSchema,
  HealthResponseSchema,
  ListHeadsResponseSchema,
  MessageEnvelopeSchema,
  NodeIdSchema,
  TopicHeadSchema,
} from "@msgbus/proto";
import {
  SyncBatchSchema,
  SyncFollowSchema,
  SyncHeadSchema,
  SyncHelloSchema,
  SyncLogSchema,
  SyncMessageSchema,
  SyncResponseSchema,
  SyncWelcomeSchema,
} from "@msgbus/proto/sync";
import { ManualClock } from "../../grpc/testing/manual_clock.ts";
import { encodeHeaders } from "../bus/headers.ts";
import { TestCaller } from "./test_caller.ts";
import { eventually, nodeName, TestNode } from "./test_node.ts";
import { WirePeer, withUnknown } from "./test_wire_peer.ts";

const HOUR_MS = 3_600_000;
const FETCH = "/msgbus.v1.MsgbusService/Fetch";
const peer = nodeName("peer");
const peerId = () => create(NodeIdSchema, peer);

const asItIs: typeof withUnknown = (message) => message;

/** Everything that a session says of one log with one message; each part passes through `as`. */
function sessionOf(
  log: number,
  topic: string,
  as: typeof withUnknown,
): { news: Uint8Array; batch: Uint8Array } {
  const message = as(create(SyncMessageSchema, {
    id: `id-${log}`,
    payload: new TextEncoder().encode(topic),
    headers: { a: "b" },
    createdAtMs: 7n,
  }));
  const batch = as(
    create(SyncBatchSchema, { log: BigInt(log), firstHeadId: 1n, messages: [message] }),
  );
  return {
    news: toBinary(
      SyncResponseSchema,
      as(create(SyncResponseSchema, {
        ...log === 0 && { welcome: as(create(SyncWelcomeSchema, { node: peer })) },
        logs: [as(create(SyncLogSchema, { log: BigInt(log), topic, origin: as(peerId()) }))],
        heads: [as(create(SyncHeadSchema, { log: BigInt(log), headId: 1n }))],
      })),
    ),
    batch: toBinary(SyncResponseSchema, as(create(SyncResponseSchema, { batch }))),
  };
}

/** The message that a node has at the head 1 of a log, as its clients get it. */
async function envelopeOf(node: TestNode, topic: string) {
  const channel = new Channel(node.connect);
  const request = create(FetchRequestSchema, { topic, origin: peerId() });
  try {
    for await (const bytes of channel.serverStreaming(FETCH, toBinary(FetchRequestSchema, request))) {
      return fromBinary(FetchResponseSchema, bytes).message;
    }
    return undefined;
  } finally {
    await channel.close();
  }
}

async function isCopied(node: TestNode, topics: readonly string[], as: typeof withUnknown): Promise<void> {
  for (const topic of topics) {
    await eventually(async () => (await node.texts(topic, peer)).length === 1, `${topic}: ${node.events}`);
    const message = await envelopeOf(node, topic);
    assert.deepEqual(
      [message?.id, message?.payload, message?.headers, message?.createdAtMs],
      [`id-${topics.indexOf(topic)}`, new TextEncoder().encode(topic), { a: "b" }, 7n],
    );
    assert.deepEqual(
      message?.$unknown,
      as(create(MessageEnvelopeSchema)).$unknown,
      "what is unknown is kept",
    );
  }
}

for (const [version, as] of [["a newer", withUnknown], ["an older", asItIs]] as const) {
  const fields = version === "a newer"
    ? "with fields that nobody knows"
    : "without any field that may be absent";
  const health = as(
    create(HealthResponseSchema, { status: "SERVING", node: as(peerId()) }),
  );

  Deno.test(`StreamSession copies from a peer of ${version} version, ${fields}`, async () => {
    const sessions = ["t", "u"].map((topic, log) => sessionOf(log, topic, as));
    await using node = await TestNode.start("b");
    await using server = new WirePeer({
      health,
      news: sessions.map(({ news }) => news),
      followed: new Map(sessions.map(({ batch }, log) => [log, batch])),
    });
    await node.sync.add(server.options);
    await isCopied(node, ["t", "u"], as);
    assert.deepEqual(node.events, ["peer stream"]);
    await using next = await TestNode.start("c");
    await next.follow(node);
    await isCopied(next, ["t", "u"], as);
  });

  Deno.test(`PollSession copies from a peer of ${version} version, ${fields}`, async () => {
    const head = as(create(TopicHeadSchema, { topic: "t", origin: peerId(), headId: 1n }));
    const message = as(create(MessageEnvelopeSchema, {
      id: "id-0",
      topic: "t",
      origin: peerId(),
      headId: 1n,
      payload: new TextEncoder().encode("t"),
      headers: { a: "b" },
      createdAtMs: 7n,
    }));
    await using node = await TestNode.start("b");
    await using server = new WirePeer({
      health,
      listHeads: toBinary(
        ListHeadsResponseSchema,
        as(create(ListHeadsResponseSchema, { heads: [head] })),
      ),
      fetch: () => [toBinary(
        FetchResponseSchema,
        as(create(FetchResponseSchema, { message })),
      )],
    });
    await node.sync.add(server.options);
    await isCopied(node, ["t"], as);
    assert.deepEqual(node.events, ["peer poll"]);
    await using next = await TestNode.start("c");
    await next.follow(node);
    await isCopied(next, ["t"], as);
  });

  Deno.test(`answerSync serves a caller of ${version} version, ${fields}`, async () => {
    await using node = await TestNode.start("b");
    await node.publish("t", "1");
    await using caller = new TestCaller(node.connect);
    const hello = create(SyncHelloSchema);
    const follow = create(SyncFollowSchema, { log: 0n, fromHeadId: 1n });
    caller.say({ case: "hello", value: as(hello) }, as);
    caller.say({ case: "follow", value: as(follow) }, as);
    const received: string[] = [];
    while (received.length === 0) {
      for (const { payload } of await caller.messages()) received.push(new TextDecoder().decode(payload));
    }
    assert.deepEqual(received, ["1"]);
  });
}

Deno.test("answerSync refuses patterns that are none, and requests of a kind that it does not know, with INVALID_ARGUMENT", async () => {
  await using node = await TestNode.start("a");
  const wrong = (code: Status, message: RegExp) => (error: unknown) =>
    error instanceof StatusError && error.code === code && message.test(error.message);
  for (
    const patterns of [{ include: ["a.>.b"] }, { exclude: ["a.>.b"] }, { include: ["good", ""] }, {
      exclude: ["x".repeat(1_025)],
    }]
  ) {
    await using caller = new TestCaller(node.connect);
    caller.say({ case: "hello", value: create(SyncHelloSchema, patterns) });
    const [field = ""] = Object.keys(patterns);
    await assert.rejects(caller.messages(), wrong(Status.INVALID_ARGUMENT, new RegExp(field)));
  }
  await using caller = new TestCaller(node.connect);
  caller.say({ case: "hello", value: create(SyncHelloSchema) });
  await caller.messages();
  caller.say({ case: undefined }, withUnknown);
  await assert.rejects(caller.messages(), wrong(Status.INVALID_ARGUMENT, /unknown kind/));
});

/** A field of bytes, as protobuf writes it. */
function field(number: number, bytes: Iterable<number>): readonly number[] {
  const value = [...bytes];
  return [number << 3 | 2, ...new BinaryWriter().uint32(value.length).finish(), ...value];
}

Deno.test("StreamSession refuses a log with a header bomb, or text that is none, and goes on with all others", async () => {
  const text = (value: string) => new TextEncoder().encode(value);
  const noText = [0xff, 0xfe];
  const wrong: Record<string, { readonly fields?: Iterable<number>; readonly topic?: Iterable<number> }> = {
    "a header of 70,000 bytes": { fields: encodeHeaders({ a: "x".repeat(70_000) }) },
    "20,000 headers": {
      fields: encodeHeaders(Object.fromEntries(Array.from({ length: 20_000 }, (_, at) => [`h${at}`, ""]))),
    },
    "a length that lies": { fields: field(6, [0x0a, 0x7f, 0x61]) },
    "a header that is no UTF-8": { fields: field(6, [...field(1, text("a")), ...field(2, noText)]) },
    "an id that is no UTF-8": { fields: field(1, noText) },
    "a long name": { topic: text("x".repeat(1_025)) },
    "a name with NUL": { topic: text("a\0b") },
    "no name": { topic: [] },
    "a name that is no UTF-8": { topic: noText },
    "another name that is no UTF-8": { topic: [...text("a"), ...noText] },
  };
  const names = [...Object.keys(wrong), "good", "good, too"];
  const origin = toBinary(NodeIdSchema, peerId());
  const logs = names.flatMap((name, log) =>
    field(2, [8, log, ...field(2, wrong[name]?.topic ?? text(name)), ...field(3, origin)])
  );
  const heads = names.flatMap((_, log) => field(3, [8, log, 16, 1]));
  const followed = names.map((name, log) => {
    const message = [...field(1, text("id")), ...field(5, text(name)), ...wrong[name]?.fields ?? []];
    return [log, Uint8Array.from(field(4, [8, log, 16, 1, ...field(3, message)]))] as const;
  });
  await using server = new WirePeer({
    news: [Uint8Array.from([...field(1, field(1, origin)), ...logs, ...heads])],
    followed: new Map(followed),
  });
  await using node = await TestNode.start("b");
  await node.sync.add(server.options);
  for (const topic of ["good", "good, too"]) {
    await eventually(() => node.bus.logHead(topic, peer).headId === 1, `${topic}: ${node.events}`);
    assert.deepEqual(await node.texts(topic, peer), [topic]);
  }
  // The two whose names can't be read count as one, without a name.
  const told = [...Object.keys(wrong).slice(0, 5), "x".repeat(1_025), "a\0b", "", ""];
  const failed = () => node.events.filter((event) => event !== "peer stream");
  await eventually(() => failed().length >= told.length, "each wrong log is told");
  const topics = failed().map((event) => event.slice("peer ".length, event.indexOf(": ")));
  assert.deepEqual(topics.sort(), told.sort());
  assert.deepEqual(node.sync.peers().map(({ mode, consecutiveFailures }) => [mode, consecutiveFailures]), [
    ["stream", 0],
  ]);
  assert.equal(node.bus.heads().length, 2);
});

Deno.test("PollSession refuses a log that can't be read, or that the peer does not give, and goes on with all others", async () => {
  const text = (value: string) => new TextEncoder().encode(value);
  const noText = [0xff, 0xfe];
  const message = (topic: string, headId: number, ...fields: readonly number[]) =>
    field(1, [...field(1, text("id")), ...field(2, text(topic)), 32, headId, ...fields]);
  const wrong: Record<string, () => (readonly number[])[]> = {
    "a header of 70,000 bytes": () => [message("", 1, ...encodeHeaders({ a: "x".repeat(70_000) }))],
    "a header that is no UTF-8": () => [
      message("", 1, ...field(6, [...field(1, text("a")), ...field(2, noText)])),
    ],
    "a second message that is none": () => [message("", 1), [0xff]],
    "no message": () => [[]],
    "nothing but an error": () => {
      throw new StatusError(Status.INTERNAL, "the row is damaged");
    },
  };
  const good = ["good", "good, too"];
  const names: readonly Iterable<number>[] = [...Object.keys(wrong), ...good].map(text);
  const origin = toBinary(NodeIdSchema, peerId());
  const heads = [noText, ...names].flatMap((name) =>
    field(1, [...field(1, name), ...field(2, origin), 24, 2])
  );
  await using server = new WirePeer({
    listHeads: Uint8Array.from(heads),
    fetch: (topic) =>
      (wrong[topic]?.() ?? [message(topic, 1), message(topic, 2)]).map((bytes) => Uint8Array.from(bytes)),
  });
  await using node = await TestNode.start("b");
  await node.sync.add(server.options);
  for (const topic of good) {
    await eventually(() => node.bus.logHead(topic, peer).headId === 2, `${topic}: ${node.events}`);
  }
  const told = () => node.events.slice(1);
  await eventually(() => told().length === Object.keys(wrong).length + 1, `each is told: ${node.events}`);
  for (const topic of ["", ...Object.keys(wrong)]) {
    assert.equal(told().filter((event) => event.startsWith(`peer ${topic}: `)).length, 1, `${told()}`);
  }
  assert.equal(node.bus.logHead("a second message that is none", peer).headId, 1, "the first one is copied");
  assert.equal(node.sync.peers()[0]?.consecutiveFailures, 0);
});

Deno.test("clocks that are an hour apart, and are put back and forth meanwhile, change no order, copy or queue", async () => {
  const offsets: Record<string, number> = { a: HOUR_MS, b: -HOUR_MS, c: 0 };
  const start = (name: string) => TestNode.start(name, { clock: () => Date.now() + (offsets[name] ?? 0) });
  await using a = await start("a");
  await using b = await start("b");
  await using c = await start("c");
  for (const [from, to] of [[a, b], [b, a], [b, c], [c, b]] as const) await from.follow(to);
  const rounds = [[0, 0], [-2 * HOUR_MS, 2 * HOUR_MS], [2 * HOUR_MS, -2 * HOUR_MS]] as const;
  const expected: string[] = [];
  const taken: string[] = [];
  for (const [round, [stepA, stepB]] of rounds.entries()) {
    offsets["a"] = (offsets["a"] ?? 0) + stepA;
    offsets["b"] = (offsets["b"] ?? 0) + stepB;
    // The one in the middle is away for a part of each round, and catches up.
    await b.sync.remove("a");
    for (let i = 0; i < 50; i++) {
      expected.push(`${round} ${i}`);
      await Promise.all([a, b, c].map((node) => node.publish("t", `${round} ${i}`)));
      const payload = new TextEncoder().encode(`${round} ${i}`);
      await a.bus.enqueueFifo({
        queue: "q",
        topic: "t",
        target: c.bus.node,
        payload,
        headers: new Uint8Array(),
      });
    }
    await b.follow(a);
    await eventually(async () => {
      const front = await c.bus.peekFifo("q").catch(() => undefined); // it is empty at times
      if (front !== undefined && await c.bus.ackFifo("q", front.id)) {
        taken.push(new TextDecoder().decode(front.payload));
      }
      return taken.length === expected.length;
    }, `the queue arrives: ${taken.length}`);
    for (const node of [a, b, c]) {
      for (const origin of [a, b, c]) {
        await eventually(
          () => node.bus.logHead("t", origin.bus.node).headId === expected.length,
          "it is copied",
        );
        assert.deepEqual(await node.texts("t", origin), expected);
      }
    }
  }
  assert.deepEqual(taken, expected);
  const times: number[] = [];
  for await (const page of c.bus.fetch({ topic: "t", origin: a.bus.node, fromHeadId: 1, limit: 1_000 })) {
    times.push(...page.map(({ createdAtMs }) => createdAtMs));
  }
  assert.ok(times.some((time, at) => time < (times[at - 1] ?? 0)), "a clock went back");
});

/** Bytes of all connections that are made through it. */
class Meter {
  bytes = 0;

  through(connect: Connect): Connect {
    return async (...args) => {
      const stream = await connect(...args);
      const metered: ByteStream = {
        peer: stream.peer,
        read: async () => {
          const bytes = await stream.read();
          this.bytes += bytes?.length ?? 0;
          return bytes;
        },
        write: async (bytes) => {
          this.bytes += bytes.length;
          await stream.write(bytes);
        },
        closeWrite: () => stream.closeWrite(),
        close: () => stream.close(),
      };
      return metered;
    };
  }
}

/** Bytes that one new message costs who has all others of so many logs: on a connection that is there, and on a new one. */
async function bytesOfOneMessage(logs: number): Promise<{ live: number; again: number }> {
  await using a = await TestNode.start("a");
  await using b = await TestNode.start("b");
  for (let log = 0; log < logs; log++) await a.publish(`topic ${log}`, "x".repeat(100));
  const follow = async () => {
    const meter = new Meter();
    await b.follow(a, { dial: () => Promise.resolve(a.link(meter.through(a.connect))) });
    return meter;
  };
  const reached = () =>
    eventually(async () => {
      await b.sync.record();
      return (await b.bus.peerCursor("a"))?.sequence === a.bus.sequence;
    }, "everything is copied, and the position told");
  const first = await follow();
  await reached();
  const copied = first.bytes;
  await a.publish("topic 0", "y".repeat(100));
  await reached();
  const live = first.bytes - copied;
  await b.sync.remove("a");
  await a.publish("topic 0", "z".repeat(100));
  const second = await follow();
  await reached();
  assert.deepEqual(await b.texts("topic 0", a), ["x", "y", "z"].map((text) => text.repeat(100)));
  return { live, again: second.bytes };
}

Deno.test("one message that lacks costs less than 2 KB on the wire, whether there are 100 logs or 1,000", async () => {
  const few = await bytesOfOneMessage(100);
  const many = await bytesOfOneMessage(1_000);
  assert.ok(many.live < 2_048 && many.again < 2_048, JSON.stringify(many));
  // Numbers may take a byte more; and where not all logs are followed at once, the message's must be told and followed first.
  assert.ok(many.live - few.live <= 128 && many.again - few.again <= 16, JSON.stringify({ few, many }));
});

Deno.test("answerSync: who follows logs and reads nothing keeps nobody waiting, and is let go after the stall timeout", async () => {
  const stallTimeoutMs = 60_000;
  const clock = new ManualClock();
  const limits = { stallTimeoutMs, keepAliveIntervalMs: 0 };
  await using a = await TestNode.start("a", { server: { clock, limits } });
  await using b = await TestNode.start("b");
  for (let log = 0; log < 32; log++) {
    for (let i = 0; i < 4; i++) await a.publish(`large ${log}`, "x".repeat(250_000));
  }
  await using caller = new TestCaller(a.connect);
  caller.say({ case: "hello", value: create(SyncHelloSchema) });
  await caller.messages();
  for (let log = 0; log < 32; log++) {
    caller.say({ case: "follow", value: create(SyncFollowSchema, { log: BigInt(log), fromHeadId: 1n }) });
  }
  await b.follow(a, { include: ["small"] });
  for (let step = 1; step <= 8; step++) {
    await a.publish("small", `${step}`);
    await eventually(() => b.bus.logHead("small", a.bus.node).headId === step, "another peer is served");
    await clock.advance(stallTimeoutMs / 4);
  }
  let received = 0;
  let failure: unknown;
  const reading = (async () => {
    for (;;) received += (await caller.messages()).length;
  })().catch((error) => failure = error);
  await eventually(() => failure !== undefined, "it is let go");
  await reading;
  assert.ok(failure instanceof StatusError);
  assert.match(failure.message, /took nothing of its answer for 60000 ms/);
  assert.ok(received < 32 * 4, `${received} messages were received`);
});

Deno.test("what is deleted does not come back in a ring, by way of a peer that was away and still has it", async () => {
  await using a = await TestNode.start("a");
  await using b = await TestNode.start("b");
  await using c = await TestNode.start("c");
  await using late = await TestNode.start("late");
  for (const [from, to] of [[b, a], [c, b], [a, c]] as const) await from.follow(to);
  for (const text of ["secret", "kept"]) await a.publish("t", text);
  const copied = async (node: TestNode, first: string | null) => {
    await eventually(async () => {
      const texts = await node.texts("t", a);
      return texts.length === 2 && texts[0] === first;
    }, `${node.bus.node.deviceId} has ${first}`);
  };
  await copied(c, "secret");
  await c.sync.remove("b");
  await a.bus.deleteRange({ topic: "t", fromHeadId: 1, toHeadId: 1 });
  await copied(b, null);
  await late.follow(c);
  await copied(late, "secret");
  await late.follow(b);
  await copied(late, null);
  await c.follow(late);
  await copied(c, null);
  for (const node of [a, b, c, late]) assert.deepEqual(await node.texts("t", a), [null, "kept"]);
});
