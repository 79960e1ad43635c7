/** `consume` against a daemon whose answers each test writes. */
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Status, StatusError, type StreamingServerCall } from "@msgbus/grpc";
import {
  ConsumePosition,
  type ConsumeRequest,
  ConsumeRequestSchema,
  ConsumeResponseSchema,
} from "@msgbus/proto/stream";
import assert from "node:assert/strict";
import { MsgbusError } from "./error.ts";
import { ScriptedDaemon, silence } from "./testing/scripted_daemon.ts";

const ORIGIN = { tenantId: "t", blName: "b", deviceId: "d" };

/** What a test's daemon does with one call. */
type Script = (call: StreamingServerCall, next: () => Promise<ConsumeRequest | undefined>) => Promise<void>;

/** A daemon that answers one call after the other by its script, and keeps how each began. */
function consuming(starts: ConsumeRequest[], ...scripts: readonly Script[]): ScriptedDaemon {
  let calls = 0;
  return new ScriptedDaemon().on("consume", {
    kind: "bidi_streaming",
    async handle(requests, call) {
      const iterator = requests[Symbol.asyncIterator]();
      const next = async () => {
        const { value } = await iterator.next();
        return value && fromBinary(ConsumeRequestSchema, value);
      };
      starts.push(await next() ?? assert.fail("no request came"));
      await scripts[Math.min(calls++, scripts.length - 1)]?.(call, next);
    },
  }).start();
}

function answer(init: MessageInitShape<typeof ConsumeResponseSchema>): Uint8Array {
  return toBinary(ConsumeResponseSchema, create(ConsumeResponseSchema, init));
}

/** An answer with the messages of some heads of one log. */
function heads(from: number, to: number, caughtUp = false): Uint8Array {
  const messages = Array.from({ length: to - from + 1 }, (_, at) => ({
    ...at === 0 && { uuid: new Uint8Array(16) },
    payload: new TextEncoder().encode(`message ${from + at}`),
  }));
  return answer({
    logs: [{ log: 1n, topic: "orders", origin: ORIGIN }],
    batches: [{ log: 1n, firstHeadId: BigInt(from), messages }],
    cursor: `after ${to}`,
    caughtUp,
  });
}

async function take(stream: AsyncIterable<{ readonly headId: number }>, count: number): Promise<number[]> {
  const got: number[] = [];
  for await (const { headId } of stream) {
    got.push(headId);
    if (got.length === count) break;
  }
  return got;
}

Deno.test("consume asks for what the options say, in the wire's words", async () => {
  const starts: ConsumeRequest[] = [];
  await using daemon = consuming(starts, async (call) => {
    await call.write(heads(1, 1));
    await silence(call);
  });
  const client = daemon.client();
  await take(client.consume("a.>"), 1);
  await take(client.consume(["a", "b/#"], { from: { head: 7 }, origins: [ORIGIN], skipDeleted: true }), 1);
  await take(client.consume("a", { from: { time: new Date(1_700_000_000_000) } }), 1);
  await take(client.consume("a", { from: { cursor: "c" } }), 1);
  await take(client.consume("a", { from: "newest" }), 1);
  const asked = starts.map(({ start }) => [start?.patterns, start?.from.case, start?.from.value]);
  assert.deepEqual(asked, [
    [["a.>"], undefined, undefined],
    [["a", "b/#"], "headId", 7n],
    [["a"], "timeMs", 1_700_000_000_000n],
    [["a"], "cursor", "c"],
    [["a"], "position", ConsumePosition.NEWEST],
  ]);
  assert.deepEqual([starts[1]?.start?.skipDeleted, starts[1]?.start?.origins[0]?.deviceId], [true, "d"]);
  assert.ok(starts.every(({ credit }) => (credit?.messages ?? 0n) > 0n && (credit?.bytes ?? 0n) > 0n));
});

Deno.test("consume gives messages with all that belongs to them", async () => {
  await using daemon = consuming([], async (call) => {
    await call.write(heads(1, 2));
    await silence(call);
  });
  const stream = daemon.client().consume("orders");
  const [first, second] = await stream.nextBatch() ?? [];
  assert.deepEqual([first?.topic, first?.origin, first?.headId, first?.text()], [
    "orders",
    ORIGIN,
    1,
    "message 1",
  ]);
  assert.equal(second?.id, "00000000-0000-0000-0000-000000000001");
  stream.close();
});

Deno.test("consume goes on after a loss behind the last answer, and gives each message once", async () => {
  const starts: ConsumeRequest[] = [];
  const failures: string[] = [];
  await using daemon = consuming(
    starts,
    async (call) => {
      await call.write(heads(1, 3));
      throw new StatusError(Status.UNAVAILABLE, "gone");
    },
    () => Promise.reject(new StatusError(Status.UNAVAILABLE, "not yet")),
    async (call) => {
      await call.write(heads(4, 5));
      await silence(call);
    },
  );
  const stream = daemon.client().consume("orders", {
    onReconnect: ({ error }) => failures.push(error.message),
  });
  assert.deepEqual(await take(stream, 5), [1, 2, 3, 4, 5]);
  assert.deepEqual(starts.map(({ start }) => start?.from.value), [undefined, "after 3", "after 3"]);
  assert.equal(failures.length, 2);
});

