import type { CallOptions } from "./call_options.ts";
import { ClientSession } from "./client_session.ts";
import type { ClientStream } from "./client_stream.ts";
import { type Clock, systemClock } from "./clock.ts";
import { Compression, DEFAULT_MIN_COMPRESS_BYTES } from "./compression/compression.ts";
import { acceptedEncodings, codecOf, type Encoding } from "./compression/encoding.ts";
import type { HeaderField } from "./http2/hpack/header_field.ts";
import { DEFAULT_GRPC_LIMITS, type GrpcLimits } from "./limits.ts";
import type { Metadata } from "./metadata.ts";
import { RequestPump } from "./request_pump.ts";
import { Status, StatusError } from "./status.ts";
import { formatTimeout } from "./timeout.ts";
import type { Connect } from "./transport/byte_stream.ts";

/** How a channel compresses its requests. */
export interface ChannelCompression {
  /** The encoding of requests, and of responses where the server compresses them. */
  readonly encoding: Encoding;
  /** Bytes from which on a message is compressed; default 8,192. */
  readonly minBytes?: number;
}

/** How a channel behaves where the defaults do not fit. */
export interface ChannelOptions {
  /** What the server is called in requests (`:authority`); "localhost" where absent. */
  readonly authority?: string;
  /** The `:scheme` of requests: "https" over TLS; "http" where absent. */
  readonly scheme?: "http" | "https";
  /** The `user-agent` of requests. */
  readonly userAgent?: string;
  /**
   * Compresses requests; servers that can answer in the same encoding. Nothing is compressed where absent. The server
   * must know the encoding: one that does not ends every call with UNIMPLEMENTED.
   */
  readonly compression?: ChannelCompression;
  /** Sent with every call, before the call's own: credentials, for example. */
  readonly metadata?: Metadata;
  /** Milliseconds that connecting may take before the calls that wait for it end with UNAVAILABLE; default 10,000. */
  readonly connectTimeoutMs?: number;
  /** What it accepts and keeps; missing ones are {@linkcode DEFAULT_GRPC_LIMITS}. */
  readonly limits?: Partial<GrpcLimits>;
  /** Its time; the runtime's where none is given. */
  readonly clock?: Clock;
}

const DEFAULT_CONNECT_TIMEOUT_MS = 10_000;
/** A call that no server looked at is sent again at most this often. */
const MAX_TRANSPARENT_RETRIES = 2;

/**
 * A client's way to one server. It connects when the first call needs it, shares one connection between all calls,
 * and connects anew for the calls that come after a loss. A call that fails is not repeated, unless the server
 * certainly never looked at it (REFUSED_STREAM, or beyond the last stream of GOAWAY).
 */
export class Channel implements AsyncDisposable {
  readonly #connect: Connect;
  readonly #options: ChannelOptions;
  readonly #limits: GrpcLimits;
  readonly #clock: Clock;
  readonly #compression: Compression | undefined;
  readonly #metadata: readonly HeaderField[];
  readonly #closed = new AbortController();
  readonly #sessions = new Map<ClientSession, Promise<void>>();
  #current: ClientSession | undefined;
  #connecting: Promise<ClientSession> | undefined;

  /** Makes a channel that connects through `connect`. Throws TypeError for an encoding that this runtime does not have. */
  constructor(connect: Connect, options: ChannelOptions = {}) {
    this.#connect = connect;
    this.#options = options;
    this.#limits = { ...DEFAULT_GRPC_LIMITS, ...options.limits };
    this.#clock = options.clock ?? systemClock;
    this.#metadata = options.metadata?.toFields() ?? [];
    this.#compression = options.compression === undefined ? undefined : compressionOf(options.compression);
  }

  /** Calls a method with one request and one response. Throws StatusError. */
  async unary(path: string, request: Uint8Array, options: CallOptions = {}): Promise<Uint8Array> {
    const deadlineMs = this.#deadline(options);
    for (let attempt = 0;; attempt++) {
      const call = await this.#open(path, options, deadlineMs);
      call.send(request);
      call.finishSending();
      try {
        return await onlyResponse(call);
      } catch (error) {
        if (!call.untouched || attempt === MAX_TRANSPARENT_RETRIES) throw error;
      }
    }
  }

