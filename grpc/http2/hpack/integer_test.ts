import assert from "node:assert/strict";
import { BlockReader } from "./block_reader.ts";
import { BlockWriter } from "./block_writer.ts";
import { HpackError } from "./error.ts";
import { readInteger, writeInteger } from "./integer.ts";
import { MAX_INTEGER } from "./limits.ts";

function read(octets: readonly number[], prefixBits: number): { value: number; remaining: number } {
  const reader = new BlockReader(Uint8Array.from(octets));
  const value = readInteger(reader, reader.next(), prefixBits);
  return { value, remaining: reader.remaining };
}

function write(pattern: number, prefixBits: number, value: number): number[] {
  const writer = new BlockWriter();
  writeInteger(writer, pattern, prefixBits, value);
  return Array.from(writer.take());
}

const EXAMPLES = [
  { section: "C.1.1", value: 10, prefixBits: 5, octets: [0x0a] },
  { section: "C.1.2", value: 1337, prefixBits: 5, octets: [0x1f, 0x9a, 0x0a] },
  { section: "C.1.3", value: 42, prefixBits: 8, octets: [0x2a] },
];

for (const { section, value, prefixBits, octets } of EXAMPLES) {
  Deno.test(`readInteger reads RFC 7541 ${section}, ${value} in a ${prefixBits}-bit prefix`, () => {
    assert.deepEqual(read(octets, prefixBits), { value, remaining: 0 });
  });
  Deno.test(`writeInteger writes RFC 7541 ${section}, ${value} in a ${prefixBits}-bit prefix`, () => {
    assert.deepEqual(write(0, prefixBits, value), octets);
  });
}

Deno.test("readInteger ignores the bits above the prefix and leaves what follows (RFC 7541 §5.1)", () => {
  assert.deepEqual(read([0xea, 0x55], 5), { value: 10, remaining: 1 });
  assert.deepEqual(read([0xff, 0x9a, 0x0a, 0x55], 5), { value: 1337, remaining: 1 });
});

Deno.test("writeInteger keeps the pattern above the prefix (RFC 7541 §5.1)", () => {
  assert.deepEqual(write(0x20, 5, 10), [0x2a]);
  assert.deepEqual(write(0x20, 5, 1337), [0x3f, 0x9a, 0x0a]);
});

Deno.test("readInteger reads what writeInteger wrote at every boundary of length", () => {
  for (let prefixBits = 1; prefixBits <= 8; prefixBits += 1) {
    const prefixMax = 2 ** prefixBits - 1;
    const values = [0, 127, 128, 16_383, 16_384, MAX_INTEGER];
    for (const power of [0, 7, 14, 21, 28]) values.push(prefixMax + 2 ** power - 1, prefixMax + 2 ** power);
    for (const value of values) {
      assert.deepEqual(read(write(0, prefixBits, value), prefixBits), { value, remaining: 0 });
    }
  }
});

Deno.test("readInteger accepts 2^31-1 and refuses 2^31 (RFC 7541 §5.1)", () => {
  // 2^31-1 - 31 = 0x7fffffe0, seven bits at a time from the low end.
  assert.equal(read([0x1f, 0xe0, 0xff, 0xff, 0xff, 0x07], 5).value, 2 ** 31 - 1);
  assert.throws(() => read([0x1f, 0xe1, 0xff, 0xff, 0xff, 0x07], 5), HpackError);
  assert.throws(() => read([0x1f, 0xff, 0xff, 0xff, 0xff, 0x7f], 5), HpackError);
});

Deno.test("readInteger refuses a sixth continuation octet, even of zeros (RFC 7541 §5.1)", () => {
  assert.equal(read([0x1f, 0x80, 0x80, 0x80, 0x80, 0x00], 5).value, 31);
  assert.throws(() => read([0x1f, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00], 5), HpackError);
});

Deno.test("readInteger refuses a block that ends inside the integer (RFC 7541 §5.1)", () => {
  assert.throws(() => read([0x1f], 5), HpackError);
  assert.throws(() => read([0x1f, 0x9a], 5), HpackError);
});
