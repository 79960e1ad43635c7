import { create, fromBinary, type Message, toBinary } from "@bufbuild/protobuf";
import { GrpcServer, listenMemory } from "@msgbus/grpc";
import { FetchRequestSchema, type HealthResponse, HealthResponseSchema, MsgbusService } from "@msgbus/proto";
import { SyncRequestSchema, SyncService } from "@msgbus/proto/sync";
import { GrpcPeerLink } from "./grpc_peer_link.ts";
import type { PeerOptions } from "./peer_worker.ts";
import { nodeName } from "./test_node.ts";

/** What a peer answers, byte for byte. */
export interface WirePeerAnswers {
  readonly health?: HealthResponse;
  /** What a session says at its beginning. It has no SyncService where this is left out. */
  readonly news?: readonly Uint8Array[];
  /** What it says when a log is followed, by the log's number. */
  readonly followed?: ReadonlyMap<number, Uint8Array>;
  readonly listHeads?: Uint8Array;
  /** What is fetched of a topic; what it throws is the call's status. */
  readonly fetch?: (topic: string) => readonly Uint8Array[];
}

/** The node "peer", which says whatever a test wants, over connections in memory. */
export class WirePeer implements AsyncDisposable {
  readonly #server = new GrpcServer();
  readonly #listener = listenMemory();
  readonly #serving: Promise<void>;

  constructor({ health, news, followed, listHeads, fetch }: WirePeerAnswers) {
    const identity = health ?? create(HealthResponseSchema, { status: "SERVING", node: nodeName("peer") });
    this.#answers("Health", toBinary(HealthResponseSchema, identity));
    if (listHeads !== undefined) this.#answers("ListHeads", listHeads);
    if (fetch !== undefined) {
      this.#server.method(`/${MsgbusService.typeName}/Fetch`, {
        kind: "server_streaming",
        async handle(request, call) {
          for (const response of fetch(fromBinary(FetchRequestSchema, request).topic)) {
            await call.write(response);
          }
        },
      });
    }
    if (news !== undefined) {
      this.#server.method(`/${SyncService.typeName}/Sync`, {
        kind: "bidi_streaming",
        async handle(requests, call) {
          for (const response of news) await call.write(response);
          for await (const bytes of requests) {
            const { request } = fromBinary(SyncRequestSchema, bytes);
            const batch = request.case === "follow" ? followed?.get(Number(request.value.log)) : undefined;
            if (batch !== undefined) await call.write(batch);
          }
        },
      });
    }
    this.#serving = this.#server.serve(this.#listener);
  }

  /** What a node needs to follow it. */
  get options(): PeerOptions {
    const endpoint = {
      connect: this.#listener.connect,
      authority: "localhost",
      scheme: "http",
      token: undefined,
    } as const;
    return {
      peer: "peer",
      dial: () => Promise.resolve(new GrpcPeerLink(endpoint)),
      identity: undefined,
      include: [],
      exclude: [],
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#server.shutdown(0);
    await this.#serving;
  }

  #answers(method: string, response: Uint8Array): void {
    this.#server.method(`/${MsgbusService.typeName}/${method}`, { kind: "unary", handle: () => response });
  }
}

/** A message with two fields that nobody knows, as a later version may add them. */
export function withUnknown<T extends Message>(message: T): T {
  message.$unknown = [
    { no: 126, wireType: 2, data: Uint8Array.of(3, 1, 2, 3) },
    { no: 127, wireType: 0, data: Uint8Array.of(42) },
  ];
  return message;
}
