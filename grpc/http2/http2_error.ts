import { type ErrorCode, errorCodeName } from "./error_code.ts";

/**
 * A violation by the peer, typed by what it ends (RFC 9113 §5.4): the whole connection, or one stream.
 * It never leaves `Http2Connection.receive()`: there it becomes GOAWAY or RST_STREAM and an event.
 */
export class Http2Error extends Error {
  override readonly name = "Http2Error";
  /** The code that the peer is sent. */
  readonly code: ErrorCode;
  /** The stream that ends, or 0 when the connection does. */
  readonly streamId: number;

  /** Makes an error for the connection (`streamId` 0) or for one stream. */
  constructor(code: ErrorCode, message: string, streamId = 0) {
    // The peer decides how many there are, and nobody reads where: a stack costs more than all else that a reset does.
    const { stackTraceLimit } = Error;
    Error.stackTraceLimit = 0;
    super(`${errorCodeName(code)}: ${message}`);
    Error.stackTraceLimit = stackTraceLimit;
    this.code = code;
    this.streamId = streamId;
  }
}
