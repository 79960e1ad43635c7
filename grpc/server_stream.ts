import type { Backlog } from "./backlog.ts";
import type { ByteBudget } from "./byte_budget.ts";
import type { Clock } from "./clock.ts";
import type { Codec } from "./compression/codec.ts";
import { Compression } from "./compression/compression.ts";
import { acceptedEncodings } from "./compression/encoding.ts";
import type { HeaderField } from "./http2/hpack/header_field.ts";
import type { GrpcLimits } from "./limits.ts";
import type { MessageMemory } from "./message_memory.ts";
import { MessageQueue } from "./message_queue.ts";
import { FramedMessage, messagePrefix } from "./message_reader.ts";
import { encodeBase64, Metadata } from "./metadata.ts";
import type { MethodHandler, UnaryResponse } from "./method.ts";
import { percentEncode } from "./percent.ts";
import type { StreamingServerCall } from "./server_call.ts";
import type { RequestHead } from "./request_head.ts";
import type { Session } from "./session.ts";
import { Status, StatusError } from "./status.ts";
import type { PeerIdentity } from "./transport/peer_identity.ts";
import type { TurnLine } from "./turn_line.ts";
import type { TurnPool } from "./turn_pool.ts";

const STATUS_200: HeaderField = { name: ":status", value: "200" };
const CONTENT_TYPE: HeaderField = { name: "content-type", value: "application/grpc" };
const RESPONSE_HEADERS: readonly HeaderField[] = [STATUS_200, CONTENT_TYPE];
const OK_TRAILERS: readonly HeaderField[] = [{ name: "grpc-status", value: "0" }];

/** One for all calls: peers decide how many there are, and the stack of each would cost more than all else that ends it. */
const GONE = new StatusError(Status.CANCELLED, "the client is gone or cancelled the call");

/**
 * A window of this size is open, not just ajar: a quarter of what a client has who announced none (RFC 9113 §6.9.2), since
 * clients give back what they have read only when half of it or more is used up.
 */
const OPEN_WINDOW_BYTES = 16_384;

/** What a stream needs to know of its server. */
export interface ServerStreamContext {
  readonly limits: GrpcLimits;
  readonly clock: Clock;
  /** What unfinished messages of all connections may hold. */
  readonly gathering: ByteBudget;
  /** Where they are gathered. */
  readonly memory: MessageMemory;
  /** What waits for the peers of all connections. */
  readonly backlog: Backlog;
  /** The turns of all connections. */
  readonly turns: TurnPool;
  /** Responses below this are not compressed. */
  readonly minCompressBytes: number;
  /** Told of errors that a handler threw and that its client must not see: no StatusError, or INTERNAL with a cause. */
  readonly onError: (error: unknown, path: string) => void;
}

/** One call at the server: its messages in, its handler, its messages and its status out. */
export class ServerStream implements StreamingServerCall {
  readonly path: string;
  readonly #id: number;
  readonly #fields: readonly HeaderField[];
  readonly #session: Session;
  readonly #context: ServerStreamContext;
  readonly #turns: TurnLine;
  readonly #onOver: (id: number) => void;
  readonly #inbound: MessageQueue;
  #handler: MethodHandler | undefined;
  #compression: Compression | undefined;
  #headersSent = false;
  #over: StatusError | "finished" | undefined;
  #metadata: Metadata | undefined;
  #header: Metadata | undefined;
  #trailer: Metadata | undefined;
  #abort: AbortController | undefined;
  #deadlineMs: number | undefined;
  #cancelDeadline: (() => void) | undefined;
  #waitingWriters: (() => void)[] = [];

