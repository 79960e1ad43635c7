/** The rival for the gRPC core alone: @grpc/grpc-js as a server on Deno, with an answer of the same size and no store. */
import { Buffer } from "node:buffer";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import { PublishRequestSchema, PublishResponseSchema } from "@msgbus/proto";

const server = new grpc.Server();
let headId = 0n;
server.addService({
  publish: {
    path: "/msgbus.v1.MsgbusService/Publish",
    requestStream: false,
    responseStream: false,
    requestSerialize: (request: Uint8Array) => Buffer.from(request),
    requestDeserialize: (bytes: Uint8Array) => fromBinary(PublishRequestSchema, bytes),
    responseSerialize: (response: Uint8Array) => Buffer.from(response),
    responseDeserialize: (bytes: Uint8Array) => bytes,
  },
}, {
  publish(
    call: { request: { topic: string; payload: Uint8Array } },
    done: (error: null, response: unknown) => void,
  ) {
    const { topic, payload } = call.request;
    const message = {
      id: crypto.randomUUID(),
      topic,
      origin: { tenantId: "tenant", blName: "default", deviceId: "device" },
      headId: ++headId,
      payload,
      createdAtMs: BigInt(Date.now()),
    };
    done(null, toBinary(PublishResponseSchema, create(PublishResponseSchema, { message })));
  },
});
server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(`127.0.0.1:${port}`);
});
