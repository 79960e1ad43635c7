import assert from "node:assert/strict";
import fc from "fast-check";
import { HpackDecoder, type HpackDecoderOptions } from "./decoder.ts";
import { HpackError } from "./error.ts";

function newDecoder(options: Partial<HpackDecoderOptions> = {}): HpackDecoder {
  return new HpackDecoder({ maxTableBytes: 4096, maxListBytes: 16_384, maxFields: 100, ...options });
}

/** "a: b" as a literal with incremental indexing: 34 octets of the table and of the list. */
const INSERT_A = [0x40, 0x01, 0x61, 0x01, 0x62];
const FIELD_A = { name: "a", value: "b" };

function assertRefused(octets: readonly number[], decoder = newDecoder()): void {
  assert.throws(() => decoder.decode(Uint8Array.from(octets)), (error) => {
    assert.ok(error instanceof HpackError);
    assert.equal(error.code, "compression");
    return true;
  });
}

Deno.test("HpackDecoder.decode gives no fields for an empty block", () => {
  assert.deepEqual(newDecoder().decode(new Uint8Array()), { fields: [], tooLarge: false, listBytes: 0 });
});

Deno.test("HpackDecoder.decode gives the stored object for an indexed field", () => {
  const decoder = newDecoder();
  const [inserted] = decoder.decode(Uint8Array.from(INSERT_A)).fields;
  const [indexed, again] = decoder.decode(Uint8Array.of(0xbe, 0xbe)).fields;
  assert.deepEqual(inserted, FIELD_A);
  assert.equal(indexed, inserted);
  assert.equal(again, inserted);
});

Deno.test("HpackDecoder.decode refuses index 0 (RFC 7541 §6.1)", () => assertRefused([0x80]));

Deno.test("HpackDecoder.decode refuses an index beyond the table, indexed or as a name (RFC 7541 §2.3.3)", () => {
  for (const first of [[0xbe], [0x7e, 0x01, 0x62], [0x0f, 0x2f, 0x01, 0x62], [0x1f, 0x2f, 0x01, 0x62]]) {
    assertRefused(first);
    const decoder = newDecoder();
    decoder.decode(Uint8Array.from(INSERT_A));
    assert.equal(decoder.decode(Uint8Array.from(first)).fields[0]?.value, "b");
  }
  const decoder = newDecoder();
  decoder.decode(Uint8Array.from(INSERT_A));
  assertRefused([0xbf], decoder);
});

Deno.test("HpackDecoder.decode accepts size updates at the start, up to the limit (RFC 7541 §4.2)", () => {
  const decoder = newDecoder({ maxTableBytes: 100 });
  decoder.decode(Uint8Array.from(INSERT_A));
  // To 0, which evicts, then to 100.
  assert.deepEqual(decoder.decode(Uint8Array.of(0x20, 0x3f, 0x45, 0x82)).fields.length, 1);
  assertRefused([0xbe], decoder);
});

Deno.test("HpackDecoder.decode refuses a size update above the limit (RFC 7541 §6.3)", () => {
  assertRefused([0x3f, 0x46], newDecoder({ maxTableBytes: 100 }));
  // A lower size in force does not lower the limit.
  const decoder = newDecoder({ maxTableBytes: 100 });
  decoder.decode(Uint8Array.of(0x20));
  decoder.decode(Uint8Array.of(0x3f, 0x45));
});

Deno.test("HpackDecoder keeps 4096 octets until a size update says more, whatever was announced (RFC 7541 §4.2)", () => {
  // 41 entries of 100 octets: one more than 4096 holds.
  const insert = [0x40, 0x01, 0x61, 67, ...new Array<number>(67).fill(0x62)];
  const blockOf = (...before: number[]) =>
    Uint8Array.from([...before, ...new Array<number[]>(41).fill(insert).flat()]);
  const oldest = Uint8Array.of(0x80 | (61 + 41));
  const small = newDecoder({ maxTableBytes: 8192 });
  small.decode(blockOf());
  assertRefused([...oldest], small);
  const raised = newDecoder({ maxTableBytes: 8192 });
  // A size update to 8192 = 31 + 8161.
  raised.decode(blockOf(0x3f, 0xe1, 0x3f));
  assert.equal(raised.decode(oldest).fields.length, 1);
});

