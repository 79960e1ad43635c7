import { create, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import type { GrpcServer } from "@msgbus/grpc/server";
import { HealthService } from "@msgbus/grpc/health";
import { registerReflection } from "@msgbus/grpc/reflection";
import { file_msgbus_v1_msgbus, MsgbusService } from "@msgbus/proto";
import type { Bus } from "../bus/bus.ts";

/**
 * Registers what gRPC tools expect of every server: `grpc.health.v1.Health`, SERVING while the bus is ready, and
 * server reflection. The caller stops the health service before the server.
 */
export function serveStandardServices(server: GrpcServer, bus: Bus): HealthService {
  registerReflection(server, async () => {
    const { file_msgbus_v1_stream } = await import("@msgbus/proto/stream");
    const { file_msgbus_v1_sync } = await import("@msgbus/proto/sync");
    const schemas = create(FileDescriptorSetSchema, {
      file: [file_msgbus_v1_msgbus.proto, file_msgbus_v1_stream.proto, file_msgbus_v1_sync.proto],
    });
    return toBinary(FileDescriptorSetSchema, schemas);
  });
  return new HealthService({
    services: [MsgbusService.typeName],
    probe: async () => (await bus.ready()).ready,
  }).register(server);
}
