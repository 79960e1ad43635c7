/** Subscriptions against a daemon whose answers each test writes. */
import { Status, StatusError } from "@msgbus/grpc";
import assert from "node:assert/strict";
import type { MessageStream } from "./message_stream.ts";
import { responseOf, ScriptedDaemon, sendHeads, silence } from "./testing/scripted_daemon.ts";

async function take(stream: MessageStream, count: number): Promise<number[]> {
  const heads: number[] = [];
  while (heads.length < count) {
    const { value } = await stream.next();
    if (value === undefined) break;
    heads.push(value.headId);
  }
  return heads;
}

/** Waits for something that happens by itself within the process. */
async function until(condition: () => boolean): Promise<void> {
  while (!condition()) await new Promise((resolve) => setTimeout(resolve, 1));
}

Deno.test("subscribe gives stored and live messages in order and asks from head 1 with the default page", async () => {
  const asked: unknown[] = [];
  await using daemon = new ScriptedDaemon().onSubscribe(async (request, call) => {
    asked.push(request);
    await sendHeads(call, request.from, 5);
    await silence(call);
  }).start();
  assert.deepEqual(await take(daemon.client().subscribe("orders"), 5), [1, 2, 3, 4, 5]);
  assert.deepEqual(asked, [{ from: 1, pageSize: 1_000 }]);
});

for (
  const [how, end] of Object.entries({
    "a status that is temporary": () => Promise.reject(new StatusError(Status.UNAVAILABLE, "restarting")),
    "an end without error": () => Promise.resolve(),
  })
) {
  Deno.test(`subscribe resumes after the last message it gave out, after ${how}`, async () => {
    const asked: number[] = [];
    await using daemon = new ScriptedDaemon().onSubscribe(
      async ({ from }, call) => {
        asked.push(from);
        await sendHeads(call, from, 3);
        await end();
      },
      async ({ from }, call) => {
        asked.push(from);
        await sendHeads(call, from, 6);
        await silence(call);
      },
    ).start();
    assert.deepEqual(await take(daemon.client().subscribe("orders"), 6), [1, 2, 3, 4, 5, 6]);
    assert.deepEqual(asked, [1, 4]);
  });
}

Deno.test("subscribe survives a daemon that goes away and comes back, and tells of it", async () => {
  await using daemon = new ScriptedDaemon().onSubscribe(async ({ from }, call) => {
    await sendHeads(call, from, from + 1);
    await silence(call);
  }).start();
  const told: string[] = [];
  const stream = daemon.client().subscribe("orders", { onReconnect: ({ error }) => told.push(error.code) });
  assert.deepEqual(await take(stream, 2), [1, 2]);
  const next = take(stream, 2);
  await daemon.stop();
  await until(() => told.length >= 3);
  daemon.start();
  assert.deepEqual(await next, [3, 4]);
  assert.deepEqual([...new Set(told)], ["UNAVAILABLE"]);
});

Deno.test("subscribe waits longer from failure to failure, up to the longest, and starts anew after a message", async () => {
  await using daemon = new ScriptedDaemon().onSubscribe(async ({ from }, call) => {
    await sendHeads(call, from, from);
    await silence(call);
  });
  const delays: number[] = [];
  const backoff = { initialMs: 1, factor: 2, maxMs: 4, jitter: 0.5 };
  const stream = daemon.client({ backoff, random: () => 1 }).subscribe("orders", {
    onReconnect: ({ delayMs, attempt }) => {
      delays.push(delayMs);
      if (attempt === 4) daemon.start();
    },
  });
  assert.deepEqual(await take(stream, 1), [1]);
  const next = take(stream, 1);
  await daemon.stop();
  await until(() => delays.length >= 5);
  daemon.start();
  assert.deepEqual(await next, [2]);
  assert.deepEqual(delays.slice(0, 5), [0.5, 1, 2, 2, 0.5]);
});

for (
  const code of [
    "INVALID_ARGUMENT",
    "PERMISSION_DENIED",
    "UNIMPLEMENTED",
    "UNAUTHENTICATED",
    "NOT_FOUND",
  ] as const
) {
  Deno.test(`subscribe ends with ${code}`, async () => {
    let calls = 0;
    await using daemon = new ScriptedDaemon().onSubscribe(() => {
      calls++;
      throw new StatusError(Status[code], "no");
    }).start();
    const stream = daemon.client().subscribe("orders");
    await assert.rejects(stream.next(), { name: "MsgbusError", code, message: "no" });
    assert.deepEqual(await stream.next(), { done: true, value: undefined });
    assert.equal(calls, 1);
  });
}

Deno.test("subscribe with its signal aborted ends without an error, also while it waits for a message", async () => {
  let over = false;
  await using daemon = new ScriptedDaemon().onSubscribe(async (_request, call) => {
    await sendHeads(call, 1, 1);
    await silence(call);
    over = true;
  }).start();
  const abort = new AbortController();
  const stream = daemon.client().subscribe("orders", {
    signal: abort.signal,
    onReconnect: () => assert.fail("an abort is no loss"),
  });
  assert.deepEqual(await take(stream, 1), [1]);
  const next = stream.next();
  abort.abort();
  assert.deepEqual(await next, { done: true, value: undefined });
  await until(() => over);
});

Deno.test("subscribe with a signal that is aborted already gives nothing and does not connect", async () => {
  await using daemon = new ScriptedDaemon().onSubscribe((_request, call) => sendHeads(call, 1, 1)).start();
  const stream = daemon.client().subscribe("orders", { signal: AbortSignal.abort() });
  assert.equal(await stream.nextBatch(), null);
  assert.equal(daemon.connects, 0);
});

