import type { Clock } from "./clock.ts";
import { Http2Connection } from "./http2/connection.ts";
import { ErrorCode } from "./http2/error_code.ts";
import type { Http2Event } from "./http2/event.ts";
import type { Http2Role } from "./http2/role.ts";
import { KeepAlive } from "./keep_alive.ts";
import type { GrpcLimits } from "./limits.ts";
import type { ByteStream } from "./transport/byte_stream.ts";
import type { PeerIdentity } from "./transport/peer_identity.ts";

/** Bytes that are read and thrown away while a failed connection delivers its last words. */
const MAX_DISCARDED_BYTES = 1_048_576;

/** A larger output is written in pieces of this many bytes, so that a slow peer is told from one that takes nothing. */
const WRITE_BYTES = 65_536;
/** Looks in the time of a stall: it is noticed at most this part of the time late. */
const LOOKS_PER_STALL = 4;

/** Octets of a read that are handled at once, to begin with; twice as many follow while that is quick. */
const FIRST_SLICE_BYTES = 4_096;
/** After slices that took this long together, everything else that is due has its turn. */
const LONG_TURN_MS = 1;

/** Settles when the event loop has looked at its sockets and timers once. */
function nextTurn(): Promise<void> {
  return new Promise((resolve) =>
    "setImmediate" in globalThis ? setImmediate(resolve) : setTimeout(resolve, 0)
  );
}

/**
 * The one pump between a byte stream and an HTTP/2 connection. Everything that a turn of the event loop wants to send
 * leaves in one write; while a write is under way, the next output gathers.
 */
export class Session {
  readonly connection: Http2Connection;
  readonly #stream: ByteStream;
  readonly #clock: Clock;
  readonly #limits: GrpcLimits;
  readonly #keepAlive: KeepAlive;
  readonly #onEvent: (event: Http2Event) => void;
  readonly #onFault: (error: unknown) => void;
  readonly #onProgress: () => void;
  readonly #flushTurn = () => this.#flush();
  #flushScheduled = false;
  #writing: Promise<void> | undefined;
  #state: "open" | "closing" | "closed" = "open";
  /** A server says nothing before its client did: an HTTP/1 client can then be answered in its own words. */
  #mayFlush: boolean;
  #cancelTimer: () => void;
  #lastWords: Promise<void> | undefined;
  /** Settles when a connection that floods may be closed. */
  #calm: Promise<void> | undefined;
  #endCalm: () => void = () => {};
  /** Set while output waits for the peer. */
  #cancelStallTimer: (() => void) | undefined;
  /** Looks for a stall that found the write that is under way where the one before did. */
  #looksWithoutWrite = 0;

  /** Speaks as `role` over `stream`; {@linkcode run} starts it. Events are told one by one, in order; what `onEvent` throws goes to `onFault` and ends the connection. `onProgress` is called whenever less may wait than before. */
  constructor(
    role: Http2Role,
    stream: ByteStream,
    limits: GrpcLimits,
    clock: Clock,
    onEvent: (event: Http2Event) => void,
    onFault: (error: unknown) => void,
    onProgress: () => void = () => {},
  ) {
    this.#stream = stream;
    this.#limits = limits;
    this.#clock = clock;
    this.#onEvent = onEvent;
    this.#onFault = onFault;
    this.#onProgress = onProgress;
    this.connection = new Http2Connection(role, limits.http2);
    this.#mayFlush = role === "client";
    this.#keepAlive = new KeepAlive(limits.keepAliveIntervalMs, limits.keepAliveTimeoutMs, clock.nowMs());
    this.#cancelTimer = clock.after(limits.handshakeTimeoutMs, () => this.#handshakeTimedOut());
  }

  /** Who is at the other end. */
  get peer(): string {
    return this.#stream.peer;
  }

