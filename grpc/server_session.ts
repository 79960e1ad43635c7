import { ByteBudget } from "./byte_budget.ts";
import { ErrorCode } from "./http2/error_code.ts";
import type { Http2Event } from "./http2/event.ts";
import { fieldValue } from "./http2/header_rules.ts";
import type { HeaderField } from "./http2/hpack/header_field.ts";
import type { MethodTable } from "./method.ts";
import { ServerStream, type ServerStreamContext } from "./server_stream.ts";
import { Session } from "./session.ts";
import { Status, StatusError } from "./status.ts";
import { parseTimeout } from "./timeout.ts";
import type { ByteStream } from "./transport/byte_stream.ts";

/** One connection of a server with its calls. */
export class ServerSession {
  readonly #session: Session;
  readonly #methods: MethodTable;
  readonly #context: ServerStreamContext;
  readonly #calls = new Map<number, ServerStream>();
  readonly #gathering: ByteBudget;
  #draining = false;

  /** Serves `methods` over `stream`; {@linkcode run} starts it. */
  constructor(stream: ByteStream, methods: MethodTable, context: ServerStreamContext) {
    this.#methods = methods;
    this.#gathering = new ByteBudget(context.limits.maxGatheringBytesPerConnection, context.gathering);
    this.#context = context;
    this.#session = new Session(
      "server",
      stream,
      context.limits,
      context.clock,
      (event) => this.#event(event),
      (error) => context.onError(error, "a connection"),
    );
  }

  /** Serves until the connection is over. */
  async run(): Promise<void> {
    await this.#session.run();
    this.#allGone();
  }

  /** Takes no new calls, and closes when those that run have ended. */
  drain(): void {
    this.#draining = true;
    this.#session.connection.goaway(ErrorCode.NO_ERROR, "the server stops");
    this.#session.flushSoon();
    this.#closeWhenDrained();
  }

  /** Ends all calls and closes. */
  abort(): void {
    for (const call of [...this.#calls.values()]) {
      call.fail(new StatusError(Status.UNAVAILABLE, "the server stops"));
    }
    this.#session.finish();
  }

  #event(event: Http2Event): void {
    switch (event.type) {
      case "headers":
        return this.#request(event.streamId, event.fields, event.endStream);
      case "data":
        return this.#body(event.streamId, event.bytes, event.endStream);
      case "trailers":
        return this.#calls.get(event.streamId)?.receiveEnd();
      case "reset":
        return this.#calls.get(event.streamId)?.gone();
      case "drained":
        return this.#calls.get(event.streamId)?.drained();
      case "failed":
        return this.#allGone();
      case "goaway":
      case "capacity":
      case "pong":
        return;
      case "idle":
        return this.#closeWhenDrained();
    }
  }

  #request(streamId: number, fields: readonly HeaderField[], endStream: boolean): void {
    const call = new ServerStream(
      streamId,
      fields,
      this.#session,
      this.#context,
      this.#gathering,
      this.#onOver,
    );
    this.#calls.set(streamId, call);
    const http = refusedHttpStatus(fields);
    if (http !== undefined) return call.refuseHttp(http);
    const handler = this.#methods.get(call.path);
    if (handler === undefined) {
      return call.fail(new StatusError(Status.UNIMPLEMENTED, `there is no method ${call.path}`));
    }
    const encoding = fieldValue(fields, "grpc-encoding");
    if (encoding !== undefined && encoding !== "identity") {
      return call.fail(new StatusError(Status.UNIMPLEMENTED, `the encoding "${encoding}" is not supported`), [
        { name: "grpc-accept-encoding", value: "identity" },
      ]);
    }
    const timeout = fieldValue(fields, "grpc-timeout");
    const timeoutMs = timeout === undefined ? undefined : parseTimeout(timeout);
    if (timeout !== undefined && timeoutMs === undefined) {
      return call.fail(new StatusError(Status.INTERNAL, `the timeout "${timeout}" is malformed`));
    }
    call.start(handler, timeoutMs);
    if (endStream) call.receiveEnd();
  }

  #body(streamId: number, bytes: Uint8Array, endStream: boolean): void {
    const call = this.#calls.get(streamId);
    if (call !== undefined) return call.receive(bytes, endStream);
    // The call ended while this was already received: nobody else will give its bytes back to the window.
    this.#session.connection.consume(streamId, bytes.length);
  }

  readonly #onOver = (streamId: number): void => {
    this.#calls.delete(streamId);
    if (this.#draining) this.#closeWhenDrained();
  };

  #closeWhenDrained(): void {
    // A call is over when its answer is complete; the answer may still wait for the client's window.
    if (this.#calls.size === 0 && this.#session.connection.openStreams === 0) this.#session.finish();
  }

  #allGone(): void {
    for (const call of [...this.#calls.values()]) call.gone();
  }
}

/** The HTTP status of a request that is no gRPC (gRPC over HTTP/2, Requests), or undefined where it is one. */
function refusedHttpStatus(fields: readonly HeaderField[]): number | undefined {
  if (fieldValue(fields, ":method") !== "POST") return 405;
  return /^application\/grpc($|[+;])/.test(fieldValue(fields, "content-type") ?? "") ? undefined : 415;
}
