import assert from "node:assert/strict";
import { type PendingCall, PendingCalls } from "./pending_calls.ts";

function someCall(): PendingCall {
  return { answered: () => {}, failed: () => {} };
}

Deno.test("PendingCalls gives each call a number that no other of them has, and back what it belongs to", () => {
  const pending = new PendingCalls();
  const [a, b, c] = [someCall(), someCall(), someCall()];
  assert.deepEqual([pending.add(a), pending.add(b), pending.size], [0, 1, 2]);
  assert.equal(pending.take(0), a);
  assert.equal(pending.take(0), undefined);
  assert.equal(pending.add(c), 0);
  assert.equal(pending.take(1), b);
  assert.deepEqual(pending.takeAll(), [c]);
  assert.deepEqual([pending.size, pending.takeAll(), pending.take(7)], [0, [], undefined]);
});
