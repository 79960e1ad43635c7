import { ByteBudget } from "./byte_budget.ts";
import type { CallOptions, Pace } from "./call_options.ts";
import type { Clock } from "./clock.ts";
import type { Compression } from "./compression/compression.ts";
import { codecOf } from "./compression/encoding.ts";
import { ErrorCode, errorCodeName } from "./http2/error_code.ts";
import { fieldValue } from "./http2/header_rules.ts";
import type { HeaderField } from "./http2/hpack/header_field.ts";
import type { GrpcLimits } from "./limits.ts";
import { MessageQueue } from "./message_queue.ts";
import { messagePrefix } from "./message_reader.ts";
import { decodeBase64, Metadata } from "./metadata.ts";
import { percentDecode } from "./percent.ts";
import type { Session } from "./session.ts";
import { Status, StatusError, statusOf } from "./status.ts";

/** One call at the client: its messages out, the responses and the status in. */
export class ClientStream {
  readonly responses: MessageQueue;
  readonly #id: number;
  readonly #session: Session;
  readonly #limits: GrpcLimits;
  readonly #options: CallOptions;
  readonly #compression: Compression | undefined;
  readonly #onOver: (id: number) => void;
  readonly #cancelDeadline: (() => void) | undefined;
  #cancelPace: (() => void) | undefined;
  #receivedBytes = 0;
  readonly #cancel = () => this.#end(new StatusError(Status.CANCELLED, "the call was cancelled"));
  #headersReceived = false;
  #httpError: StatusError | undefined;
  #over: StatusError | "finished" | undefined;
  readonly #waitingWriters: (() => void)[] = [];
  readonly #onEnd: (() => void)[] = [];
  /** Set when the server certainly did not look at the call: it may be sent again. */
  #untouched = false;

  /** Follows the stream `id` that was just opened; `deadlineMs` is by the clock, `onOver` is told once. */
  constructor(
    id: number,
    session: Session,
    limits: GrpcLimits,
    clock: Clock,
    options: CallOptions,
    deadlineMs: number | undefined,
    gathering: ByteBudget,
    compression: Compression | undefined,
    onOver: (id: number) => void,
  ) {
    this.#id = id;
    this.#session = session;
    this.#limits = limits;
    this.#options = options;
    this.#compression = compression;
    this.#onOver = onOver;
    const { pace, maxReceiveMessageBytes: most } = options;
    const budget = most === undefined ? gathering : new ByteBudget(most);
    this.responses = new MessageQueue(most ?? limits.maxReceiveMessageBytes, budget, (bytes) => {
      session.connection.consume(id, bytes);
      session.flushSoon();
    });
    this.#cancelDeadline = deadlineMs === undefined ? undefined : clock.after(
      Math.max(0, deadlineMs - clock.nowMs()),
      () => this.#end(new StatusError(Status.DEADLINE_EXCEEDED, "the deadline is over")),
    );
    if (pace !== undefined) this.#keepPace(pace, clock, clock.nowMs(), pace.graceMs);
    options.signal?.addEventListener("abort", this.#cancel, { once: true });
  }

  /** Whether the server certainly did not look at the call. */
  get untouched(): boolean {
    return this.#untouched;
  }

