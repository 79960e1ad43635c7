import assert from "node:assert/strict";
import fc from "fast-check";
import { HpackDecoder } from "./decoder.ts";
import { HpackEncoder } from "./encoder.ts";
import type { HeaderField } from "./header_field.ts";

function newDecoder(maxTableBytes = 4096): HpackDecoder {
  return new HpackDecoder({ maxTableBytes, maxListBytes: 1_000_000, maxFields: 1000 });
}

/** The octets of a second block with the same field, on a fresh encoder. */
function secondTime(field: HeaderField, maxTableBytes = 4096): Uint8Array {
  const encoder = new HpackEncoder({ maxTableBytes });
  encoder.encode([field]);
  return encoder.encode([field]);
}

Deno.test("HpackEncoder.encode takes one octet a field of a gRPC response from the second on", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 4096 });
  const head = [{ name: ":status", value: "200" }, { name: "content-type", value: "application/grpc" }];
  const trailers = [{ name: "grpc-status", value: "0" }];
  encoder.encode(head);
  encoder.encode(trailers);
  assert.deepEqual(Array.from(encoder.encode(head)), [0x88, 0xbf]);
  assert.deepEqual(Array.from(encoder.encode(trailers)), [0xbe]);
});

Deno.test("HpackEncoder.encode never indexes a sensitive field, even one that a table has (RFC 7541 §6.2.3)", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 4096 });
  const secret = { name: "authorization", value: "Bearer x", sensitive: true };
  const first = encoder.encode([secret]);
  assert.deepEqual(encoder.encode([secret]), first);
  assert.deepEqual(Array.from(first.subarray(0, 2)), [0x1f, 0x08]);
  assert.deepEqual(newDecoder().decode(first).fields, [secret]);

  encoder.encode([{ name: "x", value: "y" }]);
  const sensitive = encoder.encode([
    { name: ":method", value: "GET", sensitive: true },
    { name: "x", value: "y", sensitive: true },
  ]);
  assert.equal(sensitive[0], 0x12);
  assert.deepEqual(Array.from(sensitive.subarray(-4)), [0x1f, 0x2f, 0x01, 0x79]);
});

Deno.test("HpackEncoder.encode does not index fields that nearly never repeat", () => {
  for (const name of ["grpc-message", "grpc-timeout", "content-length", "traceparent"]) {
    const block = secondTime({ name, value: "123" });
    assert.equal((block[0] ?? 0xff) & 0xf0, 0x00, name);
  }
  assert.equal(secondTime({ name: ":path", value: "/a.B/C" }).length, 1);
});

Deno.test("HpackEncoder.encode does not index a field above half of the table", () => {
  assert.equal(secondTime({ name: "n", value: "v".repeat(67) }, 200).length, 1);
  assert.ok(secondTime({ name: "n", value: "v".repeat(68) }, 200).length > 1);
});

Deno.test("HpackEncoder.encode refers to a known name, in the dynamic table or the static one", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 4096 });
  encoder.encode([{ name: "x-name", value: "1" }]);
  assert.deepEqual(Array.from(encoder.encode([{ name: "x-name", value: "!" }])), [0x7e, 0x01, 0x21]);
  assert.deepEqual(Array.from(encoder.encode([{ name: "accept", value: "!" }])), [0x53, 0x01, 0x21]);
});

Deno.test("HpackEncoder.encode is not changed by a later change of the caller's object", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 100 });
  const field = { name: "a", value: "1" };
  encoder.encode([field]);
  field.value = "2";
  encoder.encode([field, { name: "b", value: "1" }]);
  // "a: 1" has been evicted; were it still believed to be there, this would be one octet.
  assert.ok(encoder.encode([{ name: "a", value: "1" }]).length > 1);
});

Deno.test("HpackEncoder.setMaxTableBytes is told to the peer at the start of the next block (RFC 7541 §4.2)", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 8192 });
  assert.deepEqual(Array.from(encoder.encode([])), []);
  encoder.setMaxTableBytes(100);
  assert.deepEqual(Array.from(encoder.encode([{ name: ":method", value: "GET" }])), [0x3f, 0x45, 0x82]);
  assert.deepEqual(Array.from(encoder.encode([{ name: ":method", value: "GET" }])), [0x82]);
});

Deno.test("HpackEncoder.setMaxTableBytes lowered and raised empties the table and tells both (RFC 7541 §4.2)", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 4096 });
  const decoder = newDecoder();
  const field = { name: "a", value: "1" };
  decoder.decode(encoder.encode([field]));
  for (const bytes of [90, 60, 100]) encoder.setMaxTableBytes(bytes);
  const block = encoder.encode([field]);
  // Not 60: the entry of 34 octets would survive it, and Go's decoder refuse the second update
  // (golang/go#29187).
  assert.deepEqual(Array.from(block.subarray(0, 4)), [0x20, 0x3f, 0x45, 0x40]);
  assert.deepEqual(decoder.decode(block).fields, [field]);
});

