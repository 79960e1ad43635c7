import type { Clock } from "./clock.ts";
import { Http2Connection, type Http2Role } from "./http2/connection.ts";
import { ErrorCode } from "./http2/error_code.ts";
import type { Http2Event } from "./http2/event.ts";
import type { GrpcLimits } from "./limits.ts";
import type { ByteStream } from "./transport/byte_stream.ts";

/** Bytes that are read and thrown away while a failed connection delivers its last words. */
const MAX_DISCARDED_BYTES = 1_048_576;

/**
 * The one pump between a byte stream and an HTTP/2 connection. Everything that a turn of the event loop wants to send
 * leaves in one write; while a write is under way, the next output gathers.
 */
export class Session {
  readonly connection: Http2Connection;
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  readonly #limits: GrpcLimits;
  readonly #onEvent: (event: Http2Event) => void;
  readonly #onFault: (error: unknown) => void;
  readonly #flushTurn = () => this.#flush();
  #flushScheduled = false;
  #writing: Promise<void> | undefined;
  #state: "open" | "closing" | "closed" = "open";
  /** A server says nothing before its client did: an HTTP/1 client can then be answered in its own words. */
  #mayFlush: boolean;
  #lastReceivedMs: number;
  #cancelTimer: () => void;
  #pinged = false;
  #lastWords: Promise<void> | undefined;

  /** Speaks as `role` over `stream`; {@linkcode run} starts it. Events are told one by one, in order; what `onEvent` throws goes to `onFault` and ends the connection. */
  constructor(
    role: Http2Role,
    stream: ByteStream,
    limits: GrpcLimits,
    clock: Clock,
    onEvent: (event: Http2Event) => void,
    onFault: (error: unknown) => void,
  ) {
    this.#stream = stream;
    this.#limits = limits;
    this.#clock = clock;
    this.#onEvent = onEvent;
    this.#onFault = onFault;
    this.connection = new Http2Connection(role, limits.http2);
    this.#mayFlush = role === "client";
    this.#lastReceivedMs = clock.nowMs();
    this.#cancelTimer = clock.after(limits.handshakeTimeoutMs, () => this.#handshakeTimedOut());
  }

  /** Who is at the other end. */
  get peer(): string {
    return this.#stream.peer;
  }

  /** Pumps until the connection is over; returns the error that broke the transport, if one did. Never throws. */
  async run(): Promise<unknown> {
    this.flushSoon();
    let broken: unknown;
    try {
      await this.#readAll();
      await this.#lastWords;
    } catch (error) {
      broken = error;
    }
    this.close();
    return broken;
  }

  /** Lets the output leave at the end of this turn. To be called after every use of the connection. */
  flushSoon(): void {
    if (this.#flushScheduled) return;
    this.#flushScheduled = true;
    queueMicrotask(this.#flushTurn);
  }

  /** Ends the connection after what is in the output: for a connection whose last call has ended, or that failed. */
  finish(): void {
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#cancelTimer();
    this.#cancelTimer = this.#clock.after(this.#limits.closeTimeoutMs, () => this.close());
    this.#lastWords = this.#deliverLastWords();
  }

  /** Ends the connection at once. May be called again. */
  close(): void {
    this.#state = "closed";
    this.#cancelTimer();
    this.#stream.close();
  }

  async #readAll(): Promise<void> {
    let established = false;
    let discarded = 0;
    for (let bytes = await this.#stream.read(); bytes !== null; bytes = await this.#stream.read()) {
      if (this.#state !== "open") {
        // Closing a socket with unread bytes would reset it and lose what we said last: so they are read, within a bound.
        discarded += bytes.length;
        if (discarded > MAX_DISCARDED_BYTES) return;
        continue;
      }
      this.#lastReceivedMs = this.#clock.nowMs();
      this.#mayFlush = true;
      this.#tell(this.connection.receive(bytes, this.#lastReceivedMs));
      this.flushSoon();
      if (!established && this.#state === "open" && this.connection.established) {
        established = true;
        this.#cancelTimer();
        this.#watchIdle();
      }
    }
  }

  #tell(events: readonly Http2Event[]): void {
    for (const event of events) {
      try {
        this.#onEvent(event);
      } catch (error) {
        // A fault of ours in one call must not go unseen, nor leave the others of the connection half served.
        this.#onFault(error);
        this.#tell(this.connection.fail(ErrorCode.INTERNAL_ERROR, "an internal error"));
        return;
      }
      if (event.type === "failed") this.finish();
    }
  }

  #flush(): void {
    this.#flushScheduled = false;
    if (this.#writing !== undefined || this.#state === "closed" || !this.#mayFlush) return;
    if (this.connection.outputBytes === 0) return;
    const output = this.connection.takeOutput();
    this.#writing = this.#stream.write(output).then(() => {
      this.#writing = undefined;
      this.#tell(this.connection.outputWritten(output));
      this.#flush();
    }, () => {
      // The peer is gone: reading reports how.
      this.#writing = undefined;
      this.close();
    });
  }

  async #deliverLastWords(): Promise<void> {
    this.#mayFlush = true;
    this.#flush();
    while (this.#writing !== undefined) await this.#writing;
    if (this.#state !== "closing") return;
    try {
      await this.#stream.closeWrite();
    } catch {
      // The peer closed first: it has heard all it wanted.
    }
  }

  #handshakeTimedOut(): void {
    this.#tell(this.connection.fail(ErrorCode.SETTINGS_TIMEOUT, "no preface and SETTINGS in time"));
    this.flushSoon();
  }

  #watchIdle(): void {
    const { keepAliveIntervalMs, keepAliveTimeoutMs } = this.#limits;
    if (keepAliveIntervalMs === 0 || this.#state !== "open") return;
    const idleMs = this.#clock.nowMs() - this.#lastReceivedMs;
    const allowedMs = keepAliveIntervalMs + (this.#pinged ? keepAliveTimeoutMs : 0);
    if (idleMs < keepAliveIntervalMs) this.#pinged = false;
    else if (idleMs >= allowedMs && this.#pinged) {
      this.#tell(this.connection.fail(ErrorCode.NO_ERROR, "no answer to PING in time"));
      return this.close();
    } else if (!this.#pinged) {
      this.#pinged = true;
      this.connection.ping();
      this.flushSoon();
    }
    const waitMs = this.#pinged
      ? keepAliveIntervalMs + keepAliveTimeoutMs - idleMs
      : keepAliveIntervalMs - idleMs;
    this.#cancelTimer = this.#clock.after(Math.max(1, waitMs), () => this.#watchIdle());
  }
}