Deno.test("subscribe closed while it waits to connect anew ends at once", async () => {
  await using daemon = new ScriptedDaemon();
  const backoff = { initialMs: 1_000_000, maxMs: 1_000_000 };
  const stream = daemon.client({ backoff }).subscribe("orders", {
    onReconnect: () => queueMicrotask(() => stream.close()),
  });
  assert.deepEqual(await stream.next(), { done: true, value: undefined });
});

Deno.test("leaving a loop over subscribe cancels the call at the daemon", async () => {
  let over = false;
  await using daemon = new ScriptedDaemon().onSubscribe(async (_request, call) => {
    await sendHeads(call, 1, 3);
    await silence(call);
    over = true;
  }).start();
  for await (const { headId } of daemon.client().subscribe("orders")) if (headId === 2) break;
  await until(() => over);
});

Deno.test("Client.close ends its subscriptions without an error", async () => {
  await using daemon = new ScriptedDaemon().onSubscribe((_request, call) => silence(call)).start();
  const client = daemon.client();
  const next = client.subscribe("orders").next();
  await until(() => daemon.connects === 1);
  await client.close();
  assert.deepEqual(await next, { done: true, value: undefined });
});

Deno.test("subscribe whose reader stops holds the daemon back", async () => {
  let sent = 0;
  let blocked = false;
  const payload = "x".repeat(100_000);
  await using daemon = new ScriptedDaemon().onSubscribe(async (_request, call) => {
    for (let head = 1; head <= 1_000; head++) {
      if (!call.send(responseOf(head, payload))) {
        blocked = true;
        await call.ready();
      }
      sent++;
    }
    await silence(call);
  }).start();
  const stream = daemon.client().subscribe("orders");
  assert.deepEqual(await take(stream, 1), [1]);
  await until(() => blocked);
  // Everything within the process has settled when its timers have turned some times.
  for (let turn = 0; turn < 20; turn++) await new Promise((resolve) => setTimeout(resolve, 1));
  assert.ok(sent < 500, `${sent} of 1,000 messages were sent to a reader that took one`);
  assert.equal((await take(stream, 999)).at(-1), 1_000);
});

Deno.test("subscribe from now gives only what comes after the call, also where it is read later", async () => {
  let head = 7;
  await using daemon = new ScriptedDaemon().onHead(() => head).onSubscribe(async ({ from }, call) => {
    await sendHeads(call, from, head);
    await silence(call);
  }).start();
  const client = daemon.client();
  const stream = client.subscribe("orders", { from: "now" });
  assert.equal(await client.head("orders"), 7);
  head = 9;
  assert.deepEqual(await take(stream, 2), [8, 9]);
});

Deno.test("subscribe from now keeps its place when the stream is lost before the first message", async () => {
  let head = 7;
  await using daemon = new ScriptedDaemon().onHead(() => head).onSubscribe(
    () => {
      // Published while nobody is connected: it is after "now" all the same.
      head = 9;
      throw new StatusError(Status.UNAVAILABLE, "restarting");
    },
    async ({ from }, call) => {
      await sendHeads(call, from, head);
      await silence(call);
    },
  ).start();
  assert.deepEqual(await take(daemon.client().subscribe("orders", { from: "now" }), 2), [8, 9]);
});

Deno.test("subscribe asks again where a daemon skips messages, and drops what comes twice", async () => {
  const asked: number[] = [];
  await using daemon = new ScriptedDaemon().onSubscribe(
    async ({ from }, call) => {
      asked.push(from);
      for (const head of [1, 2, 2, 5, 6]) await call.write(responseOf(head));
      await silence(call);
    },
    async ({ from }, call) => {
      asked.push(from);
      await sendHeads(call, from, 6);
      await silence(call);
    },
  ).start();
  assert.deepEqual(await take(daemon.client().subscribe("orders"), 6), [1, 2, 3, 4, 5, 6]);
  assert.deepEqual(asked, [1, 3]);
});

Deno.test("subscribe ends with DATA_LOSS where the daemon has not got the head it was asked for", async () => {
  await using daemon = new ScriptedDaemon().onSubscribe((_request, call) => sendHeads(call, 4, 4)).start();
  await assert.rejects(daemon.client().subscribe("orders").next(), { code: "DATA_LOSS" });
});

Deno.test("subscribe ends with DATA_LOSS for an answer that is no message", async () => {
  await using daemon = new ScriptedDaemon().onSubscribe((_request, call) => call.write(Uint8Array.of(255)))
    .start();
  await assert.rejects(daemon.client().subscribe("orders").next(), { code: "DATA_LOSS" });
});

Deno.test("MessageStream gives concurrent readers different messages, and mixes next with nextBatch", async () => {
  await using daemon = new ScriptedDaemon().onSubscribe(async (_request, call) => {
    await sendHeads(call, 1, 6);
    await silence(call);
  }).start();
  const stream = daemon.client().subscribe("orders");
  const three = await Promise.all([stream.next(), stream.next(), stream.next()]);
  assert.deepEqual(three.map(({ value }) => value?.headId), [1, 2, 3]);
  const rest: number[] = [];
  while (rest.length < 3) rest.push(...(await stream.nextBatch() ?? []).map(({ headId }) => headId));
  assert.deepEqual(rest, [4, 5, 6]);
});

Deno.test("MessageStream.nextBatch never gives an empty batch, also where another call took what came", async () => {
  await using daemon = new ScriptedDaemon().onSubscribe(
    (_request, call) => sendHeads(call, 1, 1),
    async (_request, call) => {
      await sendHeads(call, 2, 2);
      await silence(call);
    },
  ).start();
  const stream = daemon.client().subscribe("orders");
  const [first, batch] = await Promise.all([stream.next(), stream.nextBatch()]);
  assert.deepEqual([first.value?.headId, batch?.map(({ headId }) => headId)], [1, [2]]);
});
