import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Status, StatusError } from "@msgbus/grpc";
import { FetchRequestSchema, SubscribeRequestSchema } from "@msgbus/proto";
import fc from "fast-check";
import { readFetchRequest, readSubscribeRequest } from "./log_request.ts";
import { nodeNameOf } from "./node_id.ts";

const text = fc.string({ unit: "binary", maxLength: 40 }).filter((value) => value.isWellFormed());
const request = fc.record({
  topic: text,
  origin: fc.option(fc.record({ tenantId: text, blName: text, deviceId: text }), { nil: undefined }),
  fromHeadId: fc.bigInt(0n, 2n ** 64n - 1n),
  limit: fc.integer({ min: 0, max: 2 ** 32 - 1 }),
  archive: text,
});

function clamp(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

/** What the generated code says of a FetchRequest, in our form. */
function fetchOf(bytes: Uint8Array) {
  const { topic, origin, fromHeadId, limit, archive } = fromBinary(FetchRequestSchema, bytes);
  return { topic, origin: nodeNameOf(origin), fromHeadId: clamp(fromHeadId), limit, archive };
}

/** The same of a SubscribeRequest. */
function subscribeOf(bytes: Uint8Array) {
  const { topic, origin, fromHeadId, replayLimit } = fromBinary(SubscribeRequestSchema, bytes);
  return { topic, origin: nodeNameOf(origin), fromHeadId: clamp(fromHeadId), pageSize: replayLimit };
}

function encoded({ origin, ...rest }: typeof request extends fc.Arbitrary<infer T> ? T : never): Uint8Array {
  return toBinary(FetchRequestSchema, create(FetchRequestSchema, { ...rest, ...origin && { origin } }));
}

const readers = [
  { name: "readFetchRequest", read: readFetchRequest, expectation: fetchOf, typeName: "FetchRequest" },
  // A FetchRequest is a SubscribeRequest with one field that the latter does not know.
  {
    name: "readSubscribeRequest",
    read: readSubscribeRequest,
    expectation: subscribeOf,
    typeName: "SubscribeRequest",
  },
];

for (const { name, read, expectation, typeName } of readers) {
  Deno.test(`${name} agrees with the generated code on every request`, () => {
    fc.assert(fc.property(request, (init) => {
      const bytes = encoded(init);
      assert.deepEqual(read(bytes), expectation(bytes));
    }));
  });

  Deno.test(`${name} takes nothing that the generated code refuses, and reads the same`, () => {
    const seed = encoded({
      topic: "orders",
      origin: { tenantId: "t", blName: "b", deviceId: "d" },
      fromHeadId: 2n ** 63n + 300n,
      limit: 100,
      archive: "a",
    });
    const mutated = fc.tuple(fc.nat(seed.length - 1), fc.nat(255), fc.nat(seed.length)).map(
      ([at, octet, length]) => {
        const bytes = seed.slice(0, length);
        if (at < length) bytes[at] = octet;
        return bytes;
      },
    );
    const longLimit = fc.bigInt(0n, 2n ** 64n - 1n).map((limit) => {
      // SubscribeRequest and FetchRequest have a uint64 in field 3; the same bytes with the tag of field 4 are a long limit.
      const bytes = toBinary(FetchRequestSchema, create(FetchRequestSchema, { fromHeadId: limit }));
      if (bytes.length > 0) bytes[0] = 0x20;
      return bytes;
    });
    fc.assert(
      fc.property(fc.oneof(mutated, longLimit, fc.uint8Array({ maxLength: 60 })), (bytes) => {
        let expected: unknown;
        try {
          expected = expectation(bytes);
        } catch {
          // Refused: then ours must refuse it as well.
        }
        let actual: unknown;
        try {
          actual = read(bytes);
        } catch (error) {
          assert.ok(error instanceof StatusError && error.code === Status.INVALID_ARGUMENT, String(error));
          assert.equal(error.message, `Cannot read the request: it is no msgbus.v1.${typeName}`);
        }
        // The generated code reads groups, wrong wire types, texts that are no UTF-8, and lengths over 32 bits; ours refuses those.
        if (actual !== undefined) assert.deepEqual(actual, expected);
      }),
      { numRuns: 5_000 },
    );
  });
}

Deno.test("readFetchRequest and readSubscribeRequest skip fields that they do not know, whatever is in them", () => {
  const subscribe = Uint8Array.of(0x0a, 1, 0x61, 0x28, 1, 0x2a, 1, 0xff);
  assert.deepEqual(readSubscribeRequest(subscribe), {
    topic: "a",
    origin: undefined,
    fromHeadId: 0,
    pageSize: 0,
  });
  const fetch = Uint8Array.of(0x0a, 1, 0x61, 0x30, 1, 0x32, 1, 0xff);
  const nothing = { origin: undefined, fromHeadId: 0, limit: 0, archive: "" };
  assert.deepEqual(readFetchRequest(fetch), { topic: "a", ...nothing });
});
