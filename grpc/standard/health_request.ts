import { fromBinary } from "@bufbuild/protobuf";
import { Status, StatusError } from "../status.ts";
import { HealthCheckRequestSchema } from "./gen/grpc/health/v1/health_pb.ts";

/** The service that a HealthCheckRequest names. Throws StatusError INVALID_ARGUMENT. */
export function readService(request: Uint8Array): string {
  try {
    return fromBinary(HealthCheckRequestSchema, request).service;
  } catch (cause) {
    throw new StatusError(Status.INVALID_ARGUMENT, "the request is no HealthCheckRequest", { cause });
  }
}
