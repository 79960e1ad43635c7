import assert from "node:assert/strict";
import { BlockWriter } from "./block_writer.ts";

Deno.test("BlockWriter.take gives each block its own octets, across slabs", () => {
  const writer = new BlockWriter();
  const blocks: Uint8Array[] = [];
  for (let count = 0; count < 300; count += 1) {
    for (let octet = 0; octet < count; octet += 1) writer.write(count);
    blocks.push(writer.take());
  }
  blocks.forEach((block, count) => {
    assert.deepEqual(Array.from(block), new Array<number>(count).fill(count & 0xff));
  });
});

Deno.test("BlockWriter.reserve keeps what was begun and makes the room asked for", () => {
  const writer = new BlockWriter();
  writer.write(1);
  writer.take();
  writer.write(2);
  writer.reserve(100_000);
  assert.ok(writer.slab.length - writer.end >= 100_000);
  writer.write(3);
  assert.deepEqual(Array.from(writer.take()), [2, 3]);
});

Deno.test("BlockWriter.abandon drops only the block that was begun", () => {
  const writer = new BlockWriter();
  writer.write(1);
  const block = writer.take();
  writer.write(2);
  writer.abandon();
  writer.write(3);
  assert.deepEqual(Array.from(writer.take()), [3]);
  assert.deepEqual(Array.from(block), [1]);
});
