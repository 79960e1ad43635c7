import assert from "node:assert/strict";
import { Slab } from "./slab.ts";

Deno.test("Slab.copy keeps every copy apart from the others, at every size", () => {
  const slab = new Slab();
  const originals = Array.from({ length: 2_000 }, (_, index) => new Uint8Array(index).fill(index));
  const copies = originals.map((original) => slab.copy(original));
  for (const original of originals) assert.deepEqual(copies[original.length], new Uint8Array(original));
  copies[10]?.fill(0);
  assert.deepEqual(copies[9], new Uint8Array(9).fill(9));
  assert.deepEqual(copies[11], new Uint8Array(11).fill(11));
});

Deno.test("Slab.copy of an empty view keeps nothing of what that is a view of", () => {
  const bytes = new Uint8Array(100);
  const copy = new Slab().copy(bytes.subarray(7, 7));
  assert.equal(copy.length, 0);
  assert.notEqual(copy.buffer, bytes.buffer);
});

Deno.test("Slab.take gives zeros", () => {
  const slab = new Slab();
  for (let i = 0; i < 100; i++) {
    const piece = slab.take(1_000);
    assert.ok(piece.every((octet) => octet === 0));
    piece.fill(255);
  }
});
