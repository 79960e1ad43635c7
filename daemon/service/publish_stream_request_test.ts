import assert from "node:assert/strict";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { Status, StatusError } from "@msgbus/grpc";
import { PublishStreamRequestSchema } from "@msgbus/proto/stream";
import fc from "fast-check";
import { decodeHeaders } from "../bus/headers.ts";
import { PublishStreamRequestReader } from "./publish_stream_request.ts";

const text = fc.string({ unit: "binary", maxLength: 40 }).filter((value) => value.isWellFormed());
const message = fc.record({
  topic: fc.oneof(fc.constantFrom("a", "b"), text),
  payload: fc.uint8Array({ maxLength: 300 }),
  headers: fc.dictionary(text, text, { maxKeys: 3 }),
  idempotencyKey: fc.oneof(fc.constant(""), text),
});
const request = fc.record({
  producer: fc.option(fc.record({ id: text, epoch: fc.bigInt(0n, 2n ** 64n - 1n) }), { nil: undefined }),
  firstSequence: fc.bigInt(0n, 2n ** 64n - 1n),
  messages: fc.array(message, { maxLength: 6 }),
});

/** What the generated code says of a request, in our form. */
function expectation(bytes: Uint8Array) {
  const { producer, firstSequence, messages } = fromBinary(PublishStreamRequestSchema, bytes);
  return {
    producer: producer && { id: producer.id, epoch: clamp(producer.epoch) },
    firstSequence: clamp(firstSequence),
    messages: messages.map(({ topic, payload, headers, idempotencyKey }) => ({
      topic,
      payload: new Uint8Array(payload),
      headers: { ...headers },
      key: idempotencyKey,
    })),
  };
}

function clamp(value: bigint): number {
  return value > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(value);
}

function reading(reader: PublishStreamRequestReader, bytes: Uint8Array) {
  const { producer, firstSequence, messages } = reader.read(bytes);
  return {
    producer: producer && { ...producer },
    firstSequence,
    messages: messages.map(({ topic, payload, headers, key = "" }) => ({
      topic,
      payload: new Uint8Array(payload),
      headers: { ...decodeHeaders(headers) },
      key,
    })),
  };
}

Deno.test("PublishStreamRequestReader agrees with the generated code on every request", () => {
  const reader = new PublishStreamRequestReader();
  fc.assert(fc.property(request, ({ producer, ...rest }) => {
    const init = { ...rest, ...producer && { producer } };
    const bytes = toBinary(PublishStreamRequestSchema, create(PublishStreamRequestSchema, init));
    assert.deepEqual(reading(reader, bytes), expectation(bytes));
  }));
});

Deno.test("PublishStreamRequestReader takes nothing that the generated code refuses, and reads the same", () => {
  const seed = toBinary(
    PublishStreamRequestSchema,
    create(PublishStreamRequestSchema, {
      producer: { id: "p", epoch: 3n },
      firstSequence: 300n,
      messages: [
        {
          topic: "orders",
          payload: new Uint8Array([1, 2, 3]),
          headers: { a: "b", c: "" },
          idempotencyKey: "k",
        },
        { topic: "orders", payload: new Uint8Array([4]) },
      ],
    }),
  );
  const mutated = fc.tuple(fc.nat(seed.length - 1), fc.nat(255), fc.nat(seed.length)).map(
    ([at, octet, length]) => {
      const bytes = seed.slice(0, length);
      if (at < length) bytes[at] = octet;
      return bytes;
    },
  );
  const reader = new PublishStreamRequestReader();
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 60 })), (bytes) => {
      let expected: ReturnType<typeof expectation> | undefined;
      try {
        expected = expectation(bytes);
      } catch {
        // Refused: then ours must refuse it as well.
      }
      let read: ReturnType<typeof reading> | undefined;
      try {
        read = reading(reader, bytes);
      } catch (error) {
        assert.ok(error instanceof StatusError && error.code === Status.INVALID_ARGUMENT, String(error));
      }
      // The generated code reads groups, wrong wire types, texts that are no UTF-8, and lengths over 32 bits; ours refuses those.
      if (read !== undefined) assert.deepEqual(read, expected);
    }),
    { numRuns: 5_000 },
  );
});

Deno.test("PublishStreamRequestReader gives payloads as views, and all else as its own", () => {
  const reader = new PublishStreamRequestReader();
  const entry = { topic: "t", payload: new Uint8Array([1, 2, 3]), headers: { a: "b" }, idempotencyKey: "k" };
  const bytes = toBinary(
    PublishStreamRequestSchema,
    create(PublishStreamRequestSchema, { producer: { id: "p" }, messages: [entry] }),
  );
  const { producer, messages: [message] } = reader.read(bytes);
  bytes.fill(0xff);
  assert.deepEqual(message?.payload, new Uint8Array([0xff, 0xff, 0xff]));
  assert.equal(message?.payload.buffer, bytes.buffer);
  assert.deepEqual([producer?.id, message?.topic, message?.key], ["p", "t", "k"]);
  assert.equal(decodeHeaders(message?.headers ?? bytes).a, "b");
});

Deno.test("PublishStreamRequestReader keeps no request in memory that it has read", async () => {
  const reader = new PublishStreamRequestReader();
  const read = () => {
    const request = create(PublishStreamRequestSchema, { messages: [{ topic: "t" }] });
    const bytes = toBinary(PublishStreamRequestSchema, request);
    reader.read(bytes);
    return new WeakRef(bytes);
  };
  const bytes = read();
  await new Promise((resolve) => setTimeout(resolve, 0)); // a reference is only weak in the turn after its own
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  assert.equal(bytes.deref(), undefined);
  assert.deepEqual(reader.read(new Uint8Array()).messages, []);
});
