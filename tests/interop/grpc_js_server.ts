/**
 * The interop cases' service on the server of @grpc/grpc-js, run by Node. Prints its port, and ends when its standard
 * input does.
 */
import * as grpc from "@grpc/grpc-js";
import { decodeRequest, ECHO_HEADER, ECHO_TRAILER, encodeSum, Path, type Wishes } from "./messages.ts";

const toBytes = (message: Uint8Array) => Buffer.from(message);
const fromBytes = (bytes: Buffer) => new Uint8Array(bytes);

function method(path: string, requestStream: boolean, responseStream: boolean) {
  return {
    path,
    requestStream,
    responseStream,
    requestSerialize: toBytes,
    requestDeserialize: fromBytes,
    responseSerialize: toBytes,
    responseDeserialize: fromBytes,
  };
}

/** Sends the echoes before the messages; returns those for after them. */
function echo(call: { readonly metadata: grpc.Metadata; sendMetadata(metadata: grpc.Metadata): void }) {
  const header = new grpc.Metadata();
  const trailer = new grpc.Metadata();
  for (const value of call.metadata.get(ECHO_HEADER)) header.add(ECHO_HEADER, value);
  for (const value of call.metadata.get(ECHO_TRAILER)) trailer.add(ECHO_TRAILER, value);
  call.sendMetadata(header);
  return trailer;
}

function failure({ status }: Wishes): Partial<grpc.ServiceError> | null {
  return status === undefined ? null : { code: status.code, details: status.message };
}

type AnswerCall =
  | grpc.ServerWritableStream<Uint8Array, Uint8Array>
  | grpc.ServerDuplexStream<Uint8Array, Uint8Array>;

/** Answers one request; false where it ended the call with a status. */
function answer(call: AnswerCall, request: Uint8Array): boolean {
  const { wishes } = decodeRequest(request);
  const failed = failure(wishes);
  if (failed !== null) {
    call.emit("error", failed);
    return false;
  }
  for (const size of wishes.sizes ?? []) call.write(new Uint8Array(size));
  return true;
}

const server = new grpc.Server();
server.addService({
  empty: method(Path.EMPTY, false, false),
  unary: method(Path.UNARY, false, false),
  input: method(Path.INPUT, true, false),
  output: method(Path.OUTPUT, false, true),
  duplex: method(Path.DUPLEX, true, true),
}, {
  empty(call: grpc.ServerUnaryCall<Uint8Array, Uint8Array>, callback: grpc.sendUnaryData<Uint8Array>) {
    callback(null, call.request);
  },
  unary(call: grpc.ServerUnaryCall<Uint8Array, Uint8Array>, callback: grpc.sendUnaryData<Uint8Array>) {
    const trailer = echo(call);
    const { wishes } = decodeRequest(call.request);
    const failed = failure(wishes);
    if (failed === null) callback(null, new Uint8Array(wishes.sizes?.[0] ?? 0), trailer);
    else callback(failed, null);
  },
  input(call: grpc.ServerReadableStream<Uint8Array, Uint8Array>, callback: grpc.sendUnaryData<Uint8Array>) {
    const trailer = echo(call);
    let sum = 0;
    call.on("data", (request: Uint8Array) => sum += decodeRequest(request).bodyBytes);
    call.on("end", () => callback(null, encodeSum(sum), trailer));
  },
  output(call: grpc.ServerWritableStream<Uint8Array, Uint8Array>) {
    const trailer = echo(call);
    if (answer(call, call.request)) call.end(trailer);
  },
  duplex(call: grpc.ServerDuplexStream<Uint8Array, Uint8Array>) {
    const trailer = echo(call);
    let failed = false;
    call.on("data", (request: Uint8Array) => failed = !answer(call, request) || failed);
    call.on("end", () => {
      if (!failed) call.end(trailer);
    });
  },
});

server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, port) => {
  if (error !== null) throw error;
  console.log(String(port));
});
process.stdin.resume().on("end", () => server.forceShutdown());