  /** Takes the call of a request whose fields are well-formed HTTP/2; `onOver` is told once when it is over. */
  constructor(
    id: number,
    { fields, path }: RequestHead,
    session: Session,
    context: ServerStreamContext,
    gathering: ByteBudget,
    turns: TurnLine,
    onOver: (id: number) => void,
  ) {
    this.#id = id;
    this.#onOver = onOver;
    this.#fields = fields;
    this.#session = session;
    this.#context = context;
    this.#turns = turns;
    this.path = path;
    const { limits, memory } = context;
    this.#inbound = new MessageQueue(limits.maxReceiveMessageBytes, gathering, (bytes) => {
      session.connection.consume(id, bytes);
      session.flushSoon();
    }, memory);
  }

  /** Who is at the other end. */
  get peer(): string {
    return this.#session.peer;
  }

  /** Who that is by a certificate that was checked. */
  get identity(): PeerIdentity | undefined {
    return this.#session.identity;
  }

  /** The request's metadata. */
  get metadata(): Metadata {
    return this.#metadata ??= Metadata.fromFields(this.#fields);
  }

  /** Metadata to send before the first message. */
  get header(): Metadata {
    return this.#header ??= new Metadata();
  }

  /** Metadata to send with the status. */
  get trailer(): Metadata {
    return this.#trailer ??= new Metadata();
  }

  /** Aborted when nobody waits for the answer any more. */
  get signal(): AbortSignal {
    this.#abort ??= new AbortController();
    if (this.#over instanceof StatusError) this.#abort.abort(this.#over);
    return this.#abort.signal;
  }

  /** Milliseconds until the deadline. */
  get remainingMs(): number | undefined {
    return this.#deadlineMs === undefined ? undefined : this.#deadlineMs - this.#context.clock.nowMs();
  }

  /** The client compresses with `codec`, and where `answerToo` wants the same. To be said before {@linkcode start}. */
  compressWith(codec: Codec, answerToo: boolean): void {
    this.#inbound.decompressWith(codec);
    if (answerToo) this.#compression = new Compression(codec, this.#context.minCompressBytes);
  }

  /** Starts the call with its handler and the time that it has; a unary handler is called when its request is whole. */
  start(handler: MethodHandler, timeoutMs: number | undefined): void {
    this.#handler = handler;
    if (timeoutMs !== undefined) {
      if (timeoutMs <= 0) return this.#deadlineOver();
      this.#deadlineMs = this.#context.clock.nowMs() + timeoutMs;
      this.#cancelDeadline = this.#context.clock.after(timeoutMs, () => this.#deadlineOver());
    }
    if (handler.admit !== undefined) {
      try {
        handler.admit(this);
      } catch (error) {
        return this.#thrown(error);
      }
    }
    switch (handler.kind) {
      case "unary":
      case "server_streaming":
        return;
      case "client_streaming":
        return this.#settleUnary(() => handler.handle(this.#inbound, this));
      case "bidi_streaming":
        return this.#settleStreaming(() => handler.handle(this.#inbound, this));
    }
  }

  /** A piece of the request's body came. */
  receive(bytes: Uint8Array, endStream: boolean): void {
    try {
      this.#inbound.push(bytes);
      const single = this.#handler?.kind === "unary" || this.#handler?.kind === "server_streaming";
      if (single && this.#inbound.length > 1) {
        throw new StatusError(Status.INTERNAL, "more than one request came");
      }
    } catch (error) {
      return this.fail(StatusError.from(error));
    }
    if (endStream) this.receiveEnd();
  }

  /** The client sends nothing more. */
  receiveEnd(): void {
    const handler = this.#handler;
    if (this.#over !== undefined || handler === undefined) return;
    if (!this.#inbound.complete) {
      return this.fail(new StatusError(Status.INTERNAL, "the last message is cut"));
    }
    this.#inbound.end();
    if (handler.kind === "unary") {
      this.#withRequest((request) => this.#settleUnary(() => handler.handle(request, this)));
    } else if (handler.kind === "server_streaming") {
      this.#withRequest((request) => this.#settleStreaming(() => handler.handle(request, this)));
    }
  }

  /** The stream is gone: the client cancelled, or broke the protocol, or its connection ended. */
  gone(): void {
    this.#finish(GONE);
  }

  /** All queued bytes have left. */
  drained(): void {
    this.#wakeWriters();
  }

  /** Ends the call with a status that is not OK; `fields` are said with it. */
  fail(error: StatusError, fields: readonly HeaderField[] = []): void {
    if (this.#over !== undefined) return;
    const trailers = [...statusTrailers(error), ...fields];
    if (error.details !== undefined) {
      trailers.push({ name: "grpc-status-details-bin", value: encodeBase64(error.details) });
    }
    if (this.#trailer !== undefined) trailers.push(...this.#trailer.toFields());
    if (error.metadata !== undefined) trailers.push(...error.metadata.toFields());
    if (this.#headersSent) {
      // What waits for the window may wait for ever: the status does not.
      this.#session.connection.endNow(this.#id, trailers);
    } else {
      this.#headersSent = true;
      const header = this.#header?.toFields() ?? [];
      // Nothing was said yet: the status goes with the headers (gRPC over HTTP/2, Trailers-Only).
      this.#session.connection.respond(this.#id, [...RESPONSE_HEADERS, ...header, ...trailers], true);
    }
    this.#session.flushSoon();
    this.#finish(error);
  }

  /** Takes memory back as {@linkcode StreamingServerCall.release} says. */
  release(request: Uint8Array): void {
    this.#context.memory.give(request);
  }

  /** Sends as {@linkcode StreamingServerCall.send} says. */
  send(message: Uint8Array | FramedMessage): boolean {
    if (this.#over !== undefined) return false;
    this.#sendHeaders();
    const { connection } = this.#session;
    // Too much waits on the connection already: a message that finds the window open still passes, no other.
    const waiting = connection.allQueuedBytes;
    const full = waiting >= this.#context.limits.maxQueuedBytesPerConnection &&
      connection.queuedBytes(this.#id) === 0;
    const compressed = this.#compression?.frame(message);
    if (compressed !== undefined) connection.data(this.#id, compressed);
    else if (message instanceof FramedMessage) {
      connection.data(this.#id, message.bytes);
    } else {
      connection.data(this.#id, messagePrefix(message.length));
      connection.data(this.#id, message);
    }
    this.#session.flushSoon();
    if (full && connection.queuedBytes(this.#id) > 0) {
      this.fail(
        new StatusError(Status.UNAVAILABLE, `${waiting} bytes of answers wait unread; read them first`),
      );
      return false;
    }
    return !this.#mustWait();
  }

  /** Waits as {@linkcode StreamingServerCall.ready} says. */
  async ready(signal?: AbortSignal): Promise<void> {
    await this.#waitWhile(() => this.#mustWait(), signal);
  }

  /** Writes as {@linkcode StreamingServerCall.write} says. */
  async write(message: Uint8Array | FramedMessage): Promise<void> {
    if (!this.send(message)) await this.ready();
  }

  /** Runs `make` as {@linkcode StreamingServerCall.inTurn} says. */
  async inTurn<T>(make: () => Promise<T>, signal?: AbortSignal): Promise<T> {
    this.#throwIfUnwanted(signal);
    if (!this.#turns.tryTake(this)) await this.#nextTurn(signal);
    try {
      const made = await make();
      this.#throwIfUnwanted(signal);
      return made;
    } finally {
      this.#turns.end();
    }
  }

  /** Whether what a turn brings could leave soon: see {@linkcode GrpcLimits.maxQueuedBytesAhead}. */
  get hasRoom(): boolean {
    if (this.#mustWait()) return false;
    const { connection } = this.#session;
    const { maxQueuedBytesAhead, maxQueuedBytesPerConnection } = this.#context.limits;
    const waiting = connection.allQueuedBytes;
    if (waiting < maxQueuedBytesAhead && !this.#context.backlog.full) return true;
    return waiting < maxQueuedBytesPerConnection && connection.queuedBytes(this.#id) === 0 &&
      connection.openBytes(this.#id) >= OPEN_WINDOW_BYTES;
  }

  async #nextTurn(signal: AbortSignal | undefined): Promise<void> {
    let taken = false;
    const leave = this.#turns.join(this, () => {
      taken = true;
      this.#wakeWriters();
    });
    try {
      await this.#waitWhile(() => !taken, signal);
    } catch (error) {
      leave();
      if (taken) this.#turns.end();
      throw error;
    }
  }

  async #waitWhile(waiting: () => boolean, signal: AbortSignal | undefined): Promise<void> {
    const wake = () => this.#wakeWriters();
    signal?.addEventListener("abort", wake);
    try {
      while (this.#over === undefined && signal?.aborted !== true && waiting()) {
        await new Promise<void>((resolve) => this.#waitingWriters.push(resolve));
      }
    } finally {
      signal?.removeEventListener("abort", wake);
    }
    this.#throwIfUnwanted(signal);
  }

  #throwIfUnwanted(signal: AbortSignal | undefined): void {
    if (this.#over instanceof StatusError) throw this.#over;
    signal?.throwIfAborted();
  }

  /** Too much waits: of this call, or of the connection while this call has a part in it and so will hear of its end. */
  #mustWait(): boolean {
    const { connection } = this.#session;
    const { maxQueuedBytes, maxQueuedBytesPerConnection } = this.#context.limits;
    const queued = connection.queuedBytes(this.#id);
    return queued >= maxQueuedBytes ||
      (queued > 0 && connection.allQueuedBytes >= maxQueuedBytesPerConnection);
  }

  #wakeWriters(): void {
    for (const wake of this.#waitingWriters.splice(0)) wake();
  }

  #withRequest(handle: (request: Uint8Array) => void): void {
    let request: Uint8Array | undefined;
    try {
      request = this.#inbound.takeOne();
    } catch (error) {
      return this.fail(StatusError.from(error));
    }
    if (request === undefined) return this.fail(new StatusError(Status.INTERNAL, "the request is missing"));
    handle(request);
  }

  #settleUnary(answer: () => UnaryResponse | Promise<UnaryResponse>): void {
    try {
      const response = answer();
      if (response instanceof Promise) {
        response.then((bytes) => this.#complete(bytes), (error) => this.#thrown(error));
      } else this.#complete(response);
    } catch (error) {
      this.#thrown(error);
    }
  }

  #settleStreaming(answer: () => Promise<void>): void {
    answer().then(() => this.#complete(undefined), (error) => this.#thrown(error));
  }

  #complete(response: UnaryResponse | undefined): void {
    if (this.#over !== undefined) return;
    if (response !== undefined) {
      this.send(response);
      if (this.#over !== undefined) return;
    }
    this.#sendHeaders();
    const trailers = this.#trailer === undefined
      ? OK_TRAILERS
      : [...OK_TRAILERS, ...this.#trailer.toFields()];
    this.#session.connection.end(this.#id, trailers);
    this.#session.flushSoon();
    this.#finish("finished");
  }

  #thrown(thrown: unknown): void {
    const hidden = !(thrown instanceof StatusError) ||
      (thrown.code === Status.INTERNAL && thrown.cause !== undefined);
    if (hidden) this.#context.onError(thrown, this.path);
    this.fail(StatusError.from(thrown));
  }

  #sendHeaders(): void {
    if (this.#headersSent) return;
    this.#headersSent = true;
    let fields = RESPONSE_HEADERS;
    if (this.#compression !== undefined) {
      fields = [
        ...fields,
        { name: "grpc-encoding", value: this.#compression.codec.name },
        { name: "grpc-accept-encoding", value: acceptedEncodings() },
      ];
    }
    if (this.#header !== undefined) fields = [...fields, ...this.#header.toFields()];
    this.#session.connection.respond(this.#id, fields);
  }

  #deadlineOver(): void {
    this.fail(new StatusError(Status.DEADLINE_EXCEEDED, "the deadline is over"));
  }

  #finish(how: StatusError | "finished"): void {
    if (this.#over !== undefined) return;
    this.#over = how;
    this.#cancelDeadline?.();
    if (how === "finished") this.#inbound.discard();
    else {
      this.#inbound.fail(how);
      this.#abort?.abort(how);
    }
    this.#wakeWriters();
    this.#onOver(this.#id);
  }
}

/** The status of a call that failed. */
export function statusTrailers({ code, message }: StatusError): HeaderField[] {
  const status: HeaderField = { name: "grpc-status", value: String(code) };
  return message === "" ? [status] : [status, { name: "grpc-message", value: percentEncode(message) }];
}
