/**
 * The interop cases with the client of @grpc/grpc-js, run by Node. Takes the server's target as its argument, behind it
 * "gzip" for messages that are compressed, and prints a line of JSON for each case: its name, and its error where it failed.
 */
import type { EventEmitter } from "node:events";
import * as grpc from "@grpc/grpc-js";
import { CASES } from "./cases.ts";
import type {
  CallSettings,
  InteropClient,
  Outcome,
  Requests,
  StreamingCall,
  UnaryCall,
} from "./interop_client.ts";

const toBytes = (message: Uint8Array) => Buffer.from(message);
const fromBytes = (bytes: Buffer) => new Uint8Array(bytes);

class GrpcJsClient implements InteropClient {
  readonly #client: grpc.Client;

  constructor(target: string, compressed: boolean) {
    const { gzip, identity } = grpc.compressionAlgorithms;
    this.#client = new grpc.Client(target, grpc.credentials.createInsecure(), {
      "grpc.default_compression_algorithm": compressed ? gzip : identity,
    });
  }

  unary(path: string, request: Uint8Array, settings: CallSettings = {}): UnaryCall {
    let call: grpc.ClientUnaryCall | undefined;
    const answer = observed((callback) =>
      call = this.#client.makeUnaryRequest(
        path,
        toBytes,
        fromBytes,
        request,
        metadataOf(settings),
        optionsOf(settings),
        callback,
      )
    );
    return { answer, cancel: () => call?.cancel() };
  }

  clientStreaming(path: string, settings: CallSettings = {}): UnaryCall & Requests {
    let call: grpc.ClientWritableStream<Uint8Array> | undefined;
    const answer = observed((callback) =>
      call = this.#client.makeClientStreamRequest(
        path,
        toBytes,
        fromBytes,
        metadataOf(settings),
        optionsOf(settings),
        callback,
      )
    );
    return {
      answer,
      // grpc-js 1.14.7 forgets a stream whose call is cancelled in the turn that began it, and then never closes.
      cancel: () => void setImmediate(() => call?.cancel()),
      send: (request) => void call?.write(request),
      finish: () => void call?.end(),
    };
  }

  serverStreaming(path: string, request: Uint8Array, settings: CallSettings = {}): StreamingCall {
    return streaming(this.#client.makeServerStreamRequest(
      path,
      toBytes,
      fromBytes,
      request,
      metadataOf(settings),
      optionsOf(settings),
    ));
  }

  bidiStreaming(path: string, settings: CallSettings = {}): StreamingCall & Requests {
    const call = this.#client.makeBidiStreamRequest(
      path,
      toBytes,
      fromBytes,
      metadataOf(settings),
      optionsOf(settings),
    );
    return {
      ...streaming(call),
      send: (request) => void call.write(request),
      finish: () => void call.end(),
    };
  }

  close(): void {
    this.#client.close();
  }
}

function metadataOf({ metadata = {} }: CallSettings): grpc.Metadata {
  const made = new grpc.Metadata();
  for (const [name, value] of Object.entries(metadata)) {
    made.add(name, typeof value === "string" ? value : Buffer.from(value));
  }
  return made;
}

function optionsOf({ timeoutMs }: CallSettings): grpc.CallOptions {
  return timeoutMs === undefined ? {} : { deadline: Date.now() + timeoutMs };
}

function firstValues(metadata: grpc.Metadata | undefined): Record<string, string | Uint8Array> {
  return Object.fromEntries(
    Object.entries(metadata?.getMap() ?? {}).map((
      [name, value],
    ) => [name, typeof value === "string" ? value : new Uint8Array(value)]),
  );
}

function outcomeOf(header: grpc.Metadata | undefined, status: grpc.StatusObject): Outcome {
  return {
    code: status.code,
    message: status.code === grpc.status.OK ? "" : status.details,
    header: firstValues(header),
    trailer: firstValues(status.metadata),
  };
}

/** The answer of a call with one response at most. */
function observed(
  start: (callback: (error: grpc.ServiceError | null, response?: Uint8Array) => void) => EventEmitter,
): UnaryCall["answer"] {
  return new Promise((resolve) => {
    let header: grpc.Metadata | undefined;
    let response: Uint8Array | undefined;
    // The status follows the response.
    const call = start((_error, message) => response = message);
    call.on("metadata", (metadata: grpc.Metadata) => header = metadata);
    call.on(
      "status",
      (status: grpc.StatusObject) => setImmediate(() => resolve({ ...outcomeOf(header, status), response })),
    );
  });
}

type ReadableCall = grpc.ClientReadableStream<Uint8Array> | grpc.ClientDuplexStream<Uint8Array, Uint8Array>;

function streaming(call: ReadableCall): StreamingCall {
  let header: grpc.Metadata | undefined;
  call.on("metadata", (metadata: grpc.Metadata) => header = metadata);
  const ended = new Promise<Outcome>((resolve) =>
    call.on("status", (status: grpc.StatusObject) => resolve(outcomeOf(header, status)))
  );
  // The iterator throws it, and the status says it.
  call.on("error", () => {});
  const responses = call[Symbol.asyncIterator]();
  const next = async () => {
    try {
      const { done, value } = await responses.next();
      return done === true ? undefined : value as Uint8Array;
    } catch {
      return undefined;
    }
  };
  return {
    next,
    async outcome() {
      while (await next() !== undefined);
      return await ended;
    },
    cancel: () => call.cancel(),
  };
}

const client = new GrpcJsClient(process.argv[2] ?? "", process.argv[3] === "gzip");
for (const [name, run] of Object.entries(CASES)) {
  try {
    await run(client);
    console.log(JSON.stringify({ name }));
  } catch (error) {
    console.log(JSON.stringify({ name, error: error instanceof Error ? error.stack : String(error) }));
  }
}
client.close();
