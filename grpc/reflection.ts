/**
 * `grpc.reflection.v1` and `v1alpha` for a server: so that `grpcurl list` and `describe` need no schema files.
 *
 * @module
 */
import type { Reflector } from "./reflector.ts";
import type { GrpcServer } from "./server.ts";

/** Both are the same on the wire. */
const VERSIONS = ["v1", "v1alpha"];

/**
 * Adds server reflection, both versions, to a server: it lists all services of the server, and describes gRPC's own and
 * those of `schemas`. These are a serialized `google.protobuf.FileDescriptorSet` that includes what its files import, as
 * `buf build` and `protoc --include_imports` make it; they are asked for with the first question, and cost nothing until then.
 */
export function registerReflection(
  server: GrpcServer,
  schemas: () => Uint8Array | Promise<Uint8Array>,
): void {
  let reflector: Promise<Reflector> | undefined;
  const load = async () => new (await import("./reflector.ts")).Reflector(server, await schemas());
  for (const version of VERSIONS) {
    server.method(`/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`, {
      kind: "bidi_streaming",
      handle: async (requests, call) => await (await (reflector ??= load())).answerAll(requests, call),
    });
  }
}
