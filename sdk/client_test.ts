/** Calls with one answer, and Fetch, against a daemon whose answers each test writes. */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Status, StatusError } from "@msgbus/grpc";
import {
  AckFifoRequestSchema,
  AckFifoResponseSchema,
  DeleteRangeRequestSchema,
  DeleteRangeResponseSchema,
  EnqueueFifoRequestSchema,
  EnqueueFifoResponseSchema,
  FetchRequestSchema,
  Fork,
  GetHeadResponseSchema,
  HealthResponseSchema,
  ListHeadsResponseSchema,
  ListPeerSyncStatesResponseSchema,
  PeerMode,
  PublishRequestSchema,
  PublishResponseSchema,
  ReadyResponseSchema,
} from "@msgbus/proto";
import {
  ForkDecision,
  ListArchivedLogsResponseSchema,
  ResolveForkRequestSchema,
  ResolveForkResponseSchema,
} from "@msgbus/proto/sync";
import assert from "node:assert/strict";
import { connect } from "./client.ts";
import { MsgbusError } from "./error.ts";
import type { Payload } from "./payload.ts";
import { ScriptedDaemon, sendHeads, silence } from "./testing/scripted_daemon.ts";

const node = { tenantId: "t", blName: "b", deviceId: "d" };

/** A daemon that answers Publish with what it was sent, as head 7. */
function echo(): ScriptedDaemon {
  return new ScriptedDaemon().on("publish", {
    kind: "unary",
    handle(bytes) {
      const { topic, payload, headers, origin } = fromBinary(PublishRequestSchema, bytes);
      const message = {
        id: "01a1faa9-e04b-7329-ad46-403dc26accab",
        topic,
        payload,
        headers,
        origin: origin ?? node,
        headId: 7n,
        createdAtMs: 1_700_000_000_123n,
      };
      return toBinary(PublishResponseSchema, create(PublishResponseSchema, { message }));
    },
  });
}

Deno.test("publish returns the stored message with everything that belongs to it", async () => {
  await using daemon = echo().start();
  const message = await daemon.client().publish("orders", "héllo", {
    headers: { a: "b", "__proto__x": "c" },
  });
  assert.deepEqual(
    [message.id, message.topic, message.headId, message.createdAtMs, message.deleted],
    ["01a1faa9-e04b-7329-ad46-403dc26accab", "orders", 7, 1_700_000_000_123, false],
  );
  assert.deepEqual({ ...message.origin }, node);
  assert.deepEqual({ ...message.headers }, { a: "b", "__proto__x": "c" });
  assert.equal(message.text(), "héllo");
  assert.equal(message.createdAt.toISOString(), "2023-11-14T22:13:20.123Z");
});

Deno.test("connect sends a token with every call", async () => {
  const seen: unknown[] = [];
  await using daemon = new ScriptedDaemon().on("health", {
    kind: "unary",
    handle(_, call) {
      seen.push(call.metadata.get("authorization"));
      return toBinary(HealthResponseSchema, create(HealthResponseSchema));
    },
  }).start();
  await daemon.client({ token: "msgbus_secret" }).health();
  await daemon.client().health();
  assert.deepEqual(seen, ["Bearer msgbus_secret", undefined]);
});

Deno.test("connect keeps a token off the network where it could be read, unless it is told otherwise", () => {
  const token = "msgbus_secret";
  for (const target of ["10.0.0.1:1", "http://device:1", "[fe80::1]:1", "localhost.example:1"]) {
    assert.throws(() => connect(target, { token }), /Cannot send a token to .*without TLS/, target);
    connect(target, { token, plaintextToken: true });
  }
  connect("device:1", { token, tls: true });
  for (
    const target of ["127.0.0.1:1", "127.9.9.9:1", "[::1]:1", "localhost:1", "unix:/s", "https://device:1"]
  ) {
    connect(target, { token });
  }
  for (const bad of ["", "a b", "a\n"]) {
    assert.throws(() => connect("127.0.0.1:1", { token: bad }), TypeError);
  }
});

