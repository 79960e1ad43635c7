import assert from "node:assert/strict";
import { ProducerCounts } from "./producer_counts.ts";

Deno.test("ProducerCounts knows who has the most, whatever comes and goes", () => {
  const counts = new ProducerCounts();
  const most = () => [...counts.ownersOfMost].sort();
  assert.deepEqual([counts.total, most()], [0, []]);
  counts.add("a");
  counts.add("b", 3);
  counts.add("c", 2);
  assert.deepEqual([counts.total, most()], [6, ["b"]]);
  counts.remove("b");
  assert.deepEqual(most(), ["b", "c"]);
  counts.remove("b");
  counts.remove("c");
  assert.deepEqual(most(), ["a", "b", "c"]);
  for (const owner of ["a", "b", "c", "nobody"]) counts.remove(owner);
  assert.deepEqual([counts.total, most()], [0, []]);
  counts.add("a", 2);
  counts.clear();
  assert.deepEqual([counts.total, most()], [0, []]);
});
