import { ConnectionControl } from "./connection_control.ts";
import { DataReceiver } from "./data_receiver.ts";
import { ErrorCode } from "./error_code.ts";
import type { Http2Event } from "./event.ts";
import { EventQueue } from "./event_queue.ts";
import { FrameDecoder } from "./frame/frame_decoder.ts";
import { Flag, type Frame, FrameType } from "./frame/frame_type.ts";
import { fieldValue } from "./header_rules.ts";
import { HeadersReceiver } from "./headers_receiver.ts";
import type { HeaderField } from "./hpack/header_field.ts";
import { Http2Error } from "./http2_error.ts";
import type { Http2Limits } from "./limits.ts";
import { PeerBudget } from "./peer_budget.ts";
import { CLIENT_PREFACE, HTTP1_ANSWER, PrefaceReader } from "./preface.ts";
import type { Http2Role } from "./role.ts";
import { Sender } from "./sender.ts";
import { announcedSettings, initialPeerSettings } from "./settings.ts";
import type { Stream } from "./stream.ts";
import { StreamControl } from "./stream_control.ts";
import { Streams } from "./streams.ts";

/** Where the connection is in its life. */
type Phase = "preface" | "settings" | "open" | "failed";

const encoder = new TextEncoder();

/**
 * One HTTP/2 connection (RFC 9113) as a state machine: received bytes go in, events and output come out. It holds no
 * socket, no timer and no clock, and a peer's input never throws out of {@linkcode receive}.
 *
 * The caller writes {@linkcode takeOutput} to the socket after every call, and closes it after a "failed" event once
 * the output is written.
 */
export class Http2Connection {
  readonly #limits: Http2Limits;
  readonly #peer = initialPeerSettings();
  readonly #events = new EventQueue();
  readonly #preface = new PrefaceReader();
  readonly #frames: FrameDecoder;
  readonly #budget: PeerBudget;
  readonly #sender: Sender;
  readonly #streams: Streams;
  readonly #data: DataReceiver;
  readonly #headers: HeadersReceiver;
  readonly #streamControl: StreamControl;
  readonly #connectionControl: ConnectionControl;
  #phase: Phase;