Deno.test("HpackDecoder.setMaxTableBytes asks for a size update where it lowers the size in use (RFC 7541 §4.2)", () => {
  const lowered = () => {
    const decoder = newDecoder();
    decoder.decode(Uint8Array.from(INSERT_A));
    decoder.setMaxTableBytes(100);
    return decoder;
  };
  assertRefused([0x82], lowered());
  // To 101, above the limit, and to 100.
  assertRefused([0x3f, 0x46], lowered());
  const decoder = lowered();
  assert.deepEqual(decoder.decode(Uint8Array.of(0x3f, 0x45, 0xbe)).fields, [FIELD_A]);
  assert.deepEqual(decoder.decode(Uint8Array.of(0xbe)).fields, [FIELD_A], "once is enough");
});

Deno.test("HpackDecoder.setMaxTableBytes asks for nothing where the size in use is not above it", () => {
  const decoder = newDecoder();
  decoder.decode(Uint8Array.of(0x3f, 0x45));
  decoder.setMaxTableBytes(100);
  decoder.decode(Uint8Array.from(INSERT_A));
});

Deno.test("HpackDecoder.decode refuses a size update after a field (RFC 7541 §4.2)", () => {
  assertRefused([0x82, 0x20]);
  // With octets that would make it a literal.
  assertRefused([0x82, 0x20, 0x01, 0x61, 0x01, 0x62]);
  assertRefused([0x20, 0x82, 0x20]);
});

Deno.test("HpackDecoder.decode keeps to the size of the update when inserting (RFC 7541 §4.3)", () => {
  const decoder = newDecoder();
  decoder.decode(Uint8Array.of(0x3f, 0x03, ...INSERT_A, ...INSERT_A));
  assert.deepEqual(decoder.decode(Uint8Array.of(0xbe)).fields, [FIELD_A]);
  assertRefused([0xbf], decoder);
});

Deno.test("HpackDecoder.decode takes the name from an entry that its own insertion evicts (RFC 7541 §4.4)", () => {
  const decoder = newDecoder({ maxTableBytes: 34 });
  decoder.decode(Uint8Array.from(INSERT_A));
  assert.deepEqual(decoder.decode(Uint8Array.of(0x7e, 0x01, 0x63)).fields, [{ name: "a", value: "c" }]);
  assert.deepEqual(decoder.decode(Uint8Array.of(0xbe)).fields, [{ name: "a", value: "c" }]);
});

Deno.test("HpackDecoder.decode refuses a block cut inside a field, at every octet (RFC 7541 §3.1)", () => {
  // Two insertions, then one with the name at index 63 and a value of 128 octets: both take two octets to
  // say.
  const block = [...INSERT_A, ...INSERT_A, 0x7f, 0x00, 0x7f, 0x01, ...new Array<number>(128).fill(0x61)];
  assert.equal(newDecoder().decode(Uint8Array.from(block)).fields.length, 3);
  for (let length = 1; length < block.length; length += 1) {
    if (length !== INSERT_A.length && length !== 2 * INSERT_A.length) assertRefused(block.slice(0, length));
  }
});

Deno.test("HpackDecoder.decode refuses an integer above 2^31-1 as index or length (RFC 7541 §5.1)", () => {
  assertRefused([0xff, 0xff, 0xff, 0xff, 0xff, 0x0f]);
  assertRefused([0x00, 0x7f, 0xff, 0xff, 0xff, 0xff, 0x0f]);
});

Deno.test("HpackDecoder.decode refuses wrong Huffman padding in a name and in a value (RFC 7541 §5.2)", () => {
  assertRefused([0x00, 0x81, 0x00, 0x01, 0x62]);
  assertRefused([0x00, 0x01, 0x61, 0x81, 0x00]);
});

Deno.test("HpackDecoder.decode keeps fields up to exactly maxListBytes", () => {
  const decoder = newDecoder({ maxListBytes: 68 });
  decoder.decode(Uint8Array.from(INSERT_A));
  assert.deepEqual(decoder.decode(Uint8Array.of(0xbe, 0xbe)), {
    fields: [FIELD_A, FIELD_A],
    tooLarge: false,
    listBytes: 68,
  });
  // Nothing is kept after the first field that does not fit, even if it would.
  assert.deepEqual(decoder.decode(Uint8Array.of(0xbe, 0x8f, 0xbe)), {
    fields: [FIELD_A],
    tooLarge: true,
    listBytes: 34 + 46 + 34,
  });
});

