/**
 * Details of a status that clients in many languages know (`google.rpc`, AIP-193), in `grpc-status-details-bin`.
 *
 * @module
 */
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import { anyPack, anyUnpack } from "@bufbuild/protobuf/wkt";
import { BadRequestSchema } from "./standard/gen/google/rpc/error_details_pb.ts";
import { StatusSchema } from "./standard/gen/google/rpc/status_pb.ts";
import { type Status, StatusError } from "./status.ts";

/** What is wrong with a field of a request. */
export interface FieldViolation {
  /** Its path in the spelling of the schema, such as "origin.tenant_id". */
  readonly field: string;
  /** What is wrong. */
  readonly description: string;
}

/** A StatusError that carries a `google.rpc.BadRequest` with these violations. */
export function badRequest(
  code: Status,
  message: string,
  violations: readonly FieldViolation[],
  cause?: unknown,
): StatusError {
  const detail = create(BadRequestSchema, {
    fieldViolations: violations.map((violation) => ({ ...violation })),
  });
  const status = create(StatusSchema, { code, message, details: [anyPack(BadRequestSchema, detail)] });
  return new StatusError(code, message, { cause, details: toBinary(StatusSchema, status) });
}

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
