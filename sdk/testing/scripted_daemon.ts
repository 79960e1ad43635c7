import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  GrpcServer,
  type Listener,
  listenMemory,
  type MethodHandler,
  type StreamingServerCall,
} from "@msgbus/grpc";
import {
  FetchRequestSchema,
  GetHeadResponseSchema,
  MsgbusService,
  SubscribeRequestSchema,
  SubscribeResponseSchema,
} from "@msgbus/proto";
import { StreamService } from "@msgbus/proto/stream";
import { SyncService } from "@msgbus/proto/sync";
import { type Client, connect } from "../client.ts";
import type { ClientOptions } from "../client_options.ts";
import { pathOf } from "../rpc.ts";

const METHODS = { ...MsgbusService.method, ...StreamService.method, ...SyncService.method };

/** What a test's daemon does with one Subscribe or Fetch call. */
export type StreamScript = (
  request: { readonly from: number; readonly pageSize: number },
  call: StreamingServerCall,
) => Promise<void>;

/** A daemon in memory whose answers a test writes, and which can go away and come back. */
export class ScriptedDaemon implements AsyncDisposable {
  readonly #methods = new Map<string, MethodHandler>();
  readonly #clients: Client[] = [];
  #running:
    | { readonly server: GrpcServer; readonly listener: Listener; readonly serving: Promise<void> }
    | undefined;
  #connect: ClientOptions["connect"];
  /** How often a client tried to connect. */
  connects = 0;

  /** Answers a method. */
  on(name: keyof typeof METHODS, handler: MethodHandler): this {
    this.#methods.set(pathOf(METHODS[name]), handler);
    return this;
  }

  /** Answers Subscribe calls, one script after the other; the last one answers all that follow. */
  onSubscribe(...scripts: readonly StreamScript[]): this {
    let calls = 0;
    return this.on("subscribe", {
      kind: "server_streaming",
      async handle(bytes, call) {
        const request = fromBinary(SubscribeRequestSchema, bytes);
        const script = scripts[Math.min(calls++, scripts.length - 1)];
        await script?.({ from: Number(request.fromHeadId), pageSize: request.replayLimit }, call);
      },
    });
  }

  /** Answers Fetch calls. */
  onFetch(script: StreamScript): this {
    return this.on("fetch", {
      kind: "server_streaming",
      async handle(bytes, call) {
        const request = fromBinary(FetchRequestSchema, bytes);
        await script({ from: Number(request.fromHeadId), pageSize: request.limit }, call);
      },
    });
  }

  /** Answers GetHead. */
  onHead(head: () => number): this {
    return this.on("getHead", {
      kind: "unary",
      handle: () =>
        toBinary(
          GetHeadResponseSchema,
          create(GetHeadResponseSchema, { headId: BigInt(head()), found: true }),
        ),
    });
  }

  /** Starts, or comes back. */
  start(): this {
    const listener = listenMemory();
    const server = new GrpcServer();
    for (const [path, handler] of this.#methods) server.method(path, handler);
    this.#running = { server, listener, serving: server.serve(listener) };
    this.#connect = listener.connect;
    return this;
  }

  /** Goes away with all connections. */
  async stop(): Promise<void> {
    const running = this.#running;
    this.#running = undefined;
    await running?.server.shutdown(0);
    await running?.serving;
  }

  /** A client that reaches the daemon whenever it is there. */
  client(options: ClientOptions = {}): Client {
    const client = connect("memory:1", {
      backoff: { initialMs: 1, maxMs: 2 },
      ...options,
      connect: (signal) => {
        this.connects++;
        if (this.#running === undefined || this.#connect === undefined) {
          return Promise.reject(new Error("nobody is there"));
        }
        return this.#connect(signal);
      },
    });
    this.#clients.push(client);
    return client;
  }

  /** Ends the clients and the daemon. */
  async [Symbol.asyncDispose](): Promise<void> {
    for (const client of this.#clients) await client.close();
    await this.stop();
  }
}

/** A response that carries the message of a head. */
export function responseOf(headId: number, payload = `message ${headId}`): Uint8Array {
  const message = {
    id: `id-${headId}`,
    topic: "orders",
    headId: BigInt(headId),
    payload: new TextEncoder().encode(payload),
    createdAtMs: 1_700_000_000_000n,
  };
  return toBinary(SubscribeResponseSchema, create(SubscribeResponseSchema, { message }));
}

/** Sends the messages of heads. */
export async function sendHeads(call: StreamingServerCall, from: number, to: number): Promise<void> {
  for (let head = from; head <= to; head++) await call.write(responseOf(head));
}

/** Waits until the client is gone: a live stream without news. */
export async function silence(call: StreamingServerCall): Promise<void> {
  if (call.signal.aborted) return;
  await new Promise<void>((resolve) => call.signal.addEventListener("abort", () => resolve()));
}
