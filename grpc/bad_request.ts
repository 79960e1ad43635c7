import { type Status, StatusError } from "./status.ts";

/** What is wrong with a field of a request. */
export interface FieldViolation {
  /** Its path in the spelling of the schema, such as "origin.tenant_id". */
  readonly field: string;
  /** What is wrong. */
  readonly description: string;
}

/** The type of the detail, as `google.protobuf.Any` names it. */
const BAD_REQUEST_URL = "type.googleapis.com/google.rpc.BadRequest";
/** Tags of google.rpc.Status: field number × 8 + wire type. */
const CODE = 0x08;
const MESSAGE = 0x12;
const DETAILS = 0x1a;
/** Tags of google.protobuf.Any. */
const TYPE_URL = 0x0a;
const VALUE = 0x12;
/** Tags of google.rpc.BadRequest and its FieldViolation. */
const FIELD_VIOLATIONS = 0x0a;
const FIELD = 0x0a;
const DESCRIPTION = 0x12;

const encoder = new TextEncoder();

/**
 * A StatusError that carries a `google.rpc.BadRequest` with these violations. Encoded by hand, so that a server that
 * refuses a request needs no codec for it.
 */
export function badRequest(
  code: Status,
  message: string,
  violations: readonly FieldViolation[],
  cause?: unknown,
): StatusError {
  const detail = violations.flatMap(({ field, description }) =>
    bytesField(FIELD_VIOLATIONS, [...textField(FIELD, field), ...textField(DESCRIPTION, description)])
  );
  const any = [
    ...textField(TYPE_URL, BAD_REQUEST_URL),
    ...detail.length === 0 ? [] : bytesField(VALUE, detail),
  ];
  const details = Uint8Array.from([
    // One octet holds every code: the highest is 16.
    ...code === 0 ? [] : [CODE, code],
    ...textField(MESSAGE, message),
    ...bytesField(DETAILS, any),
  ]);
  return new StatusError(code, message, { cause, details });
}

/** Empty texts are left out (protobuf.dev, Field Presence). */
function textField(tag: number, text: string): number[] {
  return text === "" ? [] : bytesField(tag, [...encoder.encode(text)]);
}

function bytesField(tag: number, bytes: readonly number[]): number[] {
  const length: number[] = [];
  let rest = bytes.length;
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80);
  return [tag, ...length, rest, ...bytes];
}
