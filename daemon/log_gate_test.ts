import assert from "node:assert/strict";
import { LogGate } from "./log_gate.ts";

Deno.test("LogGate lets a burst through, then one per interval, and counts what it omitted", () => {
  let nowMs = 0;
  const gate = new LogGate(2, 1_000, () => nowMs);
  assert.deepEqual([gate.pass(), gate.pass(), gate.pass(), gate.pass()], [0, 0, undefined, undefined]);
  nowMs = 999;
  assert.equal(gate.pass(), undefined);
  nowMs = 1_000;
  assert.deepEqual([gate.pass(), gate.pass()], [3, undefined]);
  nowMs = 60_000;
  assert.deepEqual([gate.pass(), gate.pass(), gate.pass()], [1, 0, undefined], "the burst does not add up");
});