Deno.test("HpackDecoder.decode keeps at most maxFields", () => {
  const decoder = newDecoder({ maxFields: 2 });
  assert.equal(decoder.decode(Uint8Array.of(0x82, 0x84)).tooLarge, false);
  const { fields, tooLarge } = decoder.decode(Uint8Array.of(0x82, 0x84, 0x86));
  assert.deepEqual(fields.map(({ name }) => name), [":method", ":path"]);
  assert.equal(tooLarge, true);
});

Deno.test("HpackDecoder.decode goes on past the limits, so that the table stays in step", () => {
  const decoder = newDecoder({ maxFields: 1 });
  assert.equal(decoder.decode(Uint8Array.of(0x82, ...INSERT_A)).tooLarge, true);
  assert.deepEqual(decoder.decode(Uint8Array.of(0xbe)), {
    fields: [FIELD_A],
    tooLarge: false,
    listBytes: 34,
  });
  assertRefused([0x82, 0x84, 0x80], decoder);
});

Deno.test("HpackDecoder.decode does not keep what a small block expands to", () => {
  const decoder = newDecoder();
  const value = new Array<number>(3000).fill(0x61);
  decoder.decode(Uint8Array.of(0x40, 0x01, 0x61, 0x7f, 0xb9, 0x16, ...value));
  const { fields, tooLarge } = decoder.decode(new Uint8Array(100_000).fill(0xbe));
  assert.equal(tooLarge, true);
  assert.equal(fields.length, 5);
});

Deno.test("HpackDecoder.decode of random octets ends with fields inside the limits or an HpackError", () => {
  const block = fc.oneof(
    fc.uint8Array({ maxLength: 200 }),
    // Octets that begin fields and strings which exist, to get further than noise does.
    fc.array(fc.constantFrom(0x82, 0xbe, 0x40, 0x00, 0x10, 0x20, 0x01, 0x61, 0x81, 0x1f, 0x3f, 0xff, 0x7f))
      .map((octets) => Uint8Array.from(octets)),
  );
  fc.assert(
    fc.property(fc.array(block, { maxLength: 5 }), (blocks) => {
      const decoder = newDecoder({ maxTableBytes: 128, maxListBytes: 500, maxFields: 8 });
      for (const octets of blocks) {
        try {
          assert.ok(decoder.decode(octets).fields.length <= 8);
        } catch (error) {
          assert.ok(error instanceof HpackError, String(error));
          return;
        }
      }
    }),
    { numRuns: 1000 },
  );
});

Deno.test("HpackDecoder.decode gives the same object for the same octets while the table stays as it was", () => {
  const decoder = new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: 1_000, maxFields: 10 });
  const insert = (value: string) =>
    Uint8Array.of(0x40, 1, 0x78, value.length, ...new TextEncoder().encode(value));
  const newest = Uint8Array.of(0xbe); // index 62, the newest entry
  decoder.decode(insert("a"));
  const first = decoder.decode(newest);
  assert.deepEqual(first.fields, [{ name: "x", value: "a" }]);
  assert.equal(decoder.decode(newest), first);
  decoder.decode(insert("b"));
  assert.deepEqual(decoder.decode(newest).fields, [{ name: "x", value: "b" }]);
  // The same octets evict and insert once more: they are decoded each time.
  decoder.decode(insert("b"));
  decoder.decode(insert("b"));
  assert.deepEqual(decoder.decode(Uint8Array.of(0xc1)).fields, [{ name: "x", value: "a" }]);
  decoder.decode(Uint8Array.of(0x20)); // a size update to 0 empties the table
  assert.throws(() => decoder.decode(newest), HpackError);
});

Deno.test("HpackDecoder.decode does not remember what was over its limits as anything else", () => {
  const decoder = new HpackDecoder({ maxTableBytes: 4_096, maxListBytes: 1_000, maxFields: 1 });
  const two = Uint8Array.of(0x82, 0x84);
  for (let i = 0; i < 2; i++) assert.equal(decoder.decode(two).tooLarge, true);
});
