import { ByteBudget } from "./byte_budget.ts";
import { acceptedEncodings, accepts, codecOf } from "./compression/encoding.ts";
import { ErrorCode } from "./http2/error_code.ts";
import type { Http2Event } from "./http2/event.ts";
import type { HeaderField } from "./http2/hpack/header_field.ts";
import { StreamMap } from "./http2/stream_map.ts";
import type { MethodTable } from "./method.ts";
import { PlainRequest } from "./plain_request.ts";
import { readRequestHead, type RequestHead } from "./request_head.ts";
import { ServerStream, type ServerStreamContext, statusTrailers } from "./server_stream.ts";
import { Session } from "./session.ts";
import { Status, StatusError } from "./status.ts";
import type { ByteStream } from "./transport/byte_stream.ts";
import { TurnLine } from "./turn_line.ts";

/** One connection of a server with its calls. */
export class ServerSession {
  readonly #session: Session;
  readonly #methods: MethodTable;
  readonly #context: ServerStreamContext;
  readonly #calls = new StreamMap<ServerStream | PlainRequest>();
  /** Those of them that are no gRPC. */
  readonly #plain = new Set<PlainRequest>();
  readonly #gathering: ByteBudget;
  readonly #turns: TurnLine;
  /** What the server's backlog knows of this connection. */
  #toldBytes = 0;
  /** What the last request said. */
  #head: RequestHead | undefined;
  #draining = false;

  /** Serves `methods` over `stream`; {@linkcode run} starts it. */
  constructor(stream: ByteStream, methods: MethodTable, context: ServerStreamContext) {
    this.#methods = methods;
    this.#gathering = new ByteBudget(context.limits.maxGatheringBytesPerConnection, context.gathering);
    this.#context = context;
    this.#turns = new TurnLine(context.limits.maxTurnsPerConnection, context.turns);
    this.#session = new Session(
      "server",
      stream,
      context.limits,
      context.clock,
      (event) => this.#event(event),
      (error) => context.onError(error, "a connection"),
      () => this.#progressed(),
    );
  }

  /** Serves until the connection is over. */
  async run(): Promise<void> {
    await this.#session.run();
    this.#allGone();
    this.#tellBacklog(0);
  }

  /** Whether its client has sent the preface and SETTINGS. */
  get established(): boolean {
    return this.#session.established;
  }

  /** Whether no call is open on it; what is no gRPC and never ends is none. */
  get idle(): boolean {
    return this.#session.connection.openStreams === this.#plain.size;
  }

  /** When its client was heard last, by the clock. */
  get lastReceivedMs(): number {
    return this.#session.lastReceivedMs;
  }

  /** Closes at once, to make room for another connection. */
  evict(): void {
    this.#session.evict("the server needs the place of this idle connection");
  }

  /** Takes no new calls, and closes when those that run have ended. */
  drain(): void {
    this.#draining = true;
    this.#session.connection.goaway(ErrorCode.NO_ERROR, "the server stops");
    // They are told the same whatever else they send.
    for (const request of [...this.#plain]) request.fail();
    this.#session.flushSoon();
    this.#closeWhenDrained();
  }

  /** Ends all calls and closes. */
  abort(): void {
    for (const call of this.#calls.values()) {
      call.fail(new StatusError(Status.UNAVAILABLE, "the server stops"));
    }
    this.#session.finish();
  }

  /** More or less may wait than before. */
  #progressed(): void {
    this.#tellBacklog(this.#session.connection.allQueuedBytes);
    this.#turns.advance();
  }

  #tellBacklog(bytes: number): void {
    this.#context.backlog.add(bytes - this.#toldBytes);
    this.#toldBytes = bytes;
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
      case "stalled":
        return this.#stalled(event.streamId);
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

  #stalled(streamId: number): void {
    const error = new StatusError(
      Status.UNAVAILABLE,
      `the client took nothing of its answer for ${this.#context.limits.stallTimeoutMs} ms; call again to go on`,
    );
    const call = this.#calls.get(streamId);
    if (call !== undefined) return call.fail(error);
    // The call is over, and its answer waits: it will not come whole any more.
    this.#session.connection.endNow(streamId, statusTrailers(error));
  }

  #request(streamId: number, fields: readonly HeaderField[], endStream: boolean): void {
    // Calls that are alike come with the same object: see HpackDecoder.
    if (this.#head?.fields !== fields) this.#head = readRequestHead(fields);
    const head = this.#head;
    if (head.refused !== undefined) {
      const { maxReceiveMessageBytes, handshakeTimeoutMs } = this.#context.limits;
      const plain = new PlainRequest(
        streamId,
        head.refused,
        this.#session,
        maxReceiveMessageBytes,
        (id) => {
          cancelTimer();
          this.#plain.delete(plain);
          this.#onOver(id);
        },
      );
      const cancelTimer = this.#context.clock.after(handshakeTimeoutMs, () => plain.fail());
      this.#calls.set(streamId, plain);
      this.#plain.add(plain);
      if (endStream) plain.receiveEnd();
      return;
    }
    const call = new ServerStream(
      streamId,
      head,
      this.#session,
      this.#context,
      this.#gathering,
      this.#turns,
      this.#onOver,
    );
    this.#calls.set(streamId, call);
    const handler = this.#methods.get(head.path);
    if (handler === undefined) {
      return call.fail(new StatusError(Status.UNIMPLEMENTED, `there is no method ${head.path}`));
    }
    const { encoding } = head;
    if (encoding !== undefined) {
      const codec = codecOf(encoding);
      if (codec === undefined) {
        const accepted = acceptedEncodings();
        const reason = `the encoding "${encoding}" is not supported; send one of ${accepted}`;
        return call.fail(new StatusError(Status.UNIMPLEMENTED, reason), [
          { name: "grpc-accept-encoding", value: accepted },
        ]);
      }
      call.compressWith(codec, accepts(head.acceptEncoding, encoding));
    }
    if (head.malformedTimeout !== undefined) {
      const reason = `the timeout "${head.malformedTimeout}" is malformed`;
      return call.fail(new StatusError(Status.INTERNAL, reason));
    }
    call.start(handler, head.timeoutMs);
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
    for (const call of this.#calls.values()) call.gone();
  }
}
