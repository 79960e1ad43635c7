import type { GrpcServer, ServerCall } from "@msgbus/grpc/server";
import { loadOnce } from "../bus/load_once.ts";

/** A method with one request and one response. */
export type Unary = (request: Uint8Array, call: ServerCall) => Promise<Uint8Array>;

const METHODS = [
  "GetHead",
  "ListHeads",
  "ListPeerSyncStates",
  "DeleteRange",
  "EnqueueFifo",
  "PeekFifo",
  "AckFifo",
  "RejectFifo",
] as const;

/** What answers these calls of MsgbusService, by the names of its methods. */
export type UnaryHandlers = { readonly [Name in typeof METHODS[number]]: Unary };

/**
 * Registers the methods of `msgbus.v1.MsgbusService` that need the generated code, which is loaded with the first call:
 * a daemon that nobody calls so should not hold it in memory. `admit` throws StatusError when the caller is nobody.
 */
export function registerUnary(
  server: GrpcServer,
  load: () => Promise<UnaryHandlers>,
  admit: ((call: ServerCall) => void) | undefined,
): void {
  const loaded = loadOnce(load);
  for (const name of METHODS) {
    server.method(`/msgbus.v1.MsgbusService/${name}`, {
      kind: "unary",
      handle: async (request, call) => await (await loaded())[name](request, call),
      ...admit !== undefined && { admit },
    });
  }
}