Deno.test("connect compresses payloads where it is asked to, from 8 KiB on or the size it is told", async () => {
  const lengths: number[] = [];
  await using daemon = new ScriptedDaemon().on("health", {
    kind: "unary",
    handle: () => toBinary(HealthResponseSchema, create(HealthResponseSchema)),
  }).on("publish", {
    kind: "unary",
    handle(bytes) {
      lengths.push(bytes.length);
      throw new StatusError(Status.ABORTED, "seen");
    },
  }).start();
  const payload = "x".repeat(100_000);
  for (const compression of ["gzip", "zstd", "snappy", "lz4", { encoding: "gzip", minBytes: 1 }] as const) {
    await assert.rejects(daemon.client({ compression }).publish("t", payload), /seen/);
  }
  assert(lengths.every((length) => length > payload.length), "the handler gets it as it was");
  assert.throws(() => daemon.client({ compression: "br" as "gzip" }), /Cannot compress with "br"/);
});

const PAYLOADS:
  readonly (readonly [what: string, payload: Payload, sent: string, type: string | undefined])[] = [
    ["text", "text", "text", undefined],
    ["bytes", Uint8Array.of(104, 105), "hi", undefined],
    ["an object", { a: [1, null] }, '{"a":[1,null]}', "application/json"],
    ["a list", [1, 2], "[1,2]", "application/json"],
    ["a number", 12.5, "12.5", "application/json"],
    ["false", false, "false", "application/json"],
    ["null", null, "null", "application/json"],
  ];

for (const [what, payload, sent, type] of PAYLOADS) {
  Deno.test(`publish sends ${what} as ${sent} with ${type ?? "no"} content-type`, async () => {
    await using daemon = echo().start();
    const message = await daemon.client().publish("orders", payload);
    assert.deepEqual([message.text(), message.headers["content-type"]], [sent, type]);
    if (type !== undefined) assert.deepEqual(message.json(), payload);
  });
}

Deno.test("publish leaves a content-type that the caller chose, however it is written", async () => {
  await using daemon = echo().start();
  const { headers } = await daemon.client().publish("orders", {}, {
    headers: { "Content-Type": "application/x" },
  });
  assert.deepEqual({ ...headers }, { "Content-Type": "application/x" });
});

Deno.test("publish refuses what is neither text, bytes nor JSON with TypeError, before it connects", async () => {
  await using daemon = echo().start();
  const client = daemon.client();
  for (const payload of [() => 1, new ArrayBuffer(1), new Uint16Array(1)]) {
    await assert.rejects(client.publish("orders", payload), TypeError);
  }
  assert.equal(daemon.connects, 0);
});

Deno.test("publish gives the daemon's refusal as MsgbusError with its code, text and cause", async () => {
  await using daemon = new ScriptedDaemon().on("publish", {
    kind: "unary",
    handle() {
      throw new StatusError(Status.PERMISSION_DENIED, "topics are reserved");
    },
  }).start();
  const error = await daemon.client().publish("$msgbus.x", "").catch((error) => error);
  assert.ok(error instanceof MsgbusError);
  assert.deepEqual([error.code, error.message], ["PERMISSION_DENIED", "topics are reserved"]);
  assert.ok(error.cause instanceof StatusError);
});

Deno.test("publish is sent once: a connection that breaks meanwhile is UNAVAILABLE", async () => {
  let calls = 0;
  await using daemon = new ScriptedDaemon().on("publish", {
    kind: "unary",
    async handle(_request, call) {
      calls++;
      void daemon.stop();
      await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
      return new Uint8Array(0);
    },
  }).start();
  const client = daemon.client({ waitForReady: true, timeoutMs: 1_000 });
  await assert.rejects(client.publish("orders", "once"), { name: "MsgbusError" });
  assert.equal(calls, 1);
});

Deno.test("a call without a daemon is UNAVAILABLE at once and names the target", async () => {
  await using daemon = echo();
  await assert.rejects(daemon.client().publish("orders", ""), {
    code: "UNAVAILABLE",
    message: /^memory:1: cannot connect: nobody is there/,
  });
  assert.equal(daemon.connects, 1);
});

Deno.test("a call with waitForReady waits for the daemon", async () => {
  await using daemon = echo();
  const publishing = daemon.client({ waitForReady: true }).publish("orders", "");
  while (daemon.connects < 3) await new Promise((resolve) => setTimeout(resolve, 1));
  daemon.start();
  assert.equal((await publishing).headId, 7);
});

Deno.test("a call with waitForReady gives up when its time is over, or when it is aborted", async () => {
  await using daemon = echo();
  const client = daemon.client({ waitForReady: true });
  await assert.rejects(client.health({ timeoutMs: 20 }), MsgbusError);
  const abort = new AbortController();
  const call = client.health({ signal: abort.signal });
  abort.abort();
  await assert.rejects(call, { code: "CANCELLED" });
});

