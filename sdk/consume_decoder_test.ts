import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { ConsumeResponseSchema } from "@msgbus/proto/stream";
import fc from "fast-check";
import assert from "node:assert/strict";
import { ConsumeDecoder } from "./consume_decoder.ts";
import { MsgbusError } from "./error.ts";

const text = fc.string({ unit: "binary", maxLength: 20 }).filter((value) => value.isWellFormed());
const uuid = fc.uint8Array({ minLength: 16, maxLength: 16 });
const content = fc.record({
  payload: fc.uint8Array({ maxLength: 200 }),
  headers: fc.dictionary(text, text, { maxKeys: 3 }),
  createdAtMs: fc.oneof(fc.constant(0n), fc.bigInt(1n, 2n ** 52n)),
  deleted: fc.boolean(),
});
const identity = fc.oneof(
  fc.constant({}),
  uuid.map((uuid) => ({ uuid })),
  text.filter((id) => id !== "").map((id) => ({ id })),
);
const messages = fc.tuple(uuid, fc.array(fc.tuple(identity, content), { maxLength: 8 })).map(
  ([first, rest]) =>
    rest.map(([identity, content], at) => {
      // Only behind a UUID a message may go without an id.
      const counted = at > 0 && !("id" in (rest[at - 1]?.[0] ?? {}));
      return { ...content, ...(counted || "id" in identity ? identity : { uuid: first }) };
    }),
);
const node = fc.record({ tenantId: text, blName: text, deviceId: text });
const response = fc.record({
  logs: fc.array(fc.record({ log: fc.bigInt(1n, 3n), topic: text, origin: node }), { maxLength: 3 }),
  batches: fc.array(
    fc.record({ log: fc.bigInt(1n, 3n), firstHeadId: fc.bigInt(1n, 2n ** 50n), messages }),
    { maxLength: 3 },
  ),
  cursor: text,
  caughtUp: fc.boolean(),
});

const KNOWN = [1n, 2n, 3n].map((log) => ({
  log,
  topic: `t${log}`,
  origin: { tenantId: "t", blName: "b", deviceId: "d" },
}));

/** What the generated code says of the answer to a call that knows the logs 1, 2 and 3. */
function expectation(bytes: Uint8Array) {
  const { logs, batches, cursor, caughtUp } = fromBinary(ConsumeResponseSchema, bytes);
  const known = new Map([...KNOWN, ...logs].map((log) => [log.log, log]));
  const all = batches.flatMap(({ log, firstHeadId, messages }) => {
    let id: bigint | undefined;
    return messages.map((message, at) => {
      if (message.uuid.length > 0) id = BigInt(`0x${message.uuid.toHex()}`);
      else if (message.id !== "") id = undefined;
      else if (id !== undefined) id = BigInt.asUintN(128, id + 1n);
      const { topic, origin } = known.get(log) ?? assert.fail("unknown log");
      const hex = id?.toString(16).padStart(32, "0") ?? "";
      return {
        id: id === undefined
          ? message.id
          : hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5"),
        topic,
        origin: { tenantId: origin?.tenantId, blName: origin?.blName, deviceId: origin?.deviceId },
        headId: Number(firstHeadId) + at,
        payload: new Uint8Array(message.payload),
        headers: { ...message.headers },
        createdAtMs: message.createdAtMs > 0n ? Number(message.createdAtMs) : undefined,
        deleted: message.deleted,
      };
    });
  });
  return { messages: all, cursor, caughtUp };
}

function decoder(): ConsumeDecoder {
  const decoder = new ConsumeDecoder();
  decoder.decode(toBinary(ConsumeResponseSchema, create(ConsumeResponseSchema, { logs: KNOWN })));
  return decoder;
}

function decoded(bytes: Uint8Array, expected: ReturnType<typeof expectation>) {
  const { messages, cursor, caughtUp } = decoder().decode(bytes);
  return {
    messages: messages.map((message, at) => ({
      id: message.id,
      topic: message.topic,
      origin: { ...message.origin },
      headId: message.headId,
      payload: new Uint8Array(message.payload),
      headers: { ...message.headers },
      // Where it is not said, it is the time in the id, which another test looks at.
      createdAtMs: expected.messages[at]?.createdAtMs === undefined ? undefined : message.createdAtMs,
      deleted: message.deleted,
    })),
    cursor,
    caughtUp,
  };
}

Deno.test("ConsumeDecoder agrees with the generated code on every answer", () => {
  fc.assert(fc.property(response, (init) => {
    const bytes = toBinary(ConsumeResponseSchema, create(ConsumeResponseSchema, init));
    const expected = expectation(bytes);
    assert.deepEqual(decoded(bytes, expected), expected);
  }));
});

Deno.test("ConsumeDecoder takes the time from an id that carries it, also where ids are counted on", () => {
  const uuid = Uint8Array.fromHex("018bcfe56800700080000000000000ff");
  const bytes = toBinary(
    ConsumeResponseSchema,
    create(ConsumeResponseSchema, { batches: [{ log: 1n, firstHeadId: 1n, messages: [{ uuid }, {}] }] }),
  );
  const { messages } = decoder().decode(bytes);
  assert.deepEqual(messages.map(({ id, createdAtMs }) => [id, createdAtMs]), [
    ["018bcfe5-6800-7000-8000-0000000000ff", 1_700_000_000_000],
    ["018bcfe5-6800-7000-8000-000000000100", 1_700_000_000_000],
  ]);
});

Deno.test("ConsumeDecoder counts what the daemon counts against the credit: payloads and encoded headers", () => {
  const message = { uuid: new Uint8Array(16), payload: new Uint8Array(5), headers: { a: "bc" } };
  const bytes = toBinary(
    ConsumeResponseSchema,
    create(ConsumeResponseSchema, { batches: [{ log: 1n, firstHeadId: 1n, messages: [message] }] }),
  );
  assert.equal(decoder().decode(bytes).bytes, 5 + 9);
});

Deno.test("ConsumeDecoder passes over fields that it does not know, and says DATA_LOSS of what is damaged", () => {
  const seed = toBinary(
    ConsumeResponseSchema,
    create(ConsumeResponseSchema, {
      batches: [{
        log: 2n,
        firstHeadId: 7n,
        messages: [{ uuid: new Uint8Array(16), payload: new Uint8Array(3) }],
      }],
      cursor: "c",
    }),
  );
  const more = new Uint8Array([
    ...seed,
    0x7a,
    2,
    1,
    2,
    0x78,
    1,
    0x7d,
    1,
    2,
    3,
    4,
    0x79,
    1,
    2,
    3,
    4,
    5,
    6,
    7,
    8,
  ]);
  assert.equal(decoder().decode(more).messages[0]?.headId, 7);
  for (let length = 1; length < seed.length; length++) {
    try {
      decoder().decode(seed.slice(0, length));
    } catch (error) {
      assert.ok(error instanceof MsgbusError && error.code === "DATA_LOSS", `${length}: ${error}`);
    }
  }
  const unknown = toBinary(
    ConsumeResponseSchema,
    create(ConsumeResponseSchema, { batches: [{ log: 9n, messages: [{ uuid: new Uint8Array(16) }] }] }),
  );
  assert.throws(() => decoder().decode(unknown), { code: "DATA_LOSS" });
});
