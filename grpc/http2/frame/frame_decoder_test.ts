import assert from "node:assert/strict";
import fc from "fast-check";
import { Http2Error } from "../http2_error.ts";
import { OutputBuffer } from "../output_buffer.ts";
import { concat, FrameFactory } from "../testing/frame_factory.ts";
import { FrameDecoder, readUint31, readUint32 } from "./frame_decoder.ts";
import { FrameEncoder } from "./frame_encoder.ts";
import type { Frame } from "./frame_type.ts";

const f = new FrameFactory();

function decoded(pieces: readonly Uint8Array[], maxFrameBytes = 16_384): Frame[] {
  const decoder = new FrameDecoder(maxFrameBytes);
  const frames: Frame[] = [];
  for (const piece of pieces) {
    decoder.push(piece);
    for (let frame = decoder.next(); frame !== undefined; frame = decoder.next()) frames.push(frame);
  }
  return frames;
}

const frame = fc.record({
  type: fc.integer({ min: 0, max: 255 }),
  flags: fc.integer({ min: 0, max: 255 }),
  streamId: fc.integer({ min: 0, max: 0x7fff_ffff }),
  payload: fc.uint8Array({ maxLength: 60 }),
}, { noNullPrototype: true });

Deno.test("FrameDecoder reads any frames, however they are cut (RFC 9113 §4.1)", () => {
  fc.assert(
    fc.property(
      fc.array(frame, { maxLength: 8 }),
      fc.array(fc.integer({ min: 1, max: 40 }), { maxLength: 20 }),
      (frames, cuts) => {
        const whole = concat(
          ...frames.map(({ type, flags, streamId, payload }) => f.frame(type, flags, streamId, payload)),
        );
        assert.deepEqual(decoded([whole]), frames);
        const pieces: Uint8Array[] = [];
        let from = 0;
        for (const cut of cuts) pieces.push(whole.subarray(from, from += cut));
        assert.deepEqual(decoded([...pieces, whole.subarray(from)]), frames);
        assert.deepEqual(decoded(Array.from(whole, (octet) => Uint8Array.of(octet))), frames);
      },
    ),
    { seed: 9113 },
  );
});

Deno.test("FrameDecoder ignores the reserved bit of the stream's number (RFC 9113 §4.1)", () => {
  assert.equal(decoded([f.frame(0, 0, 0xffff_ffff)])[0]?.streamId, 0x7fff_ffff);
  assert.equal(readUint31(Uint8Array.of(0xff, 0xff, 0xff, 0xfe), 0), 0x7fff_fffe);
  assert.equal(readUint32(Uint8Array.of(0xff, 0xff, 0xff, 0xfe), 0), 0xffff_fffe);
});

Deno.test("FrameDecoder refuses a frame above its limit by its header alone (RFC 9113 §4.2)", () => {
  for (const bytes of [16_385, 16_777_215]) {
    const header = [bytes >>> 16, (bytes >>> 8) & 0xff, bytes & 0xff, 0, 0, 0, 0, 0, 1];
    assert.throws(() => decoded([Uint8Array.from(header)]), Http2Error);
    assert.throws(() => decoded(header.map((octet) => Uint8Array.of(octet))), Http2Error);
  }
});

Deno.test("FrameEncoder splits a header block by the peer's frame size, and FrameDecoder reads it (RFC 9113 §6.2, §6.10)", () => {
  const output = new OutputBuffer();
  const encoder = new FrameEncoder(output);
  const block = Uint8Array.from({ length: 40_000 }, (_, index) => index);
  encoder.headers(1, block, true, 16_384);
  const frames = decoded([output.take()]);
  assert.deepEqual(
    frames.map(({ type, flags, payload }) => [type, flags, payload.length]),
    [[1, 0x1, 16_384], [9, 0, 16_384], [9, 0x4, 40_000 - 2 * 16_384]],
  );
  assert.deepEqual(concat(...frames.map(({ payload }) => payload)), block);
});