Deno.test("a call ends with DEADLINE_EXCEEDED after its timeoutMs and with CANCELLED after its abort", async () => {
  await using daemon = new ScriptedDaemon().on("health", {
    kind: "unary",
    async handle(_request, call) {
      await new Promise((resolve) => call.signal.addEventListener("abort", resolve));
      return new Uint8Array(0);
    },
  }).start();
  const client = daemon.client({ timeoutMs: 60_000 });
  await assert.rejects(client.health({ timeoutMs: 5 }), { code: "DEADLINE_EXCEEDED" });
  const abort = new AbortController();
  const call = client.health({ signal: abort.signal });
  queueMicrotask(() => abort.abort());
  await assert.rejects(call, { code: "CANCELLED" });
});

Deno.test("an answer that is no message of its kind is INTERNAL", async () => {
  await using daemon = new ScriptedDaemon().on("health", { kind: "unary", handle: () => Uint8Array.of(255) })
    .start();
  await assert.rejects(daemon.client().health(), { code: "INTERNAL" });
});

Deno.test("fetch asks in pages until its limit, and ends with the first page that is short", async () => {
  const asked: unknown[] = [];
  await using daemon = new ScriptedDaemon().onFetch(async ({ from, pageSize }, call) => {
    asked.push([from, pageSize]);
    await sendHeads(call, from, Math.min(from + pageSize - 1, 12_000));
  }).start();
  const client = daemon.client();
  const count = async (limit?: number) => {
    let heads = 0;
    for await (const { headId } of client.fetch("orders", limit === undefined ? {} : { limit })) {
      assert.equal(headId, ++heads);
    }
    return heads;
  };
  assert.deepEqual([await count(3), await count(0), await count(11_000), await count()], [
    3,
    0,
    11_000,
    12_000,
  ]);
  assert.deepEqual(asked, [[1, 3], [1, 10_000], [10_001, 1_000], [1, 10_000], [10_001, 10_000]]);
});

Deno.test("fetch gives what came before an error, then the error", async () => {
  await using daemon = new ScriptedDaemon().onFetch(async (_request, call) => {
    await sendHeads(call, 4, 5);
    throw new StatusError(Status.INTERNAL, "the store is broken");
  }).start();
  const stream = daemon.client().fetch("orders", { from: 4 });
  assert.deepEqual([(await stream.next()).value?.headId, (await stream.next()).value?.headId], [4, 5]);
  await assert.rejects(stream.next(), { code: "INTERNAL", message: "the store is broken" });
  assert.equal(await stream.nextBatch(), null);
});

Deno.test("fetch that is left, aborted or outlived by its client is cancelled at the daemon", async () => {
  let over = 0;
  await using daemon = new ScriptedDaemon().onFetch(async (_request, call) => {
    await sendHeads(call, 1, 1);
    await silence(call);
    over++;
  }).start();
  const client = daemon.client();
  for await (const _ of client.fetch("orders")) break;
  const abort = new AbortController();
  for await (const _ of client.fetch("orders", { signal: abort.signal })) abort.abort();
  const stream = client.fetch("orders");
  await stream.next();
  const next = stream.next();
  await client.close();
  assert.equal((await next).done, true);
  while (over < 3) await new Promise((resolve) => setTimeout(resolve, 1));
});

Deno.test("bad ranges, pages, timeouts and backoffs are RangeError", async () => {
  await using daemon = new ScriptedDaemon();
  const client = daemon.client();
  assert.throws(() => client.fetch("orders", { from: 0 }), RangeError);
  assert.throws(() => client.fetch("orders", { limit: 1.5 }), RangeError);
  assert.throws(() => client.subscribe("orders", { from: -1 }), RangeError);
  assert.throws(() => client.subscribe("orders", { pageSize: 10_001 }), RangeError);
  await assert.rejects(client.deleteRange("orders", { from: 1, to: NaN }), RangeError);
  await assert.rejects(client.health({ timeoutMs: 0 }), RangeError);
  assert.throws(() => daemon.client({ backoff: { initialMs: 0 } }), RangeError);
  assert.throws(() => daemon.client({ backoff: { jitter: 2 } }), RangeError);
});

