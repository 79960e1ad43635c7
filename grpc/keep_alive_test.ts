import assert from "node:assert/strict";
import { KeepAlive } from "./keep_alive.ts";

Deno.test("KeepAlive asks a peer that is silent for the interval, and gives it up without an answer", () => {
  const keepAlive = new KeepAlive(1_000, 500, 0);
  keepAlive.received(10);
  assert.deepEqual(keepAlive.look(10), { now: "wait", againMs: 1_000 });
  assert.deepEqual(keepAlive.look(1_010), { now: "ask", againMs: 500 });
  assert.deepEqual(keepAlive.look(1_409), { now: "wait", againMs: 101 });
  assert.equal(keepAlive.look(1_510).now, "give up");
});

Deno.test("KeepAlive takes anything that comes for an answer", () => {
  const keepAlive = new KeepAlive(1_000, 500, 0);
  keepAlive.received(10);
  assert.equal(keepAlive.look(1_010).now, "ask");
  keepAlive.received(1_200);
  assert.equal(keepAlive.lastReceivedMs, 1_200);
  assert.deepEqual(keepAlive.look(1_600), { now: "wait", againMs: 600 });
  assert.equal(keepAlive.look(2_200).now, "ask");
});

Deno.test("KeepAlive waits three times as long as the last answer took, beginning with the first byte", () => {
  const keepAlive = new KeepAlive(1_000, 500, 0);
  keepAlive.received(800);
  assert.deepEqual(keepAlive.look(1_800), { now: "ask", againMs: 2_400 });
  assert.deepEqual(keepAlive.look(4_199), { now: "wait", againMs: 1 });
  keepAlive.received(4_199);
  assert.deepEqual(keepAlive.look(5_199), { now: "ask", againMs: 3 * 2_399 });
  keepAlive.received(5_200);
  assert.deepEqual(keepAlive.look(6_200), { now: "ask", againMs: 500 });
});

Deno.test("KeepAlive gives a peer more time, once, where it looks late: the answer may be there and unread", () => {
  const keepAlive = new KeepAlive(1_000, 500, 0);
  keepAlive.received(10);
  assert.equal(keepAlive.look(10).againMs, 1_000);
  assert.equal(keepAlive.look(1_010).now, "ask");
  assert.deepEqual(keepAlive.look(9_000), { now: "wait", againMs: 500 }, "stood still");
  keepAlive.received(9_001);
  assert.deepEqual(keepAlive.look(9_500), { now: "wait", againMs: 501 });
  assert.equal(keepAlive.look(10_001).now, "ask");
  assert.equal(keepAlive.look(12_000).now, "wait", "stood still again");
  assert.equal(keepAlive.look(14_000).now, "give up", "but nothing came");
});

Deno.test("KeepAlive waits longer for a peer that has to take what was sent before", () => {
  const keepAlive = new KeepAlive(1_000, 500, 0);
  keepAlive.sent(1 << 20);
  keepAlive.received(10);
  keepAlive.sent(160_000);
  assert.deepEqual(keepAlive.look(1_010), { now: "ask", againMs: 10_000 });
  keepAlive.sent(16);
  assert.deepEqual(keepAlive.look(11_010), { now: "wait", againMs: 1 });
  assert.equal(keepAlive.look(11_011).now, "give up");
});
