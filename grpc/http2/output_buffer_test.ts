import assert from "node:assert/strict";
import { OutputBuffer } from "./output_buffer.ts";

function write(output: OutputBuffer, count: number, octet: number): void {
  const at = output.reserve(count);
  output.bytes.fill(octet, at, at + count);
}

Deno.test("OutputBuffer gives what was written in one piece, over every growth", () => {
  const output = new OutputBuffer();
  const counts = [1, 511, 1, 65_000, 1_000, 300_000, 30_000, 1_000_000];
  counts.forEach((count, at) => write(output, count, at + 1));
  const taken = output.take();
  let from = 0;
  counts.forEach((count, at) => {
    assert.ok(taken.subarray(from, from += count).every((octet) => octet === at + 1), `${count} bytes`);
  });
  assert.deepEqual([taken.length, output.length], [from, 0]);
});

Deno.test("OutputBuffer fills another array while a taken one is not recycled, then the same again", () => {
  const output = new OutputBuffer();
  for (const count of [1_000, 200_000]) {
    write(output, count, 1);
    const first = output.take();
    write(output, count, 2);
    const second = output.take();
    assert.notEqual(second.buffer, first.buffer);
    assert.ok(first.every((octet) => octet === 1));
    output.recycle(first);
    write(output, count, 3);
    const third = output.take();
    assert.equal(third.buffer, first.buffer);
    output.recycle(second);
    output.recycle(third);
  }
});

Deno.test("OutputBuffer leaves its large arrays to other connections, and keeps small ones", () => {
  const [one, other] = [new OutputBuffer(), new OutputBuffer()];
  write(one, 100_000, 1);
  const large = one.take();
  one.recycle(large);
  write(one, 10, 1);
  const small = one.take();
  assert.notEqual(small.buffer, large.buffer);
  one.recycle(small);
  write(other, 100_000, 2);
  assert.equal(other.take().buffer, large.buffer);
  write(one, 10, 3);
  assert.equal(one.take().buffer, small.buffer);
});
