import assert from "node:assert/strict";
import { BlockReader } from "./block_reader.ts";
import { BlockWriter } from "./block_writer.ts";
import { HpackError } from "./error.ts";
import { readString, writeString } from "./string_literal.ts";

function read(...octets: number[]): string {
  return readString(new BlockReader(Uint8Array.from(octets)));
}

function write(text: string): Uint8Array {
  const writer = new BlockWriter();
  writeString(writer, text);
  return writer.take();
}

Deno.test("readString reads what writeString wrote, up to lengths of several octets", () => {
  for (const length of [0, 1, 126, 127, 128, 5000, 70_000]) {
    for (const char of ["a", "\u00ff"]) {
      const reader = new BlockReader(write(char.repeat(length)));
      assert.equal(readString(reader), char.repeat(length));
      assert.equal(reader.remaining, 0);
    }
  }
});

Deno.test("writeString uses Huffman only where that is shorter (RFC 7541 §5.2)", () => {
  assert.deepEqual(Array.from(write("302")), [0x82, 0x64, 0x02]);
  assert.deepEqual(Array.from(write("307")), [0x03, 0x33, 0x30, 0x37]);
  assert.deepEqual(Array.from(write("\u00ff")), [0x01, 0xff]);
});

Deno.test("readString refuses a length beyond the block, before any buffer for it (RFC 7541 §5.2)", () => {
  assert.throws(() => read(0x02, 0x61), HpackError);
  assert.throws(() => read(0x82, 0x1f), HpackError);
  // 2^31-1 octets: an allocation of it would fail in another way than this.
  assert.throws(() => read(0x7f, 0x80, 0xff, 0xff, 0xff, 0x07), HpackError);
  assert.throws(() => read(0xff, 0x80, 0xff, 0xff, 0xff, 0x07), HpackError);
});

Deno.test("readString refuses the end of the block in place of a string (RFC 7541 §5.2)", () => {
  assert.throws(() => read(), HpackError);
});
