import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Status, StatusError } from "@msgbus/grpc";
import { PublishRequestSchema } from "@msgbus/proto";
import fc from "fast-check";
import { decodeHeaders } from "../bus/headers.ts";
import { readPublishRequest } from "./publish_request.ts";
import { Slab } from "../bus/slab.ts";

const text = fc.string({ unit: "binary", maxLength: 40 }).filter((value) => value.isWellFormed());
const node = fc.record({ tenantId: text, blName: text, deviceId: text });
const request = fc.record({
  topic: text,
  origin: fc.option(node, { nil: undefined }),
  payload: fc.uint8Array({ maxLength: 300 }),
  headers: fc.dictionary(text, text, { maxKeys: 5 }),
});

Deno.test("readPublishRequest agrees with the generated code on every request", () => {
  fc.assert(fc.property(request, ({ origin, ...rest }) => {
    const bytes = toBinary(
      PublishRequestSchema,
      create(PublishRequestSchema, { ...rest, ...(origin && { origin }) }),
    );
    const read = readPublishRequest(bytes, new Slab());
    assert.equal(read.topic, rest.topic);
    assert.deepEqual(read.origin, origin && { ...origin });
    assert.deepEqual(read.payload, rest.payload);
    assert.deepEqual({ ...decodeHeaders(read.headers) }, { ...rest.headers });
  }));
});

Deno.test("readPublishRequest takes and refuses the same bytes as the generated code", () => {
  const seed = toBinary(
    PublishRequestSchema,
    create(PublishRequestSchema, {
      topic: "orders",
      origin: { tenantId: "t", blName: "b", deviceId: "d" },
      payload: new Uint8Array([1, 2, 3]),
      headers: { a: "b", c: "" },
    }),
  );
  const mutated = fc.tuple(fc.nat(seed.length - 1), fc.nat(255), fc.nat(seed.length)).map(
    ([at, octet, length]) => {
      const bytes = seed.slice(0, length);
      if (at < length) bytes[at] = octet;
      return bytes;
    },
  );
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      let expected: { topic: string; payload: Uint8Array; headers: Record<string, string> } | undefined;
      try {
        expected = fromBinary(PublishRequestSchema, bytes);
      } catch {
        // Refused: then ours must refuse it as well.
      }
      let read: ReturnType<typeof readPublishRequest> | undefined;
      try {
        read = readPublishRequest(bytes, new Slab());
      } catch (error) {
        assert.ok(error instanceof StatusError && error.code === Status.INVALID_ARGUMENT);
      }
      // The generated code reads groups, texts that are no UTF-8, and lengths over 32 bits; ours refuses those.
      if (read === undefined) return;
      assert.ok(expected !== undefined, "ours takes what the generated code refuses");
      assert.equal(read.topic, expected.topic);
      assert.deepEqual(read.payload, expected.payload);
      assert.deepEqual({ ...decodeHeaders(read.headers) }, { ...expected.headers });
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("readPublishRequest keeps its own copy of the payload", () => {
  const bytes = toBinary(
    PublishRequestSchema,
    create(PublishRequestSchema, { topic: "t", payload: new Uint8Array([7]) }),
  );
  const { payload } = readPublishRequest(bytes, new Slab());
  bytes.fill(0);
  assert.deepEqual(payload, new Uint8Array([7]));
});

Deno.test("readPublishRequest refuses a cut request and a text that is not UTF-8, and says which", () => {
  const cases: [number[], RegExp][] = [
    [[0x0a], /cut/],
    [[0x0a, 5, 0x61], /longer than its message/],
    [[0x0a, 1, 0xff], /not UTF-8/],
    [[0x22, 3, 0x0a, 1, 0xff], /not UTF-8/],
    [[0x00, 0x01], /number 0/],
    [[0x0b], /wire type 3/],
    [[0x7b], /wire type 3/],
    [[0x0a, 0xff, 0xff, 0xff, 0xff, 0xff, 0x01], /over 32 bits/],
  ];
  for (const [bytes, message] of cases) {
    assert.throws(() => readPublishRequest(new Uint8Array(bytes), new Slab()), (error) => {
      assert.ok(error instanceof StatusError);
      assert.equal(error.code, Status.INVALID_ARGUMENT);
      assert.match(error.message, message);
      return true;
    });
  }
});
