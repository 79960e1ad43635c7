import { fieldValue } from "./http2/header_rules.ts";
import type { HeaderField } from "./http2/hpack/header_field.ts";
import { type PlainRefusal, plainRefusal } from "./plain_request.ts";
import { parseTimeout } from "./timeout.ts";

/** What the header list of a request says to a gRPC server. */
export interface RequestHead {
  readonly fields: readonly HeaderField[];
  /** Why it is no gRPC; undefined where it is one. */
  readonly refused: PlainRefusal | undefined;
  /** "/package.Service/Method". */
  readonly path: string;
  /** How its messages are compressed; undefined where they are not. */
  readonly encoding: string | undefined;
  /** What the client can decompress. */
  readonly acceptEncoding: string;
  /** Milliseconds that the call has; undefined where there is no limit. */
  readonly timeoutMs: number | undefined;
  /** A timeout that can't be read. */
  readonly malformedTimeout: string | undefined;
}

/** Reads the header list of a request. */
export function readRequestHead(fields: readonly HeaderField[]): RequestHead {
  const encoding = fieldValue(fields, "grpc-encoding");
  const timeout = fieldValue(fields, "grpc-timeout");
  const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout);
  return {
    fields,
    refused: plainRefusal(fields),
    path: fieldValue(fields, ":path") ?? "",
    encoding: encoding === "identity" ? undefined : encoding,
    acceptEncoding: fieldValue(fields, "grpc-accept-encoding") ?? "",
    timeoutMs,
    malformedTimeout: timeoutMs === undefined ? timeout : undefined,
  };
}
