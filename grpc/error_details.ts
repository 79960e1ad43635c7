/**
 * Details of a status that clients in many languages know (`google.rpc`, AIP-193), in `grpc-status-details-bin`.
 *
 * @module
 */
import { fromBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import type { FieldViolation } from "./bad_request.ts";
import { BadRequestSchema } from "./standard/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "./standard/gen/google/rpc/status_pb.ts";
import type { StatusError } from "./status.ts";

export { badRequest, type FieldViolation } from "./bad_request.ts";

/** What the other side said is wrong with the fields of the request; empty where it said nothing that can be read. */
export function fieldViolations(error: StatusError): readonly FieldViolation[] {
  if (error.details === undefined) return [];
  try {
    const { details } = fromBinary(StatusSchema, error.details);
    return details.flatMap((detail) => anyUnpack(detail, BadRequestSchema)?.fieldViolations ?? []);
  } catch {
    return []; // the status itself is what counts
  }
}