  /** Calls a method with one request and many responses. Throws StatusError from the iteration; leaving it cancels. */
  serverStreaming(path: string, request: Uint8Array, options: CallOptions = {}): ResponseStream {
    return new ResponseStream(async () => {
      const call = await this.#open(path, options, this.#deadline(options));
      call.send(request);
      call.finishSending();
      return call;
    });
  }

  /** Calls a method with many requests and one response. Throws StatusError. */
  async clientStreaming(
    path: string,
    requests: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: CallOptions = {},
  ): Promise<Uint8Array> {
    const call = await this.#open(path, options, this.#deadline(options));
    const pump = RequestPump.start(call, requests);
    try {
      return await onlyResponse(call);
    } catch (error) {
      throw pump.failure === undefined ? error : pump.failure.error;
    }
  }

  /** Calls a method with many requests and many responses. Throws StatusError from the iteration; leaving it cancels. */
  bidiStreaming(
    path: string,
    requests: AsyncIterable<Uint8Array> | Iterable<Uint8Array>,
    options: CallOptions = {},
  ): ResponseStream {
    return new ResponseStream(async () => {
      const call = await this.#open(path, options, this.#deadline(options));
      // The iterable's own failure cancels the call; the responses then end with CANCELLED.
      RequestPump.start(call, requests);
      return call;
    });
  }

  /** Closes: calls that run end with UNAVAILABLE, and later ones do at once. May be called again. */
  async close(): Promise<void> {
    this.#closed.abort();
    for (const session of this.#sessions.keys()) session.close();
    await Promise.all(this.#sessions.values());
  }

  /** Closes at the end of an `await using` block. */
  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  #deadline({ timeoutMs }: CallOptions): number | undefined {
    return timeoutMs === undefined ? undefined : this.#clock.nowMs() + timeoutMs;
  }

  async #open(path: string, options: CallOptions, deadlineMs: number | undefined): Promise<ClientStream> {
    if (options.signal?.aborted === true) throw new StatusError(Status.CANCELLED, "the call was cancelled");
    if (deadlineMs !== undefined && deadlineMs <= this.#clock.nowMs()) {
      throw new StatusError(Status.DEADLINE_EXCEEDED, "the deadline was over before the call");
    }
    // The session that is there and free is the common case; everything else may wait and is bounded in time.
    if (this.#current?.ready === true) {
      return this.#current.openNow(this.#fields(path, options, deadlineMs), options, deadlineMs);
    }
    return await this.#openWaiting(path, options, deadlineMs);
  }