  /** Starts a connection; its preface and SETTINGS are in the output at once. */
  constructor(role: Http2Role, limits: Http2Limits) {
    this.#limits = limits;
    this.#phase = role === "server" ? "preface" : "settings";
    this.#frames = new FrameDecoder(limits.maxFrameBytes);
    const events = this.#events;
    const budget = this.#budget = new PeerBudget(limits);
    const sender = this.#sender = new Sender(limits, this.#peer, {
      drained: (stream) => events.push({ type: "drained", streamId: stream.id }),
      ended: (stream) => this.#streams.localEnded(stream),
    });
    if (role === "client") sender.raw(CLIENT_PREFACE);
    sender.frames.settings(announcedSettings(limits, role));
    const streams = this.#streams = new Streams(role, limits, this.#peer, sender, events);
    this.#data = new DataReceiver(limits, streams, sender, budget, events);
    this.#headers = new HeadersReceiver(role, limits, streams, budget, events);
    this.#streamControl = new StreamControl(role, streams, sender, budget, events);
    this.#connectionControl = new ConnectionControl(role, this.#peer, streams, sender, budget, events);
  }

  /** Streams that are open or half-closed. */
  get openStreams(): number {
    return this.#streams.size;
  }

  /** Whether the peer has sent its preface and its first SETTINGS. */
  get established(): boolean {
    return this.#phase === "open";
  }

  /** Bytes that wait to be taken. */
  get outputBytes(): number {
    return this.#sender.outputBytes;
  }

  /** Whether a client may open one more stream now. */
  get canOpenStream(): boolean {
    return this.#phase !== "failed" && !this.#connectionControl.goawayReceived && this.#streams.canOpenLocal;
  }

  /** Takes bytes from the peer at `nowMs` (monotonic milliseconds) and returns what they brought about. */
  receive(bytes: Uint8Array, nowMs: number): readonly Http2Event[] {
    try {
      this.#receive(bytes, nowMs);
    } catch (error) {
      this.#fail(
        error instanceof Http2Error
          ? error
          : new Http2Error(ErrorCode.INTERNAL_ERROR, "an unexpected condition"),
      );
    }
    return this.#events.take();
  }

  /** Opens a client stream with a request. Throws when {@linkcode canOpenStream} is false. */
  request(fields: readonly HeaderField[], endStream: boolean): number {
    if (!this.canOpenStream) throw new Error("Cannot open a stream: the peer takes no more of them now");
    const stream = this.#streams.openLocal();
    stream.answersHead = fieldValue(fields, ":method") === "HEAD";
    try {
      this.#sender.headers(stream, fields, endStream);
    } catch (error) {
      // Fields that can't be encoded: nothing of the stream was sent.
      this.#streams.withdraw(stream);
      throw error;
    }
    return stream.id;
  }

  /** Sends response headers. Does nothing on a stream that is gone: its end is on the way as an event. */
  respond(streamId: number, fields: readonly HeaderField[], endStream = false): void {
    const stream = this.#writable(streamId);
    if (stream !== undefined) this.#sender.headers(stream, fields, endStream);
  }

  /** Sends data; what finds the window shut is queued. Does nothing on a stream that is gone. */
  data(streamId: number, bytes: Uint8Array): void {
    const stream = this.#writable(streamId);
    if (stream !== undefined) this.#sender.data(stream, bytes);
  }

  /** Ends our half after the queued data, with trailers where given. Does nothing on a stream that is gone. */
  end(streamId: number, trailers?: readonly HeaderField[]): void {
    const stream = this.#writable(streamId);
    if (stream !== undefined) this.#sender.end(stream, trailers);
  }

  /**
   * Ends our half with trailers at once: what is queued is dropped, and so is an end that waits behind it. For a call
   * that failed. Does nothing on a stream that is gone.
   */
  endNow(streamId: number, trailers: readonly HeaderField[]): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined || stream.local === "ended") return;
    this.#sender.drop(stream);
    this.#sender.end(stream, trailers);
  }

  /** Bytes of all streams that wait for a window or for the socket. */
  get allQueuedBytes(): number {
    return this.#sender.queuedBytes;
  }

  /** Bytes of a stream that wait for a window; a "drained" event follows when there are none left. */
  queuedBytes(streamId: number): number {
    return this.#streams.get(streamId)?.queuedBytes ?? 0;
  }

  /** Bytes of data that would leave a stream at once: what its window, the connection's and the output have room for. */
  openBytes(streamId: number): number {
    const stream = this.#streams.get(streamId);
    return stream === undefined ? 0 : this.#sender.openBytes(stream);
  }

  /**
   * Brings a "stalled" event for every stream whose queue has not moved for `timeoutMs`. A queue is first seen by a call
   * of this: called every so often, it tells of a stall that much later at most.
   */
  findStalled(nowMs: number, timeoutMs: number): readonly Http2Event[] {
    this.#streams.findStalled(nowMs, timeoutMs);
    return this.#events.take();
  }

  /** Ends a stream in both directions with RST_STREAM and drops what is queued on it. No event follows. */
  reset(streamId: number, code: ErrorCode): void {
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) this.#streams.reset(stream, code);
  }

  /** Gives back the window of received data that was used. */
  consume(streamId: number, count: number): void {
    this.#data.consume(streamId, count);
  }

  /** Sends a PING; "pong" follows. */
  ping(): void {
    this.#sender.frames.ping(new Uint8Array(8), false);
  }

  /** Tells the peer to open no more streams; those that are open go on, and "idle" follows when the last has ended. */
  goaway(code: ErrorCode, debug = ""): void {
    if (this.#streams.leaving || this.#phase === "failed") return;
    this.#streams.leave();
    this.#sender.frames.goaway(this.#streams.lastPeerId, code, encoder.encode(debug));
  }

  /** Ends the connection for a reason outside the protocol (a timer, a quota): GOAWAY, then "failed". */
  fail(code: ErrorCode, reason: string): readonly Http2Event[] {
    this.#fail(new Http2Error(code, reason));
    return this.#events.take();
  }

  /** Takes the output for the socket; hand it back to {@linkcode outputWritten}. */
  takeOutput(): Uint8Array<ArrayBuffer> {
    return this.#sender.take();
  }

  /** The socket has written a taken output: waiting data may follow. */
  outputWritten(taken: Uint8Array<ArrayBuffer>): readonly Http2Event[] {
    this.#sender.written(taken);
    return this.#events.take();
  }

  #receive(bytes: Uint8Array, nowMs: number): void {
    if (this.#phase === "failed") return;
    let rest = bytes;
    if (this.#phase === "preface") {
      const { used, result } = this.#preface.read(bytes);
      if (result === "incomplete") return;
      if (result !== "complete") {
        // The client never saw our SETTINGS as such: an HTTP/1 client gets an answer that it can read instead.
        if (result === "http/1") this.#answerHttp1();
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `the preface is missing (${result})`);
      }
      this.#phase = "settings";
      rest = bytes.subarray(used);
    }
    this.#frames.push(rest);
    for (let frame = this.#frames.next(); frame !== undefined; frame = this.#frames.next()) {
      try {
        this.#frame(frame, nowMs);
      } catch (error) {
        if (!(error instanceof Http2Error) || error.streamId === 0) throw error;
        this.#budget.reset(nowMs);
        this.#streams.resetForFault(error.streamId, error.code);
      }
      if (this.#sender.outputBytes > this.#limits.maxOutputBytes) {
        throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "answers wait unread");
      }
    }
  }

  #frame(frame: Frame, nowMs: number): void {
    if (this.#phase === "settings") this.#firstFrame(frame);
    if (this.#headers.blockOpen && frame.type !== FrameType.CONTINUATION) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "a header block is cut by another frame (§6.10)");
    }
    switch (frame.type) {
      case FrameType.DATA:
        return this.#data.receive(frame, nowMs);
      case FrameType.HEADERS:
      case FrameType.CONTINUATION:
        return this.#headers.receive(frame, nowMs);
      case FrameType.PRIORITY:
        return this.#streamControl.priority(frame, nowMs);
      case FrameType.RST_STREAM:
        return this.#streamControl.rstStream(frame, nowMs);
      case FrameType.SETTINGS:
        return this.#settings(frame, nowMs);
      case FrameType.PUSH_PROMISE:
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE is not allowed here (§6.6, §8.4)");
      case FrameType.PING:
        return this.#connectionControl.ping(frame, nowMs);
      case FrameType.GOAWAY:
        return this.#connectionControl.goaway(frame);
      case FrameType.WINDOW_UPDATE:
        return this.#streamControl.windowUpdate(frame, nowMs);
      default:
        // Frames of unknown types are ignored (§4.1), yet not for free.
        this.#budget.idleFrame(nowMs);
    }
  }

  #settings(frame: Frame, nowMs: number): void {
    this.#connectionControl.settings(frame, nowMs);
    if ((frame.flags & Flag.ACK) === 0) return;
    this.#streams.settingsAcknowledged();
    this.#headers.settingsAcknowledged();
  }

  #firstFrame(frame: Frame): void {
    if (frame.type !== FrameType.SETTINGS || (frame.flags & Flag.ACK) !== 0) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS (§3.4)");
    }
    this.#phase = "open";
    // Without a word from the peer there is no limit (§6.5.2).
    this.#peer.maxConcurrentStreams = Infinity;
  }

  #writable(streamId: number): Stream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return undefined;
    if (stream.local === "ended" || stream.ending.kind !== "none") {
      throw new Error(`Cannot write to stream ${streamId}: it was ended`);
    }
    return stream;
  }

  #answerHttp1(): void {
    this.#sender.take();
    this.#sender.raw(HTTP1_ANSWER);
  }

  #fail(error: Http2Error): void {
    if (this.#phase === "failed") return;
    // Not through goaway(): an earlier, graceful one may be followed by this (§6.8); HTTP/1 gets none.
    const speaksHttp2 = this.#phase !== "preface";
    this.#phase = "failed";
    if (speaksHttp2) {
      this.#sender.frames.goaway(this.#streams.lastPeerId, error.code, encoder.encode(error.message));
    }
    this.#streams.dropAll();
    this.#events.push({ type: "failed", error });
  }
}