Deno.test("head, heads and deleteRange translate heads from and to the wire", async () => {
  let found = true;
  const ranges: unknown[] = [];
  await using daemon = new ScriptedDaemon()
    .on("getHead", {
      kind: "unary",
      handle: () => toBinary(GetHeadResponseSchema, create(GetHeadResponseSchema, { headId: 9n, found })),
    })
    .on("listHeads", {
      kind: "unary",
      handle: () =>
        toBinary(
          ListHeadsResponseSchema,
          create(ListHeadsResponseSchema, {
            heads: [{ topic: "a", origin: node, headId: 9n, incarnation: "i" }, { topic: "b" }],
          }),
        ),
    })
    .on("deleteRange", {
      kind: "unary",
      handle(bytes) {
        const { topic, fromHeadId, toHeadId, origin } = fromBinary(DeleteRangeRequestSchema, bytes);
        ranges.push([topic, fromHeadId, toHeadId, origin?.deviceId]);
        return toBinary(DeleteRangeResponseSchema, create(DeleteRangeResponseSchema, { deletedCount: 3n }));
      },
    })
    .start();
  const client = daemon.client();
  assert.equal(await client.head("a"), 9);
  found = false;
  assert.equal(await client.head("a"), undefined);
  assert.deepEqual(await client.heads(), [
    { topic: "a", origin: node, headId: 9, incarnation: "i" },
    { topic: "b", origin: { tenantId: "", blName: "", deviceId: "" }, headId: 0, incarnation: "" },
  ]);
  assert.equal(await client.deleteRange("a", { from: 2, to: 4, origin: node }), 3);
  assert.deepEqual(ranges, [["a", 2n, 4n, "d"]]);
});

Deno.test("health, ready, syncStates and peers give plain values", async () => {
  await using daemon = new ScriptedDaemon()
    .on("health", {
      kind: "unary",
      handle: () =>
        toBinary(
          HealthResponseSchema,
          create(HealthResponseSchema, { status: "SERVING", node, incarnation: "i" }),
        ),
    })
    .on("ready", {
      kind: "unary",
      handle: () =>
        toBinary(
          ReadyResponseSchema,
          create(ReadyResponseSchema, { status: "NOT_READY", error: "full", node }),
        ),
    })
    .on("listPeerSyncStates", {
      kind: "unary",
      handle: () =>
        toBinary(
          ListPeerSyncStatesResponseSchema,
          create(ListPeerSyncStatesResponseSchema, {
            states: [
              {
                peer: "p:1",
                topic: "a",
                origin: node,
                localHead: 1n,
                remoteHead: 2n,
                consecutiveFailures: 4,
                localIncarnation: "i",
                remoteIncarnation: "j",
                fork: Fork.OPEN,
              },
              { fork: Fork.REFUSED },
              {},
            ],
            peers: [
              {
                peer: "p:1",
                node,
                incarnation: "j",
                mode: PeerMode.STREAM,
                logsBehind: 1n,
                messagesBehind: 3n,
              },
              { peer: "p:2", consecutiveFailures: 2, lastError: "refused", lastAttemptAtMs: 5n },
              { mode: PeerMode.POLL },
            ],
          }),
        ),
    })
    .start();
  const client = daemon.client();
  assert.deepEqual(await client.health(), { status: "SERVING", node, incarnation: "i" });
  assert.deepEqual(await client.ready(), {
    ready: false,
    status: "NOT_READY",
    error: "full",
    node,
    durability: "",
  });
  const [forked, refused, same] = await client.syncStates();
  assert.deepEqual([refused?.fork, same?.fork], ["refused", "none"]);
  assert.deepEqual(forked, {
    peer: "p:1",
    topic: "a",
    origin: node,
    localHead: 1,
    remoteHead: 2,
    lastSyncedHead: 0,
    lastAttemptAtMs: 0,
    lastSuccessAtMs: 0,
    consecutiveFailures: 4,
    lastError: "",
    localIncarnation: "i",
    remoteIncarnation: "j",
    fork: "open",
  });
  const [streamed, unreachable, polled] = await client.peers();
  assert.deepEqual(streamed, {
    peer: "p:1",
    node,
    incarnation: "j",
    mode: "stream",
    logsBehind: 1,
    messagesBehind: 3,
    lastAttemptAtMs: 0,
    lastSuccessAtMs: 0,
    consecutiveFailures: 0,
    lastError: "",
  });
  assert.deepEqual([
    unreachable?.mode,
    unreachable?.node,
    unreachable?.lastError,
    unreachable?.lastAttemptAtMs,
  ], [
    "none",
    undefined,
    "refused",
    5,
  ]);
  assert.equal(polled?.mode, "poll");
});