  async #openWaiting(
    path: string,
    options: CallOptions,
    deadlineMs: number | undefined,
  ): Promise<ClientStream> {
    let over: StatusError | undefined;
    let session: ClientSession | undefined;
    let reject: (error: StatusError) => void = () => {};
    const ended = new Promise<never>((_, r) => reject = r);
    ended.catch(() => {});
    const end = (error: StatusError) => {
      over = error;
      reject(error);
      session?.wakeWaiting();
    };
    const cancel = () => end(new StatusError(Status.CANCELLED, "the call was cancelled"));
    const nowMs = this.#clock.nowMs();
    const waitMs = Math.min((deadlineMs ?? Infinity) - nowMs, options.pace?.graceMs ?? Infinity);
    const cancelTimer = waitMs === Infinity ? undefined : this.#clock.after(
      Math.max(0, waitMs),
      () => end(new StatusError(Status.DEADLINE_EXCEEDED, "the deadline is over")),
    );
    options.signal?.addEventListener("abort", cancel, { once: true });
    try {
      for (;;) {
        session = await Promise.race([this.#session(), ended]);
        const fields = this.#fields(path, options, deadlineMs);
        const call = await Promise.race([
          session.open(fields, options, deadlineMs, () => over !== undefined),
          ended,
        ]);
        if (call !== undefined) return call;
        if (over !== undefined) throw over;
      }
    } finally {
      cancelTimer?.();
      options.signal?.removeEventListener("abort", cancel);
    }
  }

  #fields(path: string, options: CallOptions, deadlineMs: number | undefined): HeaderField[] {
    const fields: HeaderField[] = [
      { name: ":method", value: "POST" },
      { name: ":scheme", value: this.#options.scheme ?? "http" },
      { name: ":path", value: path },
      { name: ":authority", value: this.#options.authority ?? "localhost" },
      { name: "te", value: "trailers" },
      { name: "content-type", value: "application/grpc" },
    ];
    if (this.#options.userAgent !== undefined) {
      fields.push({ name: "user-agent", value: this.#options.userAgent });
    }
    if (this.#compression !== undefined) {
      fields.push({ name: "grpc-encoding", value: this.#compression.codec.name });
      fields.push({ name: "grpc-accept-encoding", value: acceptedEncodings() });
    }
    fields.push(...this.#metadata);
    if (deadlineMs !== undefined) {
      fields.push({ name: "grpc-timeout", value: formatTimeout(deadlineMs - this.#clock.nowMs()) });
    }
    if (options.metadata !== undefined) fields.push(...options.metadata.toFields());
    return fields;
  }

  #session(): Promise<ClientSession> {
    if (this.#closed.signal.aborted) {
      return Promise.reject(new StatusError(Status.UNAVAILABLE, "the channel is closed"));
    }
    if (this.#current?.usable === true) return Promise.resolve(this.#current);
    return this.#connecting ??= this.#newSession().finally(() => this.#connecting = undefined);
  }

  async #newSession(): Promise<ClientSession> {
    const timeoutMs = this.#options.connectTimeoutMs ?? DEFAULT_CONNECT_TIMEOUT_MS;
    const attempt = new AbortController();
    const cancel = this.#clock.after(
      timeoutMs,
      () => attempt.abort(new Error(`no connection in ${timeoutMs} ms`)),
    );
    const closed = () => attempt.abort(new Error("the channel is closed"));
    this.#closed.signal.addEventListener("abort", closed, { once: true });
    try {
      const stream = await this.#connect(attempt.signal);
      if (this.#closed.signal.aborted) {
        stream.close();
        throw new Error("the channel is closed");
      }
      const session = new ClientSession(stream, this.#limits, this.#clock, this.#compression);
      this.#current = session;
      this.#sessions.set(session, session.run().finally(() => this.#sessions.delete(session)));
      return session;
    } catch (error) {
      const reason = attempt.signal.aborted ? attempt.signal.reason : error;
      const text = reason instanceof Error ? reason.message : String(reason);
      throw new StatusError(Status.UNAVAILABLE, `cannot connect: ${text}`, { cause: error });
    } finally {
      cancel();
      this.#closed.signal.removeEventListener("abort", closed);
    }
  }
}

/** The responses of a call, to be read by one reader; it starts with the first read, and ends early by `cancel`. */
export class ResponseStream implements AsyncIterable<Uint8Array> {
  readonly #start: () => Promise<ClientStream>;
  #call: Promise<ClientStream> | undefined;

  /** Made by a channel. */
  constructor(start: () => Promise<ClientStream>) {
    this.#start = start;
  }

  /** All responses that have arrived, at least one; null after the last. Throws StatusError. */
  async nextBatch(): Promise<readonly Uint8Array[] | null> {
    const call = await (this.#call ??= this.#start());
    try {
      return await call.responses.takeAll();
    } catch (error) {
      call.cancel(); // where a response can't be read, nobody wants those behind it
      throw error;
    }
  }

  /** Cancels the call; responses that arrived may still be read. */
  async cancel(): Promise<void> {
    try {
      (await this.#call)?.cancel();
    } catch {
      // The call never started: there is nothing to cancel.
    }
  }

  /** One response after the other; leaving the loop cancels the call. */
  async *[Symbol.asyncIterator](): AsyncGenerator<Uint8Array> {
    try {
      for (let batch = await this.nextBatch(); batch !== null; batch = await this.nextBatch()) yield* batch;
    } finally {
      await this.cancel();
    }
  }
}

function compressionOf({ encoding, minBytes = DEFAULT_MIN_COMPRESS_BYTES }: ChannelCompression): Compression {
  const codec = codecOf(encoding);
  if (codec === undefined) {
    throw new TypeError(`Cannot compress with "${encoding}": this runtime has ${acceptedEncodings()}`);
  }
  return new Compression(codec, minBytes);
}

async function onlyResponse(call: ClientStream): Promise<Uint8Array> {
  let response: Uint8Array | undefined;
  try {
    for (let batch = await call.responses.takeAll(); batch !== null; batch = await call.responses.takeAll()) {
      for (const message of batch) {
        if (response !== undefined) throw new StatusError(Status.INTERNAL, "more than one response came");
        response = message;
      }
    }
  } catch (error) {
    call.cancel();
    throw error;
  }
  if (response === undefined) throw new StatusError(Status.INTERNAL, "the response is missing");
  return response;
}
