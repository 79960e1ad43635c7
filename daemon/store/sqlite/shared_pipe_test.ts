import assert from "node:assert/strict";
import { FrameReader } from "./frame.ts";
import { Outbox } from "./outbox.ts";
import { PipeReader, PipeWriter, sharedPipeMemory } from "./shared_pipe.ts";

function pattern(count: number, seed = 0): Uint8Array<ArrayBuffer> {
  return Uint8Array.from({ length: count }, (_, at) => (at * 7 + seed) & 0xff);
}

function frame(body: Uint8Array): Uint8Array<ArrayBuffer> {
  const bytes = new Uint8Array(4 + body.length);
  new DataView(bytes.buffer).setUint32(0, body.length, true);
  bytes.set(body, 4);
  return bytes;
}

/** Waiting for the other end does not keep the process alive; in the daemon its thread does. */
async function keptAlive(run: () => Promise<void>): Promise<void> {
  const timer = setInterval(() => {}, 1_000);
  try {
    await run();
  } finally {
    clearInterval(timer);
  }
}

Deno.test("PipeWriter.offer takes what fits, PipeReader.take gives it in order around the ring's end", () => {
  const memory = sharedPipeMemory(16);
  const writer = new PipeWriter(memory);
  const reader = new PipeReader(memory);
  const sent = pattern(1000);
  const got: number[] = [];
  for (let at = 0, step = 1; got.length < sent.length; step = step % 11 + 1) {
    const count = writer.offer(sent.subarray(at, at + 13));
    assert.ok(count <= 16);
    at += count;
    const into = new Uint8Array(step);
    got.push(...into.subarray(0, reader.take(into)));
  }
  assert.deepEqual(got, [...sent]);
});

Deno.test("PipeWriter.offer to a full ring takes nothing", () => {
  const memory = sharedPipeMemory(16);
  const writer = new PipeWriter(memory);
  assert.equal(writer.offer(pattern(20)), 16);
  assert.equal(writer.offer(pattern(1)), 0);
  assert.equal(new PipeReader(memory).available, 16);
});

Deno.test("A pipe goes on when its counters of 32 bits wrap", () => {
  const memory = sharedPipeMemory(16);
  const writer = new PipeWriter(memory);
  const reader = new PipeReader(memory);
  const into = new Uint8Array(12);
  for (const nearEnd of [0x7ffffff8, -8]) { // as signed numbers they change sign at both places
    const counters = new Int32Array(memory);
    counters[0] = counters[16] = nearEnd;
    for (let round = 0; round < 4; round++) {
      assert.equal(writer.offer(pattern(12, round)), 12);
      assert.equal(reader.available, 12);
      assert.equal(writer.offer(pattern(12)), 4);
      assert.equal(reader.take(into), 12);
      assert.deepEqual(into, pattern(12, round));
      assert.equal(reader.take(into), 4);
    }
  }
});

Deno.test("PipeReader.filled and PipeWriter.room settle when the other end moves", () =>
  keptAlive(async () => {
    const memory = sharedPipeMemory(16);
    const writer = new PipeWriter(memory);
    const reader = new PipeReader(memory);
    const filled = reader.filled();
    assert.ok(filled !== undefined);
    writer.offer(pattern(16));
    await filled;
    assert.equal(reader.filled(), undefined);
    const taken = writer.taken;
    const room = writer.room(taken);
    assert.ok(room !== undefined);
    reader.take(new Uint8Array(1));
    await room;
    assert.equal(writer.room(taken), undefined);
  }));

Deno.test("FrameReader gives the same frames whole, byte by byte and from a ring smaller than a frame", () =>
  keptAlive(async () => {
    const bodies = [pattern(0), pattern(1), pattern(300), pattern(5)];
    const bytes = Uint8Array.from(bodies.flatMap((body) => [...frame(body)]));
    for (const [ring, step] of [[1024, 1024], [1024, 1], [16, 16], [16, 3]] as const) {
      const memory = sharedPipeMemory(ring);
      const outbox = new Outbox(new PipeWriter(memory));
      const pipe = new PipeReader(memory);
      const reader = new FrameReader(pipe);
      for (let at = 0; at < bytes.length; at += step) {
        const piece = bytes.slice(at, at + step);
        outbox.send(piece);
        piece.fill(0); // the outbox must have its own copy
      }
      for (const body of bodies) {
        let got = reader.next();
        for (; got === undefined; got = reader.next()) await pipe.filled();
        assert.deepEqual(got, body);
      }
      assert.equal(reader.next(), undefined);
    }
  }));

Deno.test("PipeReader.spinForBytes sees bytes that are there, and gives up without", () => {
  const memory = sharedPipeMemory(16);
  const reader = new PipeReader(memory);
  assert.equal(reader.spinForBytes(0), false);
  assert.equal(reader.spinForBytes(1), false);
  new PipeWriter(memory).offer(pattern(1));
  assert.equal(reader.spinForBytes(1), true);
});
