import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { FetchResponseSchema, PublishResponseSchema, SubscribeResponseSchema } from "@msgbus/proto";
import fc from "fast-check";
import { encodeHeaders } from "../bus/headers.ts";
import { Message } from "../bus/message.ts";
import { EnvelopeEncoder } from "./envelope.ts";

const text = fc.string({ unit: "binary", maxLength: 20 }).filter((value) => value.isWellFormed());
const message = fc.record({
  topic: text.filter((topic) => topic !== ""),
  origin: fc.record({ tenantId: text, blName: text, deviceId: text }),
  headId: fc.maxSafeNat().map((head) => head + 1),
  id: fc.uuid(),
  createdAtMs: fc.maxSafeNat(),
  payload: fc.uint8Array({ maxLength: 300 }),
  headers: fc.dictionary(text, text, { maxKeys: 4 }),
  deleted: fc.boolean(),
});

function messageOf(m: typeof message extends fc.Arbitrary<infer T> ? T : never): Message {
  return new Message(
    m.topic,
    m.origin,
    m.headId,
    1,
    m.id,
    m.createdAtMs,
    m.payload,
    encodeHeaders(m.headers),
    m.deleted,
  );
}

Deno.test("EnvelopeEncoder.encode agrees with the generated code for all three responses", () => {
  const encoder = new EnvelopeEncoder();
  fc.assert(fc.property(message, (m) => {
    const bytes = encoder.encode(messageOf(m)).message;
    for (const schema of [PublishResponseSchema, FetchResponseSchema, SubscribeResponseSchema]) {
      const { message: envelope } = fromBinary(schema, bytes);
      assert.ok(envelope !== undefined);
      const { $typeName: _, $unknown: __, ...origin } = envelope.origin ??
        assert.fail("the origin is missing");
      assert.deepEqual(origin, { ...m.origin });
      assert.equal(envelope.id, m.id);
      assert.equal(envelope.topic, m.topic);
      assert.equal(envelope.headId, BigInt(m.headId));
      assert.equal(envelope.createdAtMs, BigInt(m.createdAtMs));
      assert.deepEqual(envelope.payload, m.payload);
      assert.deepEqual({ ...envelope.headers }, { ...m.headers });
      assert.equal(envelope.deleted, m.deleted);
    }
  }));
});

Deno.test("EnvelopeEncoder.encode encodes a message once, however often it is asked", () => {
  const encoder = new EnvelopeEncoder();
  const [m] = fc.sample(message, 1);
  const once = messageOf(m ?? assert.fail("a sample"));
  assert.equal(encoder.encode(once), encoder.encode(once));
});

Deno.test("EnvelopeEncoder keeps logs of the same topic and different origins apart", () => {
  const encoder = new EnvelopeEncoder();
  const payload = new Uint8Array(0);
  for (const deviceId of ["a", "b", "a"]) {
    const origin = { tenantId: "t", blName: "b", deviceId };
    const bytes =
      encoder.encode(new Message("topic", origin, 1, 1, "id", 1, payload, payload, false)).message;
    assert.equal(fromBinary(FetchResponseSchema, bytes).message?.origin?.deviceId, deviceId);
  }
});
