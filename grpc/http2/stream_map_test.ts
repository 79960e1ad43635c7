import assert from "node:assert/strict";
import fc from "fast-check";
import { StreamMap } from "./stream_map.ts";

Deno.test("StreamMap does what a Map does, whichever numbers come and go", () => {
  const step = fc.record({
    does: fc.constantFrom("set", "set", "delete", "clear when full"),
    // Few different numbers, and neighbours: so they are met again, and fall on the same places.
    id: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.constantFrom(1 << 20, (1 << 20) + 1, 0x7fff_ffff)),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), (steps) => {
      const map = new StreamMap<string>();
      const model = new Map<number, string>();
      steps.forEach(({ does, id }, at) => {
        if (does === "set") {
          map.set(id, `${id} ${at}`);
          model.set(id, `${id} ${at}`);
        } else if (does === "delete") {
          map.delete(id);
          model.delete(id);
        } else if (model.size > 30) {
          map.clear();
          model.clear();
        }
        assert.equal(map.size, model.size);
        assert.equal(map.get(id), model.get(id));
      });
      const sorted = [...model].sort(([a], [b]) => a - b);
      assert.deepEqual(map.values(), sorted.map(([, value]) => value));
      for (const [id, value] of model) assert.equal(map.get(id), value);
    }),
    { seed: 7 },
  );
});

Deno.test("StreamMap keeps thousands of streams, and nothing of those that are gone", () => {
  const map = new StreamMap<number>();
  for (let id = 1; id < 20_000; id += 2) map.set(id, -id);
  assert.equal(map.size, 10_000);
  for (let id = 1; id < 20_000; id += 4) map.delete(id);
  assert.equal(map.get(5), undefined);
  assert.equal(map.get(7), -7);
  assert.equal(map.size, 5_000);
  for (let id = 3; id < 20_000; id += 4) map.delete(id);
  assert.deepEqual([map.size, map.values(), map.get(3)], [0, [], undefined]);
});

Deno.test("StreamMap.values is a list of its own: who goes through it may take out what is there", () => {
  const map = new StreamMap<number>();
  for (const id of [5, 1, 3]) map.set(id, id);
  for (const id of map.values()) map.delete(id);
  assert.equal(map.size, 0);
});