Deno.test("resolveFork says what is decided, and which logs were set aside", async () => {
  const asked: unknown[] = [];
  await using daemon = new ScriptedDaemon()
    .on("resolveFork", {
      kind: "unary",
      handle(bytes) {
        const { peer, origin, topic, decision } = fromBinary(ResolveForkRequestSchema, bytes);
        asked.push([peer, origin?.deviceId, topic, decision]);
        const forks = [{ topic: "a", origin: node, archive: "i" }, { topic: "b", origin: node }];
        return toBinary(ResolveForkResponseSchema, create(ResolveForkResponseSchema, { forks }));
      },
    })
    .start();
  const client = daemon.client();
  assert.deepEqual(await client.resolveFork({ peer: "p:1", origin: node, decision: "adopt" }), [
    { topic: "a", origin: node, archive: "i" },
    { topic: "b", origin: node, archive: undefined },
  ]);
  await client.resolveFork({ peer: "p:1", origin: node, topic: "a", decision: "refuse" });
  assert.deepEqual(asked, [["p:1", "d", "", ForkDecision.ADOPT], ["p:1", "d", "a", ForkDecision.REFUSE]]);
});

Deno.test("archivedLogs lists what was set aside, and fetch reads it by its name on every page", async () => {
  const asked: unknown[] = [];
  await using daemon = new ScriptedDaemon()
    .on("listArchivedLogs", {
      kind: "unary",
      handle: () =>
        toBinary(
          ListArchivedLogsResponseSchema,
          create(ListArchivedLogsResponseSchema, {
            logs: [{ topic: "a", origin: node, archive: "i", headId: 9n }],
          }),
        ),
    })
    .on("fetch", {
      kind: "server_streaming",
      async handle(bytes, call) {
        const { fromHeadId, limit, archive } = fromBinary(FetchRequestSchema, bytes);
        asked.push([fromHeadId, archive]);
        const from = Number(fromHeadId);
        await sendHeads(call, from, Math.min(from + limit - 1, 10_001));
      },
    })
    .start();
  const client = daemon.client();
  assert.deepEqual(await client.archivedLogs(), [{ topic: "a", origin: node, archive: "i", headId: 9 }]);
  for await (const _ of client.fetch("a", { origin: node, archive: "i" }));
  for await (const _ of client.fetch("a", { limit: 1 }));
  assert.deepEqual(asked, [[1n, "i"], [10_001n, "i"], [1n, ""]]);
});

Deno.test("FifoQueue enqueues for the local node by default, peeks undefined when empty, and acks by message or id", async () => {
  const asked: unknown[] = [];
  await using daemon = new ScriptedDaemon()
    .on("enqueueFifo", {
      kind: "unary",
      handle(bytes) {
        const { queue, topic, target, source, payload, headers } = fromBinary(
          EnqueueFifoRequestSchema,
          bytes,
        );
        asked.push([topic, target?.deviceId, source]);
        const message = {
          id: "m1",
          queue,
          topic,
          payload,
          headers,
          source: node,
          target: node,
          sequence: 5n,
        };
        return toBinary(EnqueueFifoResponseSchema, create(EnqueueFifoResponseSchema, { message }));
      },
    })
    .on("peekFifo", {
      kind: "unary",
      handle() {
        throw new StatusError(Status.NOT_FOUND, "empty");
      },
    })
    .on("ackFifo", {
      kind: "unary",
      handle(bytes) {
        const accepted = fromBinary(AckFifoRequestSchema, bytes).messageId === "m1";
        return toBinary(AckFifoResponseSchema, create(AckFifoResponseSchema, { accepted }));
      },
    })
    .start();
  const queue = daemon.client().fifo("jobs");
  const message = await queue.enqueue({ n: 1 });
  assert.deepEqual([message.id, message.queue, message.topic, message.sequence], ["m1", "jobs", "jobs", 5]);
  assert.deepEqual([message.json(), message.source, message.headers["content-type"]], [
    { n: 1 },
    node,
    "application/json",
  ]);
  await queue.enqueue("x", { topic: "other", target: node });
  assert.deepEqual(asked, [["jobs", "", undefined], ["other", "d", undefined]]);
  assert.equal(await queue.peek(), undefined);
  assert.deepEqual([await queue.ack(message), await queue.ack("m2")], [true, false]);
  await assert.rejects(queue.reject("m1"), { code: "UNIMPLEMENTED" });
});
