import type { GrpcServer } from "@msgbus/grpc/server";
import { HealthService } from "@msgbus/grpc/health";
import { registerReflection } from "@msgbus/grpc/reflection";
import type { Bus } from "../bus/bus.ts";

/**
 * Registers what gRPC tools expect of every server: `grpc.health.v1.Health`, SERVING while the bus is ready, and
 * server reflection. The caller stops the health service before the server.
 */
export function serveStandardServices(server: GrpcServer, bus: Bus): HealthService {
  registerReflection(server, async () => {
    const { schemas } = await import("./schemas.ts");
    return schemas();
  });
  return new HealthService({
    services: ["msgbus.v1.MsgbusService"],
    probe: async () => (await bus.ready()).ready,
  }).register(server);
}
