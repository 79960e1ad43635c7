import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { type MessageEnvelopeSchema, SubscribeResponseSchema } from "@msgbus/proto";
import fc from "fast-check";
import assert from "node:assert/strict";
import { MsgbusError } from "./error.ts";
import type { Message } from "./message.ts";
import { MessageDecoder } from "./message_decoder.ts";

const MAX = BigInt(Number.MAX_SAFE_INTEGER);
const text = fc.string({ unit: "binary", maxLength: 40 }).map((value) => value.toWellFormed());
const node = fc.record({ tenantId: text, blName: text, deviceId: text });
const envelope = fc.record({
  id: text,
  topic: text,
  headId: fc.bigInt({ min: 0n, max: MAX }),
  payload: fc.uint8Array({ maxLength: 300 }),
  headers: fc.dictionary(text, text, { maxKeys: 3 }),
  createdAtMs: fc.bigInt({ min: 0n, max: MAX }),
  deleted: fc.boolean(),
}, { requiredKeys: [] }).chain((fields) =>
  fc.option(node, { nil: undefined }).map((origin) => ({ ...fields, ...(origin && { origin }) }))
);

function wireOf(message: MessageInitShape<typeof MessageEnvelopeSchema>): Uint8Array {
  return toBinary(SubscribeResponseSchema, create(SubscribeResponseSchema, { message }));
}

function fieldsOf(message: Message) {
  const { id, topic, headId, createdAtMs, deleted } = message;
  return {
    id,
    topic,
    origin: { ...message.origin },
    headId,
    payload: [...message.payload],
    headers: Object.entries(message.headers).sort(),
    createdAtMs,
    deleted,
  };
}

/** What the generated code makes of the same bytes. */
function expectedOf(wire: Uint8Array) {
  const message = fromBinary(SubscribeResponseSchema, wire).message;
  if (message === undefined) return assert.fail("the response has no message");
  const { tenantId = "", blName = "", deviceId = "" } = message.origin ?? {};
  return {
    id: message.id,
    topic: message.topic,
    origin: { tenantId, blName, deviceId },
    headId: Number(message.headId),
    payload: [...message.payload],
    headers: Object.entries(message.headers).sort(),
    createdAtMs: Number(message.createdAtMs),
    deleted: message.deleted,
  };
}

Deno.test("MessageDecoder reads what the generated code reads", () => {
  // One decoder for all: what it keeps of one message must not show in the next.
  const decoder = new MessageDecoder();
  fc.assert(
    fc.property(envelope, (fields) => {
      const wire = wireOf(fields);
      assert.deepEqual(fieldsOf(decoder.decode(wire)), expectedOf(wire));
    }),
    { numRuns: 500 },
  );
});

const bytes = (...octets: number[]) => Uint8Array.from(octets);
const nested = (inner: Uint8Array) => bytes(0x0a, inner.length, ...inner);

const UNUSUAL: Readonly<Record<string, Uint8Array>> = {
  "an unknown field": nested(bytes(0x20, 7, 0x7a, 1, 65)),
  "an unknown field beside the message": bytes(...nested(bytes(0x20, 7)), 0x78, 1),
  "a field twice": nested(bytes(0x20, 7, 0x20, 9)),
  "fields out of order": nested(bytes(0x38, 9, 0x20, 7)),
  "an origin in two parts": nested(bytes(0x1a, 3, 0x0a, 1, 65, 0x1a, 3, 0x12, 1, 66)),
  "an origin out of order": nested(bytes(0x1a, 6, 0x12, 1, 66, 0x0a, 1, 65)),
  "the message in two parts": bytes(...nested(bytes(0x20, 7)), ...nested(bytes(0x12, 1, 65))),
  "a number with idle octets": nested(bytes(0x20, 0x87, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0)),
  "a tag with idle octets": nested(bytes(0xa0, 0x00, 7)),
  "a header without name": nested(bytes(0x32, 3, 0x12, 1, 65)),
  "text with a byte order mark": wireOf({
    id: "\ufeffid",
    topic: "\ufefftopic",
    headers: { "\ufeffa": "\ufeffb" },
  }),
  "nothing in the message": nested(bytes()),
};

for (const [name, wire] of Object.entries(UNUSUAL)) {
  Deno.test(`MessageDecoder reads ${name} as the generated code does`, () => {
    assert.deepEqual(fieldsOf(new MessageDecoder().decode(wire)), expectedOf(wire));
  });
}

Deno.test("MessageDecoder shows text that is not UTF-8 as U+FFFD", () => {
  const { id, topic } = new MessageDecoder().decode(nested(bytes(0x0a, 1, 0xff, 0x12, 1, 0xfe)));
  assert.deepEqual([id, topic], ["\ufffd", "\ufffd"]);
});

Deno.test("MessageDecoder refuses a message cut at any byte", () => {
  const wire = wireOf({
    id: "an id",
    topic: "orders",
    origin: { tenantId: "t", blName: "b", deviceId: "d" },
    headId: 300n,
    payload: new TextEncoder().encode("payload"),
    headers: { a: "b" },
    createdAtMs: 1_700_000_000_000n,
  });
  for (let cut = 0; cut < wire.length; cut++) {
    assert.throws(() => new MessageDecoder().decode(wire.subarray(0, cut)), MsgbusError, `cut at ${cut}`);
  }
});

Deno.test("MessageDecoder refuses a head beyond the safe integers with DATA_LOSS", () => {
  assert.throws(() => new MessageDecoder().decode(wireOf({ headId: MAX + 1n })), { code: "DATA_LOSS" });
});

Deno.test("MessageDecoder knows a topic by its own copy of the bytes", () => {
  const decoder = new MessageDecoder();
  const first = wireOf({ topic: "orders" });
  decoder.decode(first);
  const others = wireOf({ topic: "others" });
  first.set(others);
  assert.equal(decoder.decode(others).topic, "others");
});

Deno.test("MessageDecoder takes a header called __proto__ as a header like any other", () => {
  const name = new TextEncoder().encode("__proto__");
  const entry = bytes(0x0a, name.length, ...name, 0x12, 1, 65);
  const { headers } = new MessageDecoder().decode(nested(bytes(0x32, entry.length, ...entry)));
  assert.deepEqual(Object.entries(headers), [["__proto__", "A"]]);
});
