import type { GrpcServer, ServerCall, StreamingServerCall } from "@msgbus/grpc/server";
import { loadOnce } from "../bus/load_once.ts";

type Bidi = (requests: AsyncIterable<Uint8Array>, call: StreamingServerCall) => Promise<void>;

/** What answers the calls of StreamService, by the names of its methods. */
export interface StreamHandlers {
  readonly PublishStream: Bidi;
  readonly Consume: Bidi;
}

/**
 * Registers `msgbus.v1.StreamService`, whose code is loaded with the first call: a daemon that nobody streams to should
 * not hold it in memory. `admit` throws StatusError when the caller is nobody.
 */
export function registerStreams(
  server: GrpcServer,
  load: () => Promise<StreamHandlers>,
  admit: ((call: ServerCall) => void) | undefined,
): void {
  const loaded = loadOnce(load);
  for (const name of ["PublishStream", "Consume"] as const) {
    server.method(`/msgbus.v1.StreamService/${name}`, {
      kind: "bidi_streaming",
      handle: async (requests, call) => await (await loaded())[name](requests, call),
      ...admit !== undefined && { admit },
    });
  }
}
