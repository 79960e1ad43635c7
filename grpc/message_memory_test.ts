import assert from "node:assert/strict";
import { Channel } from "./channel.ts";
import { MessageMemory } from "./message_memory.ts";
import { GrpcServer } from "./server.ts";
import { listenMemory } from "./transport/memory.ts";

Deno.test("MessageMemory uses what was given back for the next message that fits", () => {
  const memory = new MessageMemory();
  const first = memory.take(200_000);
  assert.equal(first.length, 200_000);
  memory.give(first);
  const larger = memory.take(300_000);
  assert.notEqual(larger.buffer, first.buffer);
  const next = memory.take(190_000);
  assert.deepEqual([next.buffer, next.byteOffset, next.length], [first.buffer, 0, 190_000]);
  assert.notEqual(memory.take(190_000).buffer, first.buffer, "it is in use");
});

Deno.test("MessageMemory ignores what is not its own, and what was given back before", () => {
  const memory = new MessageMemory();
  const foreign = new Uint8Array(131_072);
  memory.give(foreign);
  assert.notEqual(memory.take(131_072).buffer, foreign.buffer);
  const own = memory.take(100_000);
  memory.give(own);
  memory.give(own);
  assert.equal(memory.take(100_000).buffer, own.buffer);
  assert.notEqual(memory.take(100_000).buffer, own.buffer);
});

Deno.test("MessageMemory gives a message no more than twice its bytes: it is counted by those", () => {
  const memory = new MessageMemory();
  for (const message of [memory.take(1_048_576), memory.take(3_000)]) memory.give(message);
  for (const length of [1_024, 1_499, 1_500, 500_000, 600_000]) {
    const { buffer } = memory.take(length);
    assert.ok(buffer.byteLength <= 2 * length, `${buffer.byteLength} bytes for ${length}`);
  }
});

Deno.test("MessageMemory ignores what is given back again when its memory serves for another message", () => {
  const memory = new MessageMemory();
  const first = memory.take(100_000);
  memory.give(first);
  const second = memory.take(100_000);
  memory.give(first);
  assert.notEqual(memory.take(100_000).buffer, second.buffer);
});

Deno.test("MessageMemory holds eight messages of 1 KiB to 1 MiB, and leaves all others to the collector", () => {
  const memory = new MessageMemory();
  const kept = [2_000, 5_000, 40_000, 100_000, 200_000, 300_000, 500_000, 1_048_576];
  const given = [1_000, 1_048_577, 1_024, ...kept].map((length) => memory.take(length));
  for (const message of given) memory.give(message);
  const used = given.reverse().map(({ buffer, length }) => memory.take(length).buffer === buffer);
  assert.deepEqual(used, [...Array(8).fill(true), false, false, false], "the newest eight");
});

Deno.test("GrpcServer gathers a request in the memory of one that its handler released, and in no other's", async () => {
  const buffers: ArrayBufferLike[] = [];
  const sums: number[] = [];
  const server = new GrpcServer().method("/test.Test/Take", {
    kind: "bidi_streaming",
    async handle(requests, call) {
      const held: Uint8Array[] = [];
      for await (const request of requests) {
        buffers.push(request.buffer);
        if (buffers.length % 2 === 1) call.release(request);
        else held.push(request);
        call.send(new Uint8Array([request.at(-1) ?? 0]));
      }
      for (const request of held) sums.push(request.reduce((sum, byte) => sum + byte, 0));
    },
  });
  const listener = listenMemory();
  const serving = server.serve(listener);
  const channel = new Channel(listener.connect);
  let answered: (() => void) | undefined;
  const requests = async function* () {
    for (let at = 1; at <= 5; at++) {
      const answer = new Promise<void>((resolve) => answered = resolve);
      yield new Uint8Array(200_000).fill(at);
      await answer;
    }
  };
  const answers: number[] = [];
  for await (const [answer = 0] of channel.bidiStreaming("/test.Test/Take", requests())) {
    answers.push(answer);
    answered?.();
  }
  const same = buffers.slice(1).map((buffer, at) => buffer === buffers[at]);
  assert.deepEqual(same, [true, false, true, false]);
  assert.deepEqual([answers, sums], [[1, 2, 3, 4, 5], [400_000, 800_000]]);
  await channel.close();
  await server.shutdown(0);
  await serving;
});
