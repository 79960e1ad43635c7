import assert from "node:assert/strict";
import { DEFAULT_BUS_LIMITS } from "./limits.ts";
import { Message } from "./message.ts";
import { RecentBudget, RecentMessages } from "./recent_messages.ts";
import { LOCAL, NO_BYTES } from "./test_bus.ts";

const COST = 256 + 44; // of one message below

function message(headId: number): Message {
  return new Message("t", LOCAL, headId, headId, `${headId}`, 1, new Uint8Array(44), NO_BYTES, false);
}

function heads(
  recent: RecentMessages,
  from: number,
  messages = 1_000_000,
  bytes = 1 << 30,
): number[] | undefined {
  return recent.page(from, messages, bytes)?.map(({ headId }) => headId);
}

Deno.test("RecentMessages keeps the newest within the bounds of its log", () => {
  const limits = { ...DEFAULT_BUS_LIMITS, recentMessagesPerLog: 3 };
  const budget = new RecentBudget(limits);
  const byCount = new RecentMessages(budget, limits);
  for (let head = 5; head <= 10; head++) byCount.push(message(head));
  assert.equal(byCount.first, 8);
  assert.deepEqual(heads(byCount, 8), [8, 9, 10]);
  assert.deepEqual(heads(byCount, 10), [10]);
  assert.equal(heads(byCount, 7), undefined);
  assert.equal(heads(byCount, 11), undefined);
  const byBytes = new RecentMessages(budget, { ...limits, recentBytesPerLog: 2 * COST });
  for (let head = 1; head <= 3; head++) byBytes.push(message(head));
  assert.deepEqual(heads(byBytes, 2), [2, 3]);
  assert.equal(budget.bytes, 5 * COST);
});

Deno.test("RecentMessages.dropBefore forgets what is before a place, and goes on with what comes", () => {
  const budget = new RecentBudget(DEFAULT_BUS_LIMITS);
  const recent = new RecentMessages(budget, DEFAULT_BUS_LIMITS);
  recent.dropBefore(1);
  for (let head = 5; head <= 9; head++) recent.push(message(head));
  recent.dropBefore(7);
  assert.deepEqual([heads(recent, 6), heads(recent, 7), budget.bytes], [undefined, [7, 8, 9], 3 * COST]);
  recent.dropBefore(Infinity);
  assert.deepEqual([recent.first, budget.bytes], [undefined, 0]);
  recent.push(message(10));
  assert.deepEqual([heads(recent, 9), heads(recent, 10)], [undefined, [10]]);
});

Deno.test("RecentMessages holds nothing of a message that it has dropped, also while others are there", () => {
  const limits = { ...DEFAULT_BUS_LIMITS, recentMessagesPerLog: 3 };
  const recent = new RecentMessages(new RecentBudget(limits), limits);
  const before = Deno.memoryUsage().external;
  for (let head = 1; head <= 600; head++) {
    recent.push(new Message("t", LOCAL, head, head, `${head}`, 1, new Uint8Array(1 << 20), NO_BYTES, false));
  }
  assert.deepEqual(heads(recent, 598), [598, 599, 600]);
  // The collector is driven by what lies outside of its heap.
  assert.ok(Deno.memoryUsage().external - before < 300 << 20, "600 MiB went through");
});

Deno.test("RecentMessages.page keeps to both bounds and gives at least one", () => {
  const recent = new RecentMessages(new RecentBudget(DEFAULT_BUS_LIMITS), DEFAULT_BUS_LIMITS);
  for (let head = 1; head <= 5; head++) recent.push(message(head));
  assert.deepEqual(heads(recent, 2, 2), [2, 3]);
  assert.deepEqual(heads(recent, 2, 9, 3 * COST), [2, 3, 4]);
  assert.deepEqual(heads(recent, 2, 9, 3 * COST - 1), [2, 3]);
  assert.deepEqual(heads(recent, 2, 9, 1), [2]);
});

Deno.test("RecentBudget lets the oldest of all logs leave first", () => {
  const limits = { ...DEFAULT_BUS_LIMITS, recentBytes: 4 * COST };
  const budget = new RecentBudget(limits);
  const [a, b] = [new RecentMessages(budget, limits), new RecentMessages(budget, limits)];
  for (const [recent, head] of [[a, 1], [b, 1], [a, 2], [b, 2], [b, 3], [b, 4]] as const) {
    recent.push(message(head));
  }
  assert.deepEqual([heads(a, 2), heads(b, 2)], [[2], [2, 3, 4]]);
  assert.equal(budget.bytes, 4 * COST);
  b.clear();
  assert.equal(budget.bytes, COST);
  a.push(message(3));
  assert.deepEqual(heads(a, 2), [2, 3]);
  a.clear();
  assert.equal(budget.bytes, 0);
});

Deno.test("RecentMessages goes on over many more messages than it keeps", () => {
  const limits = { ...DEFAULT_BUS_LIMITS, recentMessagesPerLog: 10 };
  const recent = new RecentMessages(new RecentBudget(limits), limits);
  for (let head = 1; head <= 10_000; head++) {
    recent.push(message(head));
    assert.equal(recent.first, Math.max(1, head - 9));
    assert.deepEqual(heads(recent, head), [head]);
  }
});

Deno.test("RecentMessages.markDeleted empties what is in the range and leaves the given objects alone", () => {
  const recent = new RecentMessages(new RecentBudget(DEFAULT_BUS_LIMITS), DEFAULT_BUS_LIMITS);
  const messages = [3, 4, 5, 6].map(message);
  messages.forEach((one) => recent.push(one));
  recent.markDeleted(({ headId }) => headId <= 3);
  recent.markDeleted(({ headId }) => headId === 5);
  const page = recent.page(3, 10, 1 << 20) ?? [];
  assert.deepEqual(page.map(({ deleted }) => deleted), [true, false, true, false]);
  assert.deepEqual(page.map(({ payload }) => payload.length), [0, 44, 0, 44]);
  assert.equal(page[0]?.id, "3");
  assert.equal(messages[0]?.deleted, false);
});
