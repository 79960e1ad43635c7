import { ByteBudget } from "./byte_budget.ts";
import type { CallOptions } from "./call_options.ts";
import { ClientStream } from "./client_stream.ts";
import type { Clock } from "./clock.ts";
import type { Compression } from "./compression/compression.ts";
import { ErrorCode, errorCodeName } from "./http2/error_code.ts";
import type { Http2Event } from "./http2/event.ts";
import type { HeaderField } from "./http2/hpack/header_field.ts";
import { StreamMap } from "./http2/stream_map.ts";
import type { GrpcLimits } from "./limits.ts";
import { Session } from "./session.ts";
import type { ByteStream } from "./transport/byte_stream.ts";

/** One connection of a channel with its calls. */
export class ClientSession {
  readonly #session: Session;
  readonly #limits: GrpcLimits;
  readonly #clock: Clock;
  readonly #compression: Compression | undefined;
  readonly #calls = new StreamMap<ClientStream>();
  readonly #gathering: ByteBudget;
  #usable = true;
  #lostReason = "the connection is closed";
  readonly #waiting: (() => void)[] = [];

  /** Speaks over `stream`; {@linkcode run} starts it. */
  constructor(stream: ByteStream, limits: GrpcLimits, clock: Clock, compression?: Compression) {
    this.#limits = limits;
    this.#compression = compression;
    this.#gathering = new ByteBudget(limits.maxGatheringBytesPerConnection);
    this.#clock = clock;
    this.#session = new Session(
      "client",
      stream,
      limits,
      clock,
      (event) => this.#event(event),
      (error) =>
        this.#lostReason = `the client failed: ${error instanceof Error ? error.message : String(error)}`,
    );
  }

  /** Whether new calls may start here, now or when others have ended. */
  get usable(): boolean {
    return this.#usable;
  }

  /** Pumps until the connection is over. */
  async run(): Promise<void> {
    const broken = await this.#session.run();
    if (broken instanceof Error) this.#lostReason = `the connection broke: ${broken.message}`;
    this.#lose(broken);
  }

  /** Starts a call with its header fields; undefined when the connection takes none any more. Waits for a free stream. */
  async open(
    fields: readonly HeaderField[],
    options: CallOptions,
    deadlineMs: number | undefined,
    over: () => boolean,
  ): Promise<ClientStream | undefined> {
    while (this.#usable && !this.#session.connection.canOpenStream) {
      if (over()) return undefined;
      await new Promise<void>((resolve) => this.#waiting.push(resolve));
    }
    if (!this.#usable || over()) return undefined;
    return this.openNow(fields, options, deadlineMs);
  }

  /** Whether {@linkcode openNow} may be called. */
  get ready(): boolean {
    return this.#usable && this.#session.connection.canOpenStream;
  }

  /** Starts a call at once. */
  openNow(
    fields: readonly HeaderField[],
    options: CallOptions,
    deadlineMs: number | undefined,
  ): ClientStream {
    const id = this.#session.connection.request(fields, false);
    this.#session.flushSoon();
    const call = new ClientStream(
      id,
      this.#session,
      this.#limits,
      this.#clock,
      options,
      deadlineMs,
      this.#gathering,
      this.#compression,
      this.#onOver,
    );
    this.#calls.set(id, call);
    return call;
  }

  /** Lets waiting calls look again whether they are still wanted. */
  wakeWaiting(): void {
    for (const wake of this.#waiting.splice(0)) wake();
  }

  /** Closes; calls that run end with UNAVAILABLE. */
  close(): void {
    this.#session.connection.goaway(ErrorCode.NO_ERROR);
    this.#session.finish();
    this.#lose();
  }

  #event(event: Http2Event): void {
    switch (event.type) {
      case "headers":
        return this.#calls.get(event.streamId)?.receiveHeaders(event.fields, event.endStream);
      case "data":
        return this.#body(event.streamId, event.bytes, event.endStream);
      case "trailers":
        return this.#calls.get(event.streamId)?.receiveTrailers(event.fields);
      case "reset":
        return this.#calls.get(event.streamId)?.receiveReset(event.code);
      case "drained":
        return this.#calls.get(event.streamId)?.drained();
      case "capacity":
        return this.wakeWaiting();
      case "goaway":
        this.#lostReason = `the server closes the connection: ${errorCodeName(event.code)} ${event.debug}`
          .trimEnd();
        this.#usable = false;
        this.wakeWaiting();
        if (this.#calls.size === 0) this.#session.finish();
        return;
      case "failed":
        this.#lostReason = `the connection failed: ${event.error.message}`;
        return this.#lose(event.error);
      case "pong":
      case "idle":
      case "stalled":
        return;
    }
  }

  #body(streamId: number, bytes: Uint8Array, endStream: boolean): void {
    const call = this.#calls.get(streamId);
    if (call !== undefined) return call.receiveData(bytes, endStream);
    // The call ended while this was already received: nobody else will give its bytes back to the window.
    this.#session.connection.consume(streamId, bytes.length);
  }

  readonly #onOver = (id: number): void => {
    this.#calls.delete(id);
    if (!this.#usable && this.#calls.size === 0) this.#session.finish();
  };

  #lose(cause?: unknown): void {
    this.#usable = false;
    for (const call of this.#calls.values()) call.connectionLost(this.#lostReason, cause);
    this.wakeWaiting();
  }
}
