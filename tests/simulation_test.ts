/** Nodes that synchronize in simulated time: what was acknowledged is where it belongs, whatever went wrong. */
import assert from "node:assert/strict";
import { report } from "./simulation/report.ts";
import { simulate } from "./simulation/simulation.ts";

const SEEDS = 300;

Deno.test("Simulation: the same seed gives the same run", async () => {
  const [first, second] = [await simulate(7), await simulate(7)];
  assert.equal(first.hash, second.hash);
  assert.notEqual(first.hash, (await simulate(8)).hash);
});

Deno.test("Simulation: nothing that was acknowledged is lost, doubled or changed, and all nodes agree in the end", async () => {
  for (let seed = 1; seed <= SEEDS; seed++) {
    const outcome = await simulate(seed);
    assert.deepEqual(outcome.failures, [], report(outcome));
  }
});
