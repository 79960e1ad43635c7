/**
 * A client of msgbus that is not ours: @grpc/grpc-js, run by Node. Takes the daemon's target as its argument, works
 * through the contract, and ends with 0 where everything was as CONTRACT.md says.
 */
import assert from "node:assert/strict";
import { create, type DescMethod, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { MsgbusService } from "@msgbus/proto";
import { StreamService } from "@msgbus/proto/stream";

const client = new grpc.Client(process.argv[2] ?? "", grpc.credentials.createInsecure(), {
  "grpc.max_receive_message_length": 8_388_608,
  "grpc.max_send_message_length": 8_388_608,
});

type Json = Record<string, unknown>;
type Methods = typeof MsgbusService.method;

function codecs(method: DescMethod) {
  return {
    path: `/${method.parent.typeName}/${method.name}`,
    serialize: (request: Json) => Buffer.from(toBinary(method.input, create(method.input, request))),
    // Messages are compared by their fields: the types of the generated code are checked elsewhere.
    deserialize: (bytes: Buffer) => fromBinary(method.output, bytes) as unknown as Json,
  };
}

function unary(
  name: keyof Methods,
  request: Json,
  options: grpc.CallOptions = {},
  metadata = new grpc.Metadata(),
): Promise<Json> {
  const { path, serialize, deserialize } = codecs(MsgbusService.method[name]);
  return new Promise((resolve, reject) => {
    client.makeUnaryRequest(path, serialize, deserialize, request, metadata, options, (error, response) => {
      if (error !== null) reject(error);
      else resolve(response ?? {});
    });
  });
}

function stream(
  name: keyof Methods,
  request: Json,
  options: grpc.CallOptions = {},
): grpc.ClientReadableStream<Json> {
  const { path, serialize, deserialize } = codecs(MsgbusService.method[name]);
  return client.makeServerStreamRequest(path, serialize, deserialize, request, options);
}

async function heads(responses: AsyncIterable<Json>): Promise<number[]> {
  const numbers: number[] = [];
  for await (const { message } of responses) numbers.push(Number((message as Json)["headId"]));
  return numbers;
}

async function fails(code: grpc.status, text: RegExp, call: Promise<unknown>): Promise<void> {
  await assert.rejects(call, (error: grpc.ServiceError) => {
    assert.equal(grpc.status[error.code], grpc.status[code]);
    assert.match(error.details, text);
    return true;
  });
}

const run = crypto.randomUUID();
const topic = `interop ${run} ünïcode`;
const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, index) => from + index);

const health = await unary("health", {});
assert.equal(health["status"], "SERVING");
const node = health["node"];
assert.equal((await unary("ready", {}))["ready"], true);

const { message } = await unary("publish", { topic, payload: Buffer.from("1"), headers: { a: "b" } }) as {
  message: Json;
};
assert.equal(message["headId"], 1n);
assert.deepEqual(message["origin"], node);
assert.deepEqual(Buffer.from(message["payload"] as Uint8Array), Buffer.from("1"));
assert.deepEqual({ ...message["headers"] as Json }, { a: "b" });

await Promise.all(range(2, 500).map(() => unary("publish", { topic, payload: Buffer.alloc(100) })));
assert.deepEqual(await heads(stream("fetch", { topic, fromHeadId: 10n, limit: 491 })), range(10, 500));
assert.deepEqual(await heads(stream("fetch", { topic: "nothing is here" })), []);
assert.equal((await unary("getHead", { topic }))["headId"], 500n);
assert.equal((await unary("getHead", { topic: "nothing is here" }))["found"], false);
const listed = (await unary("listHeads", {}))["heads"] as Json[];
assert.ok(listed.some((head) => head["topic"] === topic && head["headId"] === 500n));

const subscription = stream("subscribe", { topic, fromHeadId: 1n, replayLimit: 7 });
const received: number[] = [];
const following = new Promise<void>((resolve, reject) => {
  subscription.on("data", (response: Json) => {
    received.push(Number((response["message"] as Json)["headId"]));
    if (received.length === 500) {
      void Promise.all(range(501, 600).map(() => unary("publish", { topic }))).catch(reject);
    }
    if (received.length === 600) resolve();
  });
  subscription.on(
    "error",
    (error: grpc.ServiceError) => error.code === grpc.status.CANCELLED ? undefined : reject(error),
  );
});
await following;
subscription.cancel();
assert.deepEqual(received, range(1, 600));

await fails(
  grpc.status.DEADLINE_EXCEEDED,
  /./,
  heads(stream("subscribe", { topic, fromHeadId: 601n }, { deadline: Date.now() + 200 })),
);
await fails(grpc.status.INVALID_ARGUMENT, /topic/, unary("publish", { topic: " " }));
await fails(grpc.status.PERMISSION_DENIED, /reserved/, unary("publish", { topic: "$msgbus.delete" }));
await fails(
  grpc.status.PERMISSION_DENIED,
  /not\/this\/node/,
  unary("publish", { topic, origin: { tenantId: "not", blName: "this", deviceId: "node" } }),
);
await fails(
  grpc.status.INVALID_ARGUMENT,
  /from_head_id/,
  unary("deleteRange", { topic, fromHeadId: 2n, toHeadId: 1n }),
);
await fails(
  grpc.status.RESOURCE_EXHAUSTED,
  /limit/,
  unary("publish", { topic, payload: Buffer.alloc(4_194_304) }),
);
const unknown = new Promise((resolve, reject) => {
  client.makeUnaryRequest(
    "/msgbus.v1.MsgbusService/Nothing",
    (b: Buffer) => b,
    (b: Buffer) => b,
    Buffer.alloc(0),
    (error, response) => error === null ? resolve(response) : reject(error),
  );
});
await fails(grpc.status.UNIMPLEMENTED, /Nothing/, unknown);
const garbage = new Promise((resolve, reject) => {
  client.makeUnaryRequest(
    "/msgbus.v1.MsgbusService/Publish",
    (b: Buffer) => b,
    (b: Buffer) => b,
    Buffer.from([0x0a, 0x7f]),
    (error, response) => error === null ? resolve(response) : reject(error),
  );
});
await fails(grpc.status.INVALID_ARGUMENT, /request/, garbage);
const large = Buffer.alloc(4_100_000, 7);
await unary("publish", { topic: `${topic} large`, payload: large });
for await (const response of stream("fetch", { topic: `${topic} large` }) as AsyncIterable<Json>) {
  assert.deepEqual(Buffer.from((response["message"] as Json)["payload"] as Uint8Array), large);
}

