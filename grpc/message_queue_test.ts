import assert from "node:assert/strict";
import { ByteBudget } from "./byte_budget.ts";
import { FramedMessage } from "./message_reader.ts";
import { MessageQueue } from "./message_queue.ts";

function open(): { readonly queue: MessageQueue; readonly consumed: () => number } {
  let consumed = 0;
  const queue = new MessageQueue(1_000, new ByteBudget(1_000), (bytes) => consumed += bytes);
  return { queue, consumed: () => consumed };
}

function message(octet: number): Uint8Array {
  return FramedMessage.of(new Uint8Array([octet])).bytes;
}

Deno.test("MessageQueue is iterated in order, over messages that came together and those that come later", async () => {
  const { queue, consumed } = open();
  queue.push(new Uint8Array([...message(1), ...message(2)]));
  const read: number[] = [];
  const reading = (async () => {
    for await (const [octet = 0] of queue) read.push(octet);
  })();
  await new Promise((resolve) => setTimeout(resolve, 0));
  assert.deepEqual(read, [1, 2]);
  queue.push(message(3));
  queue.end();
  await reading;
  assert.deepEqual([read, consumed()], [[1, 2, 3], 18]);
});

Deno.test("MessageQueue whose iteration is left ends the next that waits, and holds back what comes then", async () => {
  const { queue, consumed } = open();
  const iterator = queue[Symbol.asyncIterator]();
  const waiting = iterator.next();
  await iterator.return?.();
  assert.equal((await waiting).done, true);
  queue.push(message(1));
  assert.equal((await iterator.next()).done, true);
  assert.deepEqual([queue.length, consumed()], [1, 0]);
});

Deno.test("MessageQueue that is left gives nothing more of what had come together", async () => {
  const { queue } = open();
  queue.push(new Uint8Array([...message(1), ...message(2)]));
  const iterator = queue[Symbol.asyncIterator]();
  assert.deepEqual((await iterator.next()).value, new Uint8Array([1]));
  await iterator.return?.();
  assert.equal((await iterator.next()).done, true);
});

Deno.test("MessageQueue that is left while a message is on its way to the iterator gives no other", async () => {
  const { queue } = open();
  queue.push(new Uint8Array([...message(1), ...message(2)]));
  const iterator = queue[Symbol.asyncIterator]();
  const first = iterator.next();
  await iterator.return?.();
  assert.deepEqual((await first).value, new Uint8Array([1]));
  assert.equal((await iterator.next()).done, true);
});
