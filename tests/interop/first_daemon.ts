/**
 * A daemon like the first implementation, on the server of @grpc/grpc-js, run by Node: MsgbusService with what a peer
 * asks for, and no SyncService. Prints its port; publishes each line of its standard input to the topic "t", deletes
 * message N at "delete N", and ends with its input.
 */
import { create, type DescMethod, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { createInterface } from "node:readline";
import { randomUUID } from "node:crypto";
import {
  FetchRequestSchema,
  GetHeadRequestSchema,
  type MessageEnvelopeSchema,
  MsgbusService,
} from "@msgbus/proto";

type Envelope = MessageInitShape<typeof MessageEnvelopeSchema> & { topic: string; headId: bigint };

type Json = Record<string, unknown>;

const node = { tenantId: "tenant", blName: "default", deviceId: "first" };
const logs = new Map<string, Envelope[]>();

function publish(topic: string, payload: string): void {
  const log = logs.get(topic) ?? [];
  logs.set(topic, log);
  log.push({
    id: randomUUID(),
    topic,
    origin: node,
    headId: BigInt(log.length + 1),
    payload: Buffer.from(payload),
    headers: { a: "b" },
    createdAtMs: BigInt(Date.now()),
    deleted: false,
  });
}

function deleteAt(headId: number): void {
  const message = logs.get("t")?.[headId - 1];
  if (message === undefined) return;
  Object.assign(message, { deleted: true, payload: Buffer.alloc(0), headers: {} });
  const origin = { tenant_id: node.tenantId, bl_name: node.blName, device_id: node.deviceId };
  const range = { topic: "t", origin, from_head_id: headId, to_head_id: headId, created_at_ms: Date.now() };
  publish("$msgbus.delete", JSON.stringify(range));
}

function method({ name, output, methodKind }: DescMethod) {
  return {
    path: `/msgbus.v1.MsgbusService/${name}`,
    requestStream: false,
    responseStream: methodKind === "server_streaming",
    requestSerialize: (bytes: Buffer) => bytes,
    requestDeserialize: (bytes: Buffer) => bytes,
    responseSerialize: (response: Json) => Buffer.from(toBinary(output, create(output, response))),
    responseDeserialize: (bytes: Buffer) => bytes,
  };
}

type Unary = grpc.ServerUnaryCall<Buffer, Json>;
type Answer = grpc.sendUnaryData<Json>;

const { health, listHeads, getHead, fetch } = MsgbusService.method;
const server = new grpc.Server();
server.addService({
  health: method(health),
  listHeads: method(listHeads),
  getHead: method(getHead),
  fetch: method(fetch),
}, {
  health: (_: Unary, answer: Answer) => answer(null, { status: "SERVING", node }),
  listHeads(_: Unary, answer: Answer) {
    const heads = [...logs].map(([topic, log]) => ({ topic, origin: node, headId: BigInt(log.length) }));
    answer(null, { heads });
  },
  getHead(call: Unary, answer: Answer) {
    const log = logs.get(fromBinary(GetHeadRequestSchema, call.request).topic);
    answer(null, { headId: BigInt(log?.length ?? 0), found: log !== undefined });
  },
  fetch(call: grpc.ServerWritableStream<Buffer, Json>) {
    const { topic, fromHeadId, limit } = fromBinary(FetchRequestSchema, call.request);
    const from = Math.max(1, Number(fromHeadId)) - 1;
    for (const message of (logs.get(topic) ?? []).slice(from, from + (limit || 100))) call.write({ message });
    call.end();
  },
});

// Names that no daemon of ours takes.
for (const topic of ["x".repeat(2_000), "a\0b", " "]) publish(topic, "of a topic that can't be");
for (let number = 1; number <= 250; number++) publish("t", `message ${number}`);
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(String(port));
});
for await (const line of createInterface({ input: process.stdin })) {
  const deleted = /^delete (\d+)$/.exec(line)?.[1];
  if (deleted === undefined) publish("t", line);
  else deleteAt(Number(deleted));
}
server.forceShutdown();