/** Publishes with a client that compresses all it sends, and gets the answer in the same encoding. */
function publishCompressed(encoding: grpc.compressionAlgorithms): Promise<Json> {
  const compressing = new grpc.Client(process.argv[2] ?? "", grpc.credentials.createInsecure(), {
    "grpc.default_compression_algorithm": encoding,
  });
  const { path, serialize, deserialize } = codecs(MsgbusService.method.publish);
  const request = { topic: `${topic} compressed`, payload: large };
  return new Promise((resolve, reject) => {
    compressing.makeUnaryRequest(path, serialize, deserialize, request, (error, response) => {
      compressing.close();
      if (error === null) resolve(response as Json);
      else reject(error);
    });
  });
}
const compressed = (await publishCompressed(grpc.compressionAlgorithms.gzip))["message"] as Json;
assert.deepEqual(Buffer.from(compressed["payload"] as Uint8Array), large);
await fails(grpc.status.UNIMPLEMENTED, /deflate/, publishCompressed(grpc.compressionAlgorithms.deflate));

assert.equal((await unary("deleteRange", { topic, fromHeadId: 1n, toHeadId: 2n }))["deletedCount"], 2n);
const deleted: boolean[] = [];
for await (const response of stream("fetch", { topic, limit: 3 }) as AsyncIterable<Json>) {
  deleted.push((response["message"] as Json)["deleted"] as boolean);
}
assert.deepEqual(deleted, [true, true, false]);

const queue = `queue ${run}`;
await fails(grpc.status.NOT_FOUND, /queue/, unary("peekFifo", { queue }));
await fails(grpc.status.INVALID_ARGUMENT, /target/, unary("enqueueFifo", { queue, topic: "t" }));
const queued = (await unary("enqueueFifo", { queue, topic: "t", target: node, payload: Buffer.from("job") }))[
  "message"
] as Json;
assert.equal((await unary("rejectFifo", { queue, messageId: queued["id"] }))["accepted"], true);
assert.equal(((await unary("peekFifo", { queue }))["message"] as Json)["attempts"], 1);
assert.equal((await unary("ackFifo", { queue, messageId: "another" }))["accepted"], false);
assert.equal((await unary("ackFifo", { queue, messageId: queued["id"] }))["accepted"], true);
assert.deepEqual((await unary("listPeerSyncStates", {}))["states"], []);

/** Opens a call of StreamService. */
function bidi(name: keyof typeof StreamService.method): grpc.ClientDuplexStream<Json, Json> {
  const { path, serialize, deserialize } = codecs(StreamService.method[name]);
  return client.makeBidiStreamRequest(path, serialize, deserialize);
}

const streamed = `streamed.${run}.a`;
const publishing = bidi("publishStream");
publishing.write({ messages: [1, 2, 3].map((n) => ({ topic: streamed, payload: Buffer.from(`${n}`) })) });
publishing.write({
  messages: [{ topic: "" }, { topic: streamed, payload: Buffer.from("4"), headers: { a: "b" } }],
});
publishing.end();
const outcomes: Json[] = [];
for await (const response of publishing as AsyncIterable<Json>) outcomes.push(response);
assert.deepEqual((outcomes[0]?.["welcome"] as Json)["node"], node);
assert.equal(outcomes.at(-1)?.["acknowledged"], 5n);
const runs = outcomes.flatMap((response) => response["published"] as Json[]);
assert.equal(runs.reduce((sum, { count }) => sum + (count as number), 0), 4);
const refused = outcomes.flatMap((response) => response["refused"] as Json[]);
assert.deepEqual(refused.map(({ firstSequence, code }) => [firstSequence, code]), [[
  4n,
  grpc.status.INVALID_ARGUMENT,
]]);

const consuming = bidi("consume");
consuming.write({
  start: { patterns: [`streamed.${run}.*`] },
  credit: { messages: 3n, bytes: 1000n },
});
const payloads: string[] = [];
for await (const response of consuming as AsyncIterable<Json>) {
  for (const batch of response["batches"] as Json[]) {
    for (const message of batch["messages"] as Json[]) {
      payloads.push(Buffer.from(message["payload"] as Uint8Array).toString());
    }
  }
  if (payloads.length === 3) consuming.write({ credit: { messages: 1n, bytes: 1n } });
  if (response["caughtUp"] === true) break;
}
consuming.cancel();
assert.deepEqual(payloads, ["1", "2", "3", "4"]);

client.close();
console.log("ok");
