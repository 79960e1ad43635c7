import assert from "node:assert/strict";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { PublishedRunSchema, PublishRefusalSchema, PublishStreamResponseSchema } from "@msgbus/proto/stream";
import fc from "fast-check";
import { BusError } from "../bus/error.ts";
import type { PublishOutcome } from "../bus/requests.ts";
import { Uuid } from "../bus/uuid.ts";
import { encodeOutcomes, type SettledBatch } from "./publish_stream_response.ts";
import { statusCodeOf } from "./status.ts";

const safe = fc.oneof(fc.nat(), fc.maxSafeNat());
const count = fc.oneof(fc.nat(), fc.constantFrom(0, 127, 128, 2 ** 32 - 1));
const place = { at: fc.nat({ max: 10_000 }), count };
const published = fc.record({
  kind: fc.constant("published" as const),
  ...place,
  headId: safe,
  uuid: fc.uuid().map((text) => Uuid.parse(text) ?? assert.fail(text)),
  createdAtMs: safe,
  duplicate: fc.boolean(),
  deleted: fc.boolean(),
});
const refused = fc.record({
  kind: fc.constant("refused" as const),
  ...place,
  error: fc.tuple(
    fc.constantFrom("invalid_argument" as const, "resource_exhausted" as const),
    fc.oneof(fc.string({ unit: "binary", maxLength: 300 }), fc.constant("x".repeat(20_000))),
  ).map(([code, message]) => new BusError(code, message.toWellFormed())),
});
const batch: fc.Arbitrary<SettledBatch> = fc.record({
  firstSequence: fc.maxSafeNat().map((sequence) => Math.max(1, Math.floor(sequence / 2))),
  count: fc.integer({ min: 1, max: 10_000 }),
  outcomes: fc.array<PublishOutcome>(fc.oneof({ weight: 3, arbitrary: published }, refused), {
    maxLength: 6,
  }),
});

/** The same by the generated code. */
function generated(batches: readonly SettledBatch[]): Uint8Array {
  const response = create(PublishStreamResponseSchema);
  for (const { firstSequence, count, outcomes } of batches) {
    response.acknowledged = BigInt(firstSequence + count - 1);
    for (const outcome of outcomes) {
      const which = { firstSequence: BigInt(firstSequence + outcome.at), count: outcome.count };
      if (outcome.kind === "refused") {
        const { error } = outcome;
        const why = { code: statusCodeOf(error), message: error.message };
        response.refused.push(create(PublishRefusalSchema, { ...which, ...why }));
        continue;
      }
      const { headId, uuid, createdAtMs, duplicate, deleted } = outcome;
      response.published.push(
        create(PublishedRunSchema, {
          ...which,
          firstHeadId: BigInt(headId),
          firstUuid: Uint8Array.fromHex(uuid.text.replaceAll("-", "")),
          createdAtMs: BigInt(createdAtMs),
          duplicate,
          deleted,
        }),
      );
    }
  }
  return toBinary(PublishStreamResponseSchema, response);
}

Deno.test("encodeOutcomes writes what the generated code writes", () => {
  fc.assert(
    fc.property(fc.array(batch, { minLength: 1, maxLength: 5 }), (batches) => {
      assert.deepEqual(encodeOutcomes(batches), generated(batches));
    }),
    { seed: 7, numRuns: 300 },
  );
});

Deno.test("encodeOutcomes of thousands of runs is whole, and the next one has nothing of it", () => {
  const run = {
    kind: "published",
    count: 1,
    headId: 1,
    uuid: Uuid.parse("0198f2a4-7c11-7abc-8def-0123456789ab") ?? assert.fail(),
    createdAtMs: 1_700_000_000_000,
    duplicate: false,
    deleted: false,
  } as const;
  const outcomes = Array.from({ length: 4_000 }, (_, at) => ({ ...run, at }));
  const many = fromBinary(
    PublishStreamResponseSchema,
    encodeOutcomes([{ firstSequence: 1, count: 4_000, outcomes }]),
  );
  assert.equal(many.published.length, 4_000);
  assert.equal(many.published.at(-1)?.firstSequence, 4_000n);
  const none = fromBinary(
    PublishStreamResponseSchema,
    encodeOutcomes([{ firstSequence: 4_001, count: 1, outcomes: [] }]),
  );
  assert.deepEqual([none.acknowledged, none.published.length], [4_001n, 0]);
});
