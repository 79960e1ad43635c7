import assert from "node:assert/strict";
import { BlockReader } from "./block_reader.ts";
import { HpackError } from "./error.ts";

Deno.test("BlockReader.next gives each octet once, then refuses", () => {
  const reader = new BlockReader(Uint8Array.of(7, 0));
  assert.equal(reader.next(), 7);
  assert.equal(reader.remaining, 1);
  assert.equal(reader.next(), 0);
  assert.throws(() => reader.next(), HpackError);
  assert.equal(reader.remaining, 0);
});

Deno.test("BlockReader.peek leaves the octet, and gives undefined at the end", () => {
  const reader = new BlockReader(Uint8Array.of(7));
  assert.equal(reader.peek(), 7);
  assert.equal(reader.next(), 7);
  assert.equal(reader.peek(), undefined);
});