  /** Who that is by a certificate that was checked. */
  get identity(): PeerIdentity | undefined {
    return this.#stream.identity;
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

  /** Whether the peer has sent its preface and SETTINGS. */
  get established(): boolean {
    return this.connection.established;
  }

  /** When the peer was heard last, by the clock. */
  get lastReceivedMs(): number {
    return this.#keepAlive.lastReceivedMs;
  }

  /** Ends the connection at once, with a GOAWAY as far as the transport takes it without waiting. */
  evict(reason: string): void {
    if (this.established) {
      this.connection.goaway(ErrorCode.NO_ERROR, reason);
      this.#flush();
    }
    this.close();
  }

  /** Ends the connection at once. May be called again. */
  close(): void {
    this.#state = "closed";
    this.#cancelTimer();
    this.#cancelStallTimer?.();
    this.#endCalm();
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
      this.#mayFlush = true;
      await this.#receive(bytes);
      if (this.#calm !== undefined) return await this.#calm;
      if (!established && this.#state === "open" && this.connection.established) {
        established = true;
        this.#cancelTimer();
        this.#watchIdle();
      }
    }
  }

  /** Takes what was read, and lets other connections in between where it is much work: a burst of tiny frames is. */
  async #receive(bytes: Uint8Array): Promise<void> {
    let sliceBytes = FIRST_SLICE_BYTES;
    let turnBeganMs = this.#clock.nowMs();
    for (let at = 0; at < bytes.length && this.#state === "open";) {
      const slice = bytes.subarray(at, at + sliceBytes);
      at += slice.length;
      const nowMs = this.#clock.nowMs();
      this.#keepAlive.received(nowMs);
      this.#tell(this.connection.receive(slice, nowMs));
      this.flushSoon();
      if (at === bytes.length) return;
      if (this.#clock.nowMs() - turnBeganMs < LONG_TURN_MS) sliceBytes *= 2;
      else {
        sliceBytes = FIRST_SLICE_BYTES;
        await nextTurn();
        turnBeganMs = this.#clock.nowMs();
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
      if (event.type !== "failed") continue;
      if (event.error.code === ErrorCode.ENHANCE_YOUR_CALM) this.#calmDown();
      else this.finish();
    }
  }

  /** Says why, and then leaves a flooding peer alone for a while. */
  #calmDown(): void {
    const { calmTimeoutMs } = this.#limits;
    if (calmTimeoutMs === 0) return this.finish();
    if (this.#state !== "open") return;
    this.#state = "closing";
    this.#cancelTimer();
    this.#calm = new Promise((resolve) => this.#endCalm = resolve);
    this.#cancelTimer = this.#clock.after(calmTimeoutMs, () => this.close());
  }

  #flush(): void {
    this.#flushScheduled = false;
    this.#onProgress();
    if (this.#writing !== undefined || this.#state === "closed" || !this.#mayFlush) return;
    if (this.connection.outputBytes === 0) return;
    const output = this.connection.takeOutput();
    this.#keepAlive.sent(output.length);
    this.#looksWithoutWrite = 0;
    if (this.#cancelStallTimer === undefined) this.#watchStall();
    const writing = output.length > WRITE_BYTES ? this.#writePieces(output) : this.#stream.write(output);
    this.#writing = writing.then(() => {
      this.#writing = undefined;
      this.#tell(this.connection.outputWritten(output));
      this.#flush();
    }, () => {
      // The peer is gone: reading reports how.
      this.#writing = undefined;
      this.close();
    });
  }

  async #writePieces(output: Uint8Array): Promise<void> {
    for (let at = 0; at < output.length; at += WRITE_BYTES) {
      await this.#stream.write(output.subarray(at, at + WRITE_BYTES));
      this.#looksWithoutWrite = 0;
    }
  }

  /** Looks every so often, for as long as output waits, whether any of it moves. */
  #watchStall(): void {
    const { stallTimeoutMs } = this.#limits;
    if (stallTimeoutMs === 0) return;
    this.#cancelStallTimer = this.#clock.after(stallTimeoutMs / LOOKS_PER_STALL, () => {
      this.#cancelStallTimer = undefined;
      this.#lookForStall(stallTimeoutMs);
    });
  }

  #lookForStall(stallTimeoutMs: number): void {
    if (this.#writing !== undefined && ++this.#looksWithoutWrite > LOOKS_PER_STALL) return this.close();
    this.#tell(this.connection.findStalled(this.#clock.nowMs(), stallTimeoutMs));
    this.flushSoon();
    if (this.#state === "open" && (this.#writing !== undefined || this.connection.allQueuedBytes > 0)) {
      this.#watchStall();
    }
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
    if (this.#limits.keepAliveIntervalMs === 0 || this.#state !== "open") return;
    const { now, againMs } = this.#keepAlive.look(this.#clock.nowMs());
    if (now === "give up") {
      this.#tell(this.connection.fail(ErrorCode.NO_ERROR, "no answer to PING in time"));
      return this.close();
    }
    if (now === "ask") {
      this.connection.ping();
      this.flushSoon();
    }
    this.#cancelTimer = this.#clock.after(Math.max(1, againMs), () => this.#watchIdle());
  }
}
