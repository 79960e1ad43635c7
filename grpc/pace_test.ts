import assert from "node:assert/strict";
import { Channel, GrpcServer, listenMemory, Status, StatusError } from "@msgbus/grpc";
import { DEFAULT_HTTP2_LIMITS } from "./http2/limits.ts";
import { ManualClock, turn } from "./testing/manual_clock.ts";

const PATH = "/test.Test/Answer";
const NOTHING = new Uint8Array();

/** A call of a server that sends what the test says, by a clock that the test sets. */
async function withCall(
  test: (clock: ManualClock, send: (bytes: number) => Promise<void>, failure: () => unknown) => Promise<void>,
): Promise<void> {
  const server = new GrpcServer();
  let call: { write(message: Uint8Array): Promise<void> } | undefined;
  server.method(PATH, {
    kind: "server_streaming",
    handle: (_, started) => {
      call = started;
      return new Promise((resolve) => started.signal.addEventListener("abort", () => resolve()));
    },
  });
  const listener = listenMemory();
  const serving = server.serve(listener);
  const clock = new ManualClock();
  const channel = new Channel(listener.connect, { clock, limits: { keepAliveIntervalMs: 0 } });
  const pace = { graceMs: 1_000, bytesPerMs: 10 };
  let failure: unknown;
  const read = (async () => {
    for await (const _ of channel.serverStreaming(PATH, NOTHING, { pace }));
  })().catch((error) => failure = error);
  await turn();
  const send = async (bytes: number) => {
    await call?.write(new Uint8Array(bytes));
    await turn();
  };
  try {
    await test(clock, send, () => failure);
  } finally {
    await channel.close();
    await read;
    await server.shutdown(0);
    await serving;
  }
}

function isTooSlow(error: unknown): boolean {
  return error instanceof StatusError && error.code === Status.DEADLINE_EXCEEDED;
}

Deno.test("Channel: a call with a pace goes on for as long as what came lengthens it", async () => {
  await withCall(async (clock, send, failure) => {
    await clock.advance(900);
    await send(20_000);
    await clock.advance(1_900);
    await send(10_000);
    await clock.advance(1_100);
    assert.equal(failure(), undefined, "3,900 ms of 4,001");
    await clock.advance(200);
    assert.ok(isTooSlow(failure()));
  });
});

Deno.test("Channel: a call with a pace ends where a byte a second comes", async () => {
  await withCall(async (clock, send, failure) => {
    for (let second = 0; second < 3 && failure() === undefined; second++) {
      await send(1);
      await clock.advance(990);
    }
    assert.ok(isTooSlow(failure()));
    assert.ok(clock.nowMs() < 2_000);
  });
});

Deno.test("Channel: a call with a pace ends where the server lets it not begin", async () => {
  const server = new GrpcServer({
    limits: { http2: { ...DEFAULT_HTTP2_LIMITS, maxConcurrentStreams: 1 } },
  });
  server.method(PATH, {
    kind: "unary",
    handle: (request, { signal }) =>
      request.length === 0
        ? NOTHING
        : new Promise((resolve) => signal.addEventListener("abort", () => resolve(NOTHING))),
  });
  const listener = listenMemory();
  const serving = server.serve(listener);
  const clock = new ManualClock();
  const channel = new Channel(listener.connect, { clock, limits: { keepAliveIntervalMs: 0 } });
  await channel.unary(PATH, NOTHING); // the limit is known
  const first = channel.unary(PATH, Uint8Array.of(1)).catch(() => {});
  await turn();
  let failure: unknown;
  channel.unary(PATH, NOTHING, { pace: { graceMs: 1_000, bytesPerMs: 10 } }).catch((error) =>
    failure = error
  );
  await turn();
  await clock.advance(999);
  assert.equal(failure, undefined);
  await clock.advance(1);
  assert.ok(isTooSlow(failure));
  await channel.close();
  await first;
  await server.shutdown(0);
  await serving;
});

Deno.test("Channel: a call takes larger messages than its channel where it says so, also ones that are cut", async () => {
  const server = new GrpcServer();
  const answer = new Uint8Array(3_000_000).fill(7);
  server.method(PATH, { kind: "unary", handle: () => answer });
  const listener = listenMemory();
  const serving = server.serve(listener);
  await using channel = new Channel(listener.connect, {
    limits: { maxReceiveMessageBytes: 1_000, maxGatheringBytesPerConnection: 1_000 },
  });
  const exhausted = (error: unknown) =>
    error instanceof StatusError && error.code === Status.RESOURCE_EXHAUSTED;
  await assert.rejects(channel.unary(PATH, NOTHING), exhausted);
  await assert.rejects(channel.unary(PATH, NOTHING, { maxReceiveMessageBytes: 2_999_999 }), exhausted);
  const received = await channel.unary(PATH, NOTHING, { maxReceiveMessageBytes: 3_000_000 });
  assert.deepEqual(received, answer);
  await channel.close();
  await server.shutdown(0);
  await serving;
});