Deno.test("consume from newest keeps its place when the connection is lost before the first message", async () => {
  const starts: ConsumeRequest[] = [];
  await using daemon = consuming(
    starts,
    async (call) => {
      await call.write(answer({ cursor: "after 6", caughtUp: true }));
      throw new StatusError(Status.UNAVAILABLE, "gone");
    },
    async (call) => {
      await call.write(heads(7, 7));
      await silence(call);
    },
  );
  assert.deepEqual(await take(daemon.client().consume("orders", { from: "newest" }), 1), [7]);
  assert.equal(starts[1]?.start?.from.value, "after 6");
});

Deno.test("consume goes on from the place that an answer without messages told", async () => {
  const starts: ConsumeRequest[] = [];
  await using daemon = consuming(
    starts,
    async (call) => {
      await call.write(heads(1, 1));
      await call.write(answer({ cursor: "after 50" }));
      throw new StatusError(Status.UNAVAILABLE, "gone");
    },
    async (call) => {
      await call.write(answer({ cursor: "after 60", caughtUp: true }));
      await call.write(heads(61, 61));
      await silence(call);
    },
  );
  assert.deepEqual(await take(daemon.client().consume("orders"), 2), [1, 61]);
  assert.equal(starts[1]?.start?.from.value, "after 50");
});

Deno.test("consume from newest asks before the caller does anything else", async () => {
  const starts: ConsumeRequest[] = [];
  await using daemon = consuming(starts, silence);
  const stream = daemon.client().consume("orders", { from: "newest" });
  while (starts.length === 0) await new Promise((resolve) => setTimeout(resolve, 0));
  stream.close();
});

Deno.test("consume that does not follow ends with what is stored", async () => {
  await using daemon = consuming(
    [],
    async (call) => {
      await call.write(heads(1, 2));
      await call.write(heads(3, 3, true));
      await silence(call);
    },
    async (call) => {
      await call.write(answer({ cursor: "c", caughtUp: true }));
      await silence(call);
    },
  );
  const client = daemon.client();
  assert.deepEqual(await take(client.consume("orders", { follow: false }), Infinity), [1, 2, 3]);
  assert.deepEqual(await take(client.consume("empty", { follow: false }), Infinity), []);
});

Deno.test("ConsumeStream.cursor is behind the last batch that was taken whole, caughtUp when nothing is left", async () => {
  await using daemon = consuming([], async (call) => {
    await call.write(heads(1, 2));
    await call.write(heads(3, 4, true));
    await silence(call);
  });
  const stream = daemon.client().consume("orders");
  const states: unknown[] = [[stream.cursor, stream.caughtUp]];
  for (let i = 0; i < 4; i++) {
    await stream.next();
    states.push([stream.cursor, stream.caughtUp]);
  }
  assert.deepEqual(states, [
    ["", false],
    ["", false],
    ["after 2", false],
    ["after 2", false],
    ["after 4", true],
  ]);
  stream.close();
});

Deno.test("consume holds the daemon back by its credit until messages are taken", async () => {
  let more = 0n;
  await using daemon = consuming([], async (call, next) => {
    await call.write(heads(1, 10_000));
    more = (await next())?.credit?.messages ?? 0n;
    await call.write(heads(10_001, 10_001));
    await silence(call);
  });
  const stream = daemon.client().consume("orders");
  assert.equal((await stream.nextBatch())?.length, 10_000);
  assert.equal(more, 0n, "nobody has asked for what follows");
  assert.equal((await stream.nextBatch())?.length, 1);
  assert.equal(more, 10_000n);
  stream.close();
});

Deno.test("consume ends with what the daemon refuses, and says UNIMPLEMENTED of one that is too old", async () => {
  await using daemon = consuming(
    [],
    () => Promise.reject(new StatusError(Status.FAILED_PRECONDITION, "another data directory")),
  );
  const stream = daemon.client().consume("orders", { from: { cursor: "x" } });
  await assert.rejects(
    stream.nextBatch(),
    (error) => error instanceof MsgbusError && error.code === "FAILED_PRECONDITION",
  );
  assert.equal(await stream.nextBatch(), null);
  await using old = new ScriptedDaemon().start();
  await assert.rejects(
    old.client().consume("orders").nextBatch(),
    (error) => error instanceof MsgbusError && error.code === "UNIMPLEMENTED",
  );
});

Deno.test("consume ends without an error by close, by its signal, and with its client", async () => {
  await using daemon = consuming([], silence);
  const client = daemon.client();
  const aborting = new AbortController();
  const streams = [
    client.consume("a"),
    client.consume("b", { signal: aborting.signal }),
    client.consume("c"),
  ];
  const batches = Promise.all(streams.map((stream) => stream.nextBatch()));
  await new Promise((resolve) => setTimeout(resolve, 5));
  streams[0]?.close();
  aborting.abort();
  await client.close();
  assert.deepEqual(await batches, [null, null, null]);
});

Deno.test("consume refuses options that can only be a mistake", async () => {
  await using daemon = new ScriptedDaemon().start();
  const client = daemon.client();
  assert.throws(() => client.consume([]), RangeError);
  assert.throws(() => client.consume(Array.from({ length: 101 }, () => "a")), RangeError);
  assert.throws(() => client.consume("a", { from: { head: 0 } }), RangeError);
  assert.throws(() => client.consume("a", { from: { time: new Date(NaN) } }), RangeError);
  assert.throws(() => client.consume("a", { from: { time: -1 } }), RangeError);
});
