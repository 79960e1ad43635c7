import type { GrpcServer, ServerCall, StreamingServerCall } from "@msgbus/grpc/server";
import { loadOnce } from "../bus/load_once.ts";

type Unary = (request: Uint8Array, call: ServerCall) => Promise<Uint8Array>;

/** What answers the calls of SyncService, by the names of its methods. */
export interface SyncHandlers {
  Sync(requests: AsyncIterable<Uint8Array>, call: StreamingServerCall): Promise<void>;
  readonly Prove: Unary;
  readonly ResolveFork: Unary;
  readonly ListArchivedLogs: Unary;
}

/**
 * Registers `msgbus.v1.SyncService`, whose code is loaded with the first call: a daemon that nobody copies from should not
 * hold it in memory.
 */
export function registerSync(server: GrpcServer, load: () => Promise<SyncHandlers>): void {
  const loaded = loadOnce(load);
  server.method("/msgbus.v1.SyncService/Sync", {
    kind: "bidi_streaming",
    handle: async (requests, call) => await (await loaded()).Sync(requests, call),
  });
  for (const name of ["Prove", "ResolveFork", "ListArchivedLogs"] as const) {
    server.method(`/msgbus.v1.SyncService/${name}`, {
      kind: "unary",
      handle: async (request, call) => await (await loaded())[name](request, call),
    });
  }
}