  /** Sends a message and waits while too much of this call waits for the server's window. */
  async write(message: Uint8Array): Promise<void> {
    this.send(message);
    const { connection } = this.#session;
    while (this.#over === undefined && connection.queuedBytes(this.#id) >= this.#limits.maxQueuedBytes) {
      await new Promise<void>((resolve) => this.#waitingWriters.push(resolve));
    }
  }

  /** Sends a message without waiting. */
  send(message: Uint8Array): void {
    if (this.#over !== undefined) return;
    const { connection } = this.#session;
    const compressed = this.#compression?.frame(message);
    if (compressed !== undefined) connection.data(this.#id, compressed);
    else {
      connection.data(this.#id, messagePrefix(message.length));
      connection.data(this.#id, message);
    }
    this.#session.flushSoon();
  }

  /** Whether the call is over: nothing sent now would arrive. */
  get over(): boolean {
    return this.#over !== undefined;
  }

  /** Calls back once when the call is over; at once where it is. */
  whenOver(callback: () => void): void {
    if (this.#over === undefined) this.#onEnd.push(callback);
    else callback();
  }

  /** Nothing follows from us. */
  finishSending(): void {
    if (this.#over !== undefined) return;
    this.#session.connection.end(this.#id);
    this.#session.flushSoon();
  }

  /** The response headers came. */
  receiveHeaders(fields: readonly HeaderField[], endStream: boolean): void {
    const status = fieldValue(fields, ":status");
    if (status !== "200") this.#httpError = httpStatusError(status ?? "");
    else if (!/^application\/grpc($|[+;])/.test(fieldValue(fields, "content-type") ?? "")) {
      this.#httpError = new StatusError(
        Status.UNKNOWN,
        "the answer is not gRPC: its content-type is another",
      );
    }
    if (endStream) return this.receiveTrailers(fields);
    if (this.#httpError !== undefined) return this.#end(this.#httpError);
    this.#headersReceived = true;
    const encoding = fieldValue(fields, "grpc-encoding");
    if (encoding !== undefined && encoding !== "identity") {
      const codec = codecOf(encoding);
      if (codec === undefined) {
        return this.#end(
          new StatusError(Status.INTERNAL, `the answer has the unknown encoding "${encoding}"`),
        );
      }
      this.responses.decompressWith(codec);
    }
    this.#tell(this.#options.onHeader, fields);
  }

  /** A piece of the body came. */
  receiveData(bytes: Uint8Array, endStream: boolean): void {
    this.#receivedBytes += bytes.length;
    try {
      this.responses.push(bytes);
    } catch (error) {
      return this.#end(StatusError.from(error));
    }
    if (endStream) this.#end(new StatusError(Status.INTERNAL, "the answer ended without a status"));
  }

  /** The status came, in trailers or in a header list that is both. */
  receiveTrailers(fields: readonly HeaderField[]): void {
    this.#tell(this.#options.onTrailer, fields);
    const code = fieldValue(fields, "grpc-status");
    if (code === undefined) {
      return this.#end(this.#httpError ?? new StatusError(Status.INTERNAL, "the answer has no grpc-status"));
    }
    const status = statusOf(/^[0-9]{1,3}$/.test(code) ? Number(code) : Status.UNKNOWN);
    if (status !== Status.OK) {
      const message = percentDecode(fieldValue(fields, "grpc-message") ?? "");
      const details = decodeBase64(fieldValue(fields, "grpc-status-details-bin") ?? "");
      return this.#end(
        new StatusError(status, message, {
          metadata: Metadata.fromFields(fields),
          ...details === undefined || details.length === 0 ? {} : { details },
        }),
      );
    }
    if (!this.responses.complete) {
      return this.#end(new StatusError(Status.INTERNAL, "the last message is cut"));
    }
    // The server has answered and takes no more requests (RFC 9113 §8.1): our half of the stream ends here.
    this.#session.connection.reset(this.#id, ErrorCode.CANCEL);
    this.#session.flushSoon();
    this.#finish("finished");
    this.responses.end();
    this.responses.release();
  }

  /** The server reset the stream. */
  receiveReset(code: number): void {
    this.#untouched = code === ErrorCode.REFUSED_STREAM && !this.#headersReceived;
    this.#finishWith(resetStatusError(code));
  }

  /** The connection is gone. */
  connectionLost(reason: string, cause: unknown): void {
    this.#finishWith(new StatusError(Status.UNAVAILABLE, reason, { cause }));
  }

  /** All queued bytes have left. */
  drained(): void {
    this.#wakeWriters();
  }

  /** The caller takes no more responses. */
  cancel(): void {
    this.#cancel();
  }

  #keepPace(pace: Pace, clock: Clock, beganMs: number, inMs: number): void {
    this.#cancelPace = clock.after(inMs, () => {
      const dueMs = beganMs + pace.graceMs + this.#receivedBytes / pace.bytesPerMs;
      const leftMs = Math.ceil(dueMs - clock.nowMs());
      if (leftMs > 0) return this.#keepPace(pace, clock, beganMs, leftMs);
      this.#end(new StatusError(Status.DEADLINE_EXCEEDED, "the answer comes too slowly"));
    });
  }

  /** Ends the call on both sides. */
  #end(error: StatusError): void {
    if (this.#over !== undefined) return;
    this.#session.connection.reset(this.#id, ErrorCode.CANCEL);
    this.#session.flushSoon();
    this.#finishWith(error);
  }

  #finishWith(error: StatusError): void {
    if (this.#over !== undefined) return;
    this.#finish(error);
    this.responses.fail(error);
  }

  #finish(how: StatusError | "finished"): void {
    if (this.#over !== undefined) return;
    this.#over = how;
    this.#cancelDeadline?.();
    this.#cancelPace?.();
    this.#options.signal?.removeEventListener("abort", this.#cancel);
    this.#wakeWriters();
    this.#onOver(this.#id);
    for (const callback of this.#onEnd.splice(0)) callback();
  }

  #wakeWriters(): void {
    for (const wake of this.#waitingWriters.splice(0)) wake();
  }

  /** A callback of the caller's: what it throws ends its own call and no other. */
  #tell(callback: ((metadata: Metadata) => void) | undefined, fields: readonly HeaderField[]): void {
    if (callback === undefined) return;
    try {
      callback(Metadata.fromFields(fields));
    } catch (error) {
      this.#end(new StatusError(Status.CANCELLED, "a callback of the call threw", { cause: error }));
    }
  }
}

/** The status of an HTTP answer without one (gRPC project, doc/http-grpc-status-mapping.md). */
function httpStatusError(status: string): StatusError {
  const codes: Readonly<Record<string, Status>> = {
    "400": Status.INTERNAL,
    "401": Status.UNAUTHENTICATED,
    "403": Status.PERMISSION_DENIED,
    "404": Status.UNIMPLEMENTED,
    "429": Status.UNAVAILABLE,
    "502": Status.UNAVAILABLE,
    "503": Status.UNAVAILABLE,
    "504": Status.UNAVAILABLE,
  };
  return new StatusError(codes[status] ?? Status.UNKNOWN, `the server answered with HTTP status ${status}`);
}

/** The status of RST_STREAM (gRPC over HTTP/2, Errors). */
function resetStatusError(code: number): StatusError {
  const codes: Readonly<Record<number, Status>> = {
    [ErrorCode.REFUSED_STREAM]: Status.UNAVAILABLE,
    [ErrorCode.CANCEL]: Status.CANCELLED,
    [ErrorCode.ENHANCE_YOUR_CALM]: Status.RESOURCE_EXHAUSTED,
    [ErrorCode.INADEQUATE_SECURITY]: Status.PERMISSION_DENIED,
  };
  return new StatusError(codes[code] ?? Status.INTERNAL, `the stream was reset with ${errorCodeName(code)}`);
}
