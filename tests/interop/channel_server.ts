import { GrpcServer, type ServerCall, Status, StatusError, type StreamingServerCall } from "@msgbus/grpc";
import { decodeRequest, ECHO_HEADER, ECHO_TRAILER, encodeSum, Path, type Wishes } from "./messages.ts";

/** The cases' service on our server. */
export class InteropServer {
  /** The server, to be given a listener. */
  readonly server: GrpcServer;
  /** What no handler may throw: errors that are no status. */
  readonly errors: unknown[] = [];
  readonly #running = new Set<Promise<unknown>>();

  /** Makes the server with its methods. */
  constructor() {
    this.server = new GrpcServer({ onError: (error) => this.errors.push(error) })
      .method(Path.EMPTY, { kind: "unary", handle: (request) => request })
      .method(Path.UNARY, { kind: "unary", handle: answerOne })
      .method(Path.INPUT, {
        kind: "client_streaming",
        handle: (requests, call) => this.#track(sumOf(requests, call)),
      })
      .method(Path.OUTPUT, {
        kind: "server_streaming",
        handle: (request, call) => this.#track(answerMany([request], call)),
      })
      .method(Path.DUPLEX, {
        kind: "bidi_streaming",
        handle: (requests, call) => this.#track(answerMany(requests, call)),
      });
  }

  /** Settles when no handler runs any more: one whose call was cancelled must not hang. */
  async idle(): Promise<void> {
    await Promise.allSettled(this.#running);
  }

  #track<T>(running: Promise<T>): Promise<T> {
    this.#running.add(running);
    return running;
  }
}

function echo(call: ServerCall): void {
  const header = call.metadata.get(ECHO_HEADER);
  const trailer = call.metadata.get(ECHO_TRAILER);
  if (header !== undefined) call.header.append(ECHO_HEADER, header);
  if (trailer !== undefined) call.trailer.append(ECHO_TRAILER, trailer);
}

function throwStatus({ status }: Wishes): void {
  if (status === undefined) return;
  const code = Object.values(Status).find((known) => known === status.code);
  throw new StatusError(code ?? Status.INTERNAL, status.message);
}

function answerOne(request: Uint8Array, call: ServerCall): Uint8Array {
  echo(call);
  const { wishes } = decodeRequest(request);
  throwStatus(wishes);
  return new Uint8Array(wishes.sizes?.[0] ?? 0);
}

async function sumOf(requests: AsyncIterable<Uint8Array>, call: ServerCall): Promise<Uint8Array> {
  echo(call);
  let sum = 0;
  for await (const request of requests) sum += decodeRequest(request).bodyBytes;
  return encodeSum(sum);
}

async function answerMany(
  requests: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
  call: StreamingServerCall,
): Promise<void> {
  echo(call);
  for await (const request of requests) {
    const { wishes } = decodeRequest(request);
    throwStatus(wishes);
    for (const size of wishes.sizes ?? []) await call.write(new Uint8Array(size));
  }
}