Deno.test("HpackEncoder.setMaxTableBytes keeps the entries that fit when it only lowers or only raises", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 8192 });
  const field = { name: "a", value: "1" };
  encoder.encode([field]);
  for (const bytes of [5000, 8192]) encoder.setMaxTableBytes(bytes);
  assert.deepEqual(Array.from(encoder.encode([field])), [0x3f, 0xe1, 0x3f, 0xbe]);
  for (const bytes of [200, 100]) encoder.setMaxTableBytes(bytes);
  assert.deepEqual(Array.from(encoder.encode([field])), [0x3f, 0x45, 0xbe]);
});

Deno.test("HpackEncoder.setMaxTableBytes tells of a size lowered and raised again to the same", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 4096 });
  encoder.encode([{ name: "a", value: "1" }]);
  encoder.setMaxTableBytes(0);
  encoder.setMaxTableBytes(4096);
  assert.deepEqual(Array.from(encoder.encode([])), [0x20, 0x3f, 0xe1, 0x1f]);
});

Deno.test("HpackEncoder.setMaxTableBytes says nothing where the size stays", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 4096 });
  encoder.setMaxTableBytes(4096);
  encoder.setMaxTableBytes(65_536);
  assert.deepEqual(Array.from(encoder.encode([])), []);
});

Deno.test("HpackEncoder uses 4096 octets at most until the peer's setting, then up to the option", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 10_000 });
  assert.deepEqual(Array.from(encoder.encode([])), []);
  encoder.setMaxTableBytes(2 ** 32 - 1);
  // 10,000 - 31 = 0x26f1.
  assert.deepEqual(Array.from(encoder.encode([])), [0x3f, 0xf1, 0x4d]);
});

Deno.test("HpackEncoder with a table below 4096 octets says so in its first block (RFC 7541 §4.2)", () => {
  assert.deepEqual(Array.from(new HpackEncoder({ maxTableBytes: 0 }).encode([])), [0x20]);
});

Deno.test("HpackEncoder.encode refuses a character above U+00FF and stays in step with the peer", () => {
  const encoder = new HpackEncoder({ maxTableBytes: 4096 });
  const decoder = newDecoder();
  const fields = [{ name: "a", value: "1" }, { name: "b", value: "2" }];
  decoder.decode(encoder.encode(fields.slice(0, 1)));
  for (const bad of [{ name: "c", value: "\u0100" }, { name: "\u0100", value: "c" }]) {
    assert.throws(() => encoder.encode([...fields, bad]), RangeError);
    assert.deepEqual(decoder.decode(encoder.encode(fields)).fields, fields);
    assert.deepEqual(decoder.decode(encoder.encode(fields)).fields, fields);
  }
});

Deno.test("HpackDecoder reads what HpackEncoder wrote, for any fields and changes of the table size", () => {
  const octets = fc.string({
    unit: fc.integer({ min: 0, max: 255 }).map((code) => String.fromCharCode(code)),
  });
  const name = fc.oneof(fc.constantFrom("a", "b", ":path", "content-type", "grpc-message"), octets);
  const value = fc.oneof(fc.constantFrom("", "1", "2", "application/grpc", "x".repeat(90)), octets);
  // With the prototype that decoded fields have, for the strict comparison.
  const plain = { noNullPrototype: true };
  const field: fc.Arbitrary<HeaderField> = fc.oneof(
    { weight: 4, arbitrary: fc.record({ name, value }, plain) },
    { weight: 1, arbitrary: fc.record({ name, value, sensitive: fc.constant(true) }, plain) },
  );
  const step = fc.oneof(
    { weight: 4, arbitrary: fc.record({ fields: fc.array(field, { maxLength: 12 }) }) },
    { weight: 1, arbitrary: fc.record({ resize: fc.integer({ min: 0, max: 6000 }) }) },
  );
  fc.assert(
    fc.property(
      fc.integer({ min: 0, max: 6000 }),
      fc.array(step, { maxLength: 40 }),
      (maxTableBytes, steps) => {
        const encoder = new HpackEncoder({ maxTableBytes });
        const decoder = newDecoder(6000);
        for (const action of steps) {
          if ("resize" in action) encoder.setMaxTableBytes(action.resize);
          else assert.deepEqual(decoder.decode(encoder.encode(action.fields)).fields, action.fields);
        }
      },
    ),
    { numRuns: 300 },
  );
});
