import assert from "node:assert/strict";
import fc from "fast-check";
import { FrameMemory } from "./frame_memory.ts";

/** A frame that was taken and filled, and where the next one begins. */
interface Held {
  readonly bytes: Uint8Array;
  readonly mark: number;
  readonly end: number;
}

Deno.test("FrameMemory never gives the bytes of a frame to another one before they are freed", () => {
  const step = fc.record({ length: fc.nat(24), freed: fc.nat(2) });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const memory = new FrameMemory(64);
      const held: Held[] = [];
      steps.forEach(({ length, freed }, at) => {
        const mark = at & 0xff;
        const bytes = memory.take(length);
        assert.equal(bytes.length, length);
        bytes.fill(mark);
        held.push({ bytes, mark, end: memory.position });
        for (const { end } of held.splice(0, freed)) memory.free(end);
        for (const { bytes, mark } of held) assert.ok(bytes.every((byte) => byte === mark));
      });
    }),
    { numRuns: 500 },
  );
});

Deno.test("FrameMemory uses freed bytes again, and from the beginning when all are free", () => {
  const memory = new FrameMemory(64);
  const first = memory.take(40);
  const afterFirst = memory.position;
  const second = memory.take(20);
  memory.free(afterFirst);
  const third = memory.take(30);
  assert.equal(second.buffer, first.buffer);
  assert.deepEqual([third.buffer, third.byteOffset], [first.buffer, 0], "the end has no room for it");
  memory.free(memory.position);
  assert.deepEqual([memory.take(64).buffer, memory.take(1).buffer === first.buffer], [first.buffer, false]);
});

Deno.test("FrameMemory that was used up and emptied takes no freed place for one in use", () => {
  const memory = new FrameMemory(64);
  memory.take(10);
  const beforeOwn = memory.position;
  memory.take(60); // an array of its own, told of by the position of the one before it
  memory.free(memory.position);
  const next = memory.take(20);
  memory.free(beforeOwn);
  assert.equal(memory.take(40).buffer, next.buffer, "there is room behind it");
});
