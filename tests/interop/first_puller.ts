/**
 * Pulls from a daemon as the first implementation does, with @grpc/grpc-js under Node: Health, ListHeads and Fetch of
 * what is missing, round after round, until it has as many messages as it was told. Prints what it has as JSON.
 */
import { create, type DescMethod, fromBinary, toBinary } from "@bufbuild/protobuf";
import * as grpc from "@grpc/grpc-js";
import {
  FetchRequestSchema,
  FetchResponseSchema,
  HealthResponseSchema,
  ListHeadsResponseSchema,
  MsgbusService,
} from "@msgbus/proto";

const [target = "", wanted = "0"] = process.argv.slice(2);
const client = new grpc.Client(target, grpc.credentials.createInsecure());
const bytes = (buffer: Buffer) => buffer;
const pathOf = ({ name }: DescMethod) => `/msgbus.v1.MsgbusService/${name}`;
const BATCH_MESSAGES = 100;

function unary(method: DescMethod): Promise<Buffer> {
  return new Promise((resolve, reject) =>
    client.makeUnaryRequest(pathOf(method), bytes, bytes, Buffer.alloc(0), (error, answer) => {
      if (error === null && answer !== undefined) resolve(answer);
      else reject(error);
    })
  );
}

const { health, listHeads, fetch } = MsgbusService.method;
const { status, node } = fromBinary(HealthResponseSchema, await unary(health));
const logs: Record<string, string[]> = {};
let count = 0;
while (count < Number(wanted)) {
  const { heads } = fromBinary(ListHeadsResponseSchema, await unary(listHeads));
  for (const { topic, origin, headId } of heads) {
    const log = logs[`${topic} of ${origin?.deviceId}`] ??= [];
    while (log.length < Number(headId)) {
      const range = { topic, origin, fromHeadId: BigInt(log.length + 1), limit: BATCH_MESSAGES };
      const request = Buffer.from(toBinary(FetchRequestSchema, create(FetchRequestSchema, range)));
      const call = client.makeServerStreamRequest(pathOf(fetch), bytes, bytes, request);
      for await (const response of call) {
        const { message } = fromBinary(FetchResponseSchema, response);
        if (message?.headId !== BigInt(log.length + 1)) throw new Error(`a gap after ${log.length}`);
        log.push(message.deleted ? "(deleted)" : Buffer.from(message.payload).toString());
        count++;
      }
    }
  }
}
console.log(JSON.stringify({ status, device: node?.deviceId, logs }));
client.close();
