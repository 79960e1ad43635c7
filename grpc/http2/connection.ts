import { ErrorCode } from "./error_code.ts";
import type { Http2Event } from "./event.ts";
import { FrameDecoder, readUint31 } from "./frame/frame_decoder.ts";
import { Flag, type Frame, FrameType } from "./frame/frame_type.ts";
import { HeaderBlockReader } from "./header_block.ts";
import type { HeaderField } from "./hpack/header_field.ts";
import { contentLength, fieldValue, malformedHeaders } from "./header_rules.ts";
import { Http2Error } from "./http2_error.ts";
import type { Http2Limits } from "./limits.ts";
import { PeerBudget } from "./peer_budget.ts";
import { CLIENT_PREFACE, HTTP1_ANSWER, PrefaceReader } from "./preface.ts";
import { ReceiveWindow } from "./receive_window.ts";
import { Sender } from "./sender.ts";
import {
  announcedSettings,
  applySettings,
  DEFAULT_WINDOW_BYTES,
  initialPeerSettings,
  MAX_WINDOW_BYTES,
} from "./settings.ts";
import { Stream } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";

/** Which side of the connection this is. */
export type Http2Role = "client" | "server";

/** Where the connection is in its life. */
type Phase = "preface" | "settings" | "open" | "failed";

const EMPTY = new Uint8Array(0);
const decoder = new TextDecoder();
const encoder = new TextEncoder();

/**
 * One HTTP/2 connection (RFC 9113) as a state machine: received bytes go in, events and output come out. It holds no
 * socket, no timer and no clock, and a peer's input never throws out of {@linkcode receive}.
 *
 * The caller writes {@linkcode takeOutput} to the socket after every call, and closes it after a "failed" event once
 * the output is written.
 */
export class Http2Connection {
  readonly #role: Http2Role;
  readonly #limits: Http2Limits;
  readonly #peer = initialPeerSettings();
  readonly #frames: FrameDecoder;
  readonly #blocks: HeaderBlockReader;
  readonly #preface = new PrefaceReader();
  readonly #budget: PeerBudget;
  readonly #sender: Sender;
  readonly #streams: StreamTable;
  readonly #receiveWindow: ReceiveWindow;
  #events: Http2Event[] = [];
  #phase: Phase;
  /** The last stream of the peer that our GOAWAY said we look at; undefined before it. */
  #goawayLastId: number | undefined;
  #goawayReceived = false;

  /** Starts a connection; its preface and SETTINGS are in the output at once. */
  constructor(role: Http2Role, limits: Http2Limits) {
    this.#role = role;
    this.#limits = limits;
    this.#frames = new FrameDecoder(limits.maxFrameBytes);
    this.#blocks = new HeaderBlockReader(limits);
    this.#budget = new PeerBudget(limits);
    this.#streams = new StreamTable(role);
    this.#phase = role === "server" ? "preface" : "settings";
    this.#sender = new Sender(limits, this.#peer, {
      drained: (stream) => this.#events.push({ type: "drained", streamId: stream.id }),
      ended: (stream) => this.#localEnded(stream),
    });
    if (role === "client") this.#sender.raw(CLIENT_PREFACE);
    this.#sender.frames.settings(announcedSettings(limits, role));
    this.#receiveWindow = new ReceiveWindow(
      Math.max(limits.connectionWindowBytes, DEFAULT_WINDOW_BYTES),
      DEFAULT_WINDOW_BYTES,
    );
    this.#consumeConnection(0);
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
    return this.#phase !== "failed" && !this.#goawayReceived && this.#goawayLastId === undefined &&
      this.#streams.size < this.#peer.maxConcurrentStreams && this.#streams.hasNextLocalId;
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
    return this.#takeEvents();
  }

  /** Opens a client stream with a request. Throws when {@linkcode canOpenStream} is false. */
  request(fields: readonly HeaderField[], endStream: boolean): number {
    if (!this.canOpenStream) throw new Error("Cannot open a stream: the peer takes no more of them now");
    const stream = this.#newStream(this.#streams.nextLocalId());
    try {
      this.#sender.headers(stream, fields, endStream);
    } catch (error) {
      // Fields that can't be encoded: nothing of the stream was sent.
      this.#streams.remove(stream);
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

  /** Ends our half with trailers at once: what is queued is dropped. For a call that failed. */
  endNow(streamId: number, trailers: readonly HeaderField[]): void {
    const stream = this.#writable(streamId);
    if (stream === undefined) return;
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

  /** Ends a stream in both directions with RST_STREAM and drops what is queued on it. No event follows. */
  reset(streamId: number, code: ErrorCode): void {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    this.#sender.frames.rstStream(streamId, code);
    this.#drop(stream, "by us");
  }

  /** Gives back the window of received data that was used. */
  consume(streamId: number, count: number): void {
    if (count === 0) return;
    this.#consumeConnection(count);
    const stream = this.#streams.get(streamId);
    if (stream === undefined || stream.remote === "ended") return;
    const increment = stream.receiveWindow.consume(count);
    if (increment > 0) this.#sender.frames.windowUpdate(streamId, increment);
  }

  /** Sends a PING; "pong" follows. */
  ping(): void {
    this.#sender.frames.ping(new Uint8Array(8), false);
  }

  /** Tells the peer to open no more streams; those that are open go on, and "idle" follows when the last has ended. */
  goaway(code: ErrorCode, debug = ""): void {
    if (this.#goawayLastId !== undefined || this.#phase === "failed") return;
    this.#goawayLastId = this.#streams.lastPeerId;
    this.#sender.frames.goaway(this.#goawayLastId, code, encoder.encode(debug));
  }

  /** Ends the connection for a reason outside the protocol (a timer, a quota): GOAWAY, then "failed". */
  fail(code: ErrorCode, reason: string): readonly Http2Event[] {
    this.#fail(new Http2Error(code, reason));
    return this.#takeEvents();
  }

  /** Takes the output for the socket; hand it back to {@linkcode outputWritten}. */
  takeOutput(): Uint8Array<ArrayBuffer> {
    return this.#sender.take();
  }

  /** The socket has written a taken output: waiting data may follow. */
  outputWritten(taken: Uint8Array<ArrayBuffer>): readonly Http2Event[] {
    this.#sender.written(taken);
    return this.#takeEvents();
  }

  #takeEvents(): readonly Http2Event[] {
    const events = this.#events;
    if (events.length > 0) this.#events = [];
    return events;
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
        this.#resetForFault(error, nowMs);
      }
      if (this.#sender.outputBytes > this.#limits.maxOutputBytes) {
        throw new Http2Error(ErrorCode.ENHANCE_YOUR_CALM, "answers wait unread");
      }
    }
  }

  #frame(frame: Frame, nowMs: number): void {
    if (this.#phase === "settings") {
      if (frame.type !== FrameType.SETTINGS || (frame.flags & Flag.ACK) !== 0) {
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "the first frame is not SETTINGS (§3.4)");
      }
      this.#phase = "open";
      // Without a word from the peer there is no limit (§6.5.2).
      this.#peer.maxConcurrentStreams = Infinity;
    }
    if (this.#blocks.open && frame.type !== FrameType.CONTINUATION) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "a header block is cut by another frame (§6.10)");
    }
    switch (frame.type) {
      case FrameType.DATA:
        return this.#dataFrame(frame, nowMs);
      case FrameType.HEADERS:
      case FrameType.CONTINUATION:
        return this.#headersFrame(frame, nowMs);
      case FrameType.PRIORITY:
        this.#budget.idleFrame(nowMs);
        return this.#priorityFrame(frame);
      case FrameType.RST_STREAM:
        return this.#rstStreamFrame(frame, nowMs);
      case FrameType.SETTINGS:
        return this.#settingsFrame(frame, nowMs);
      case FrameType.PUSH_PROMISE:
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "PUSH_PROMISE is not allowed here (§6.6, §8.4)");
      case FrameType.PING:
        return this.#pingFrame(frame, nowMs);
      case FrameType.GOAWAY:
        return this.#goawayFrame(frame);
      case FrameType.WINDOW_UPDATE:
        return this.#windowUpdateFrame(frame);
      default:
        // Frames of unknown types are ignored (§4.1), yet not for free.
        this.#budget.idleFrame(nowMs);
    }
  }

  #dataFrame(frame: Frame, nowMs: number): void {
    const { streamId, payload } = frame;
    if (streamId === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "DATA on stream 0 (§6.1)");
    if (!this.#receiveWindow.receive(payload.length)) {
      throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "DATA exceeds the connection's window (§6.9.1)");
    }
    const endStream = (frame.flags & Flag.END_STREAM) !== 0;
    if (payload.length === 0 && !endStream) this.#budget.idleFrame(nowMs);
    if (this.#beyondGoaway(streamId)) return this.#consumeConnection(payload.length);
    const stream = this.#existing(frame, payload.length);
    if (stream === undefined) return;
    // From here on the bytes count against the stream; on any fault the connection's window is given back first.
    try {
      this.#checkData(stream, payload.length);
      const bytes = withoutPadding(frame);
      this.#countContent(stream, bytes.length, endStream);
      if (bytes.length < payload.length) this.consume(streamId, payload.length - bytes.length);
      if (endStream) stream.remote = "ended";
      this.#events.push({ type: "data", streamId, bytes, endStream });
      if (endStream) this.#dropIfEnded(stream);
    } catch (error) {
      this.#consumeConnection(payload.length);
      throw error;
    }
  }

  #checkData(stream: Stream, length: number): void {
    if (stream.remote === "ended") {
      throw new Http2Error(ErrorCode.STREAM_CLOSED, "DATA after END_STREAM (§5.1)", stream.id);
    }
    if (!stream.headersReceived) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "DATA before the response headers (§8.1)", stream.id);
    }
    if (!stream.receiveWindow.receive(length)) {
      throw new Http2Error(
        ErrorCode.FLOW_CONTROL_ERROR,
        "DATA exceeds the stream's window (§6.9.1)",
        stream.id,
      );
    }
  }

  #countContent(stream: Stream, length: number, endStream: boolean): void {
    if (stream.contentBytesLeft === undefined) return;
    stream.contentBytesLeft -= length;
    if (stream.contentBytesLeft < 0 || (endStream && stream.contentBytesLeft > 0)) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "content-length is not what came (§8.1.1)", stream.id);
    }
  }

  #headersFrame(frame: Frame, nowMs: number): void {
    const block = this.#blocks.read(frame);
    if (block === undefined) return;
    const { streamId, fields, endStream, tooLarge, selfDependent } = block;
    if (this.#beyondGoaway(streamId)) return;
    const stream = this.#role === "server" && this.#streams.isNewPeerId(streamId)
      ? this.#acceptStream(streamId, nowMs)
      : this.#existing({ streamId, type: FrameType.HEADERS }, 0);
    if (stream === undefined) return;
    if (selfDependent) {
      throw new Http2Error(
        ErrorCode.PROTOCOL_ERROR,
        "a stream depends on itself (RFC 7540 §5.3.1)",
        streamId,
      );
    }
    if (stream.remote === "ended") {
      throw new Http2Error(ErrorCode.STREAM_CLOSED, "HEADERS after END_STREAM (§5.1)", streamId);
    }
    if (tooLarge) {
      throw new Http2Error(
        ErrorCode.ENHANCE_YOUR_CALM,
        "the header list is over the announced limit",
        streamId,
      );
    }
    if (stream.headersReceived) this.#trailers(stream, fields, endStream);
    else this.#firstHeaders(stream, fields, endStream);
  }

  /** Makes the stream of a request; undefined when it is refused. The header block is decoded by now: the table is in step. */
  #acceptStream(streamId: number, nowMs: number): Stream | undefined {
    this.#streams.notePeerId(streamId);
    if (this.#streams.size >= this.#limits.maxConcurrentStreams) {
      this.#sender.frames.rstStream(streamId, ErrorCode.REFUSED_STREAM);
      this.#streams.noteReset(streamId, "by us");
      this.#budget.reset(nowMs);
      return undefined;
    }
    return this.#newStream(streamId);
  }

  #firstHeaders(stream: Stream, fields: readonly HeaderField[], endStream: boolean): void {
    const malformed = malformedHeaders(fields, this.#role === "server" ? "request" : "response");
    if (malformed !== undefined) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, malformed, stream.id);
    if (this.#role === "client" && fieldValue(fields, ":status")?.startsWith("1") === true) {
      if (endStream) {
        throw new Http2Error(
          ErrorCode.PROTOCOL_ERROR,
          "an informational response ends the stream (§8.1)",
          stream.id,
        );
      }
      return;
    }
    const length = contentLength(fields);
    if (length === "malformed" || (endStream && length !== undefined && length > 0)) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "content-length is malformed (§8.1.1)", stream.id);
    }
    stream.contentBytesLeft = length;
    stream.headersReceived = true;
    if (endStream) stream.remote = "ended";
    this.#events.push({ type: "headers", streamId: stream.id, fields, endStream });
    if (endStream) this.#dropIfEnded(stream);
  }

  #trailers(stream: Stream, fields: readonly HeaderField[], endStream: boolean): void {
    if (!endStream) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "trailers without END_STREAM (§8.1)", stream.id);
    }
    const malformed = malformedHeaders(fields, "trailers");
    if (malformed !== undefined) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, malformed, stream.id);
    this.#countContent(stream, 0, true);
    stream.remote = "ended";
    this.#events.push({ type: "trailers", streamId: stream.id, fields });
    this.#dropIfEnded(stream);
  }

  #priorityFrame(frame: Frame): void {
    if (frame.streamId === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0 (§6.3)");
    if (frame.payload.length !== 5) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is not 5 bytes (§6.3)", frame.streamId);
    }
    if (readUint31(frame.payload, 0) === frame.streamId) {
      throw new Http2Error(
        ErrorCode.PROTOCOL_ERROR,
        "a stream depends on itself (RFC 7540 §5.3.1)",
        frame.streamId,
      );
    }
  }

  #rstStreamFrame(frame: Frame, nowMs: number): void {
    const { streamId, payload } = frame;
    if (this.#beyondGoaway(streamId)) return;
    if (streamId === 0 || this.#streams.isIdle(streamId)) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `RST_STREAM on the idle stream ${streamId} (§6.4)`);
    }
    if (payload.length !== 4) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM is not 4 bytes (§6.4)");
    }
    if (this.#role === "server") this.#budget.reset(nowMs);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    const code = new DataView(payload.buffer, payload.byteOffset, 4).getUint32(0);
    this.#drop(stream, "by peer");
    this.#events.push({ type: "reset", streamId, code, by: "peer" });
  }

  #settingsFrame(frame: Frame, nowMs: number): void {
    if (frame.streamId !== 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream (§6.5)");
    if ((frame.flags & Flag.ACK) !== 0) {
      if (frame.payload.length !== 0) {
        throw new Http2Error(
          ErrorCode.FRAME_SIZE_ERROR,
          "an acknowledgement of SETTINGS carries values (§6.5)",
        );
      }
      return;
    }
    this.#budget.settings(nowMs);
    const before = this.#peer.initialWindowBytes;
    applySettings(this.#peer, frame.payload, this.#role === "server" ? "client" : "server");
    this.#sender.headerTableBytesChanged();
    this.#shiftSendWindows(this.#peer.initialWindowBytes - before);
    this.#sender.frames.settingsAck();
    this.#events.push({ type: "capacity" });
  }

  #shiftSendWindows(delta: number): void {
    if (delta === 0) return;
    for (const stream of this.#streams.all()) {
      stream.sendWindow += delta;
      if (stream.sendWindow > MAX_WINDOW_BYTES) {
        throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "a window grew past 2^31-1 (§6.9.2)");
      }
      this.#sender.schedule(stream);
    }
    this.#sender.pump();
  }

  #pingFrame(frame: Frame, nowMs: number): void {
    if (frame.streamId !== 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "PING on a stream (§6.7)");
    if (frame.payload.length !== 8) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PING is not 8 bytes (§6.7)");
    }
    if ((frame.flags & Flag.ACK) !== 0) {
      this.#events.push({ type: "pong" });
      return;
    }
    // A peer that measures its bandwidth sends a PING after data of ours (grpc-go does): that is no flood.
    if (!this.#sender.takeActivity()) this.#budget.ping(nowMs);
    this.#sender.frames.ping(frame.payload, true);
  }

  #goawayFrame(frame: Frame): void {
    const { payload } = frame;
    if (frame.streamId !== 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream (§6.8)");
    if (payload.length < 8) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is below 8 bytes (§6.8)");
    }
    this.#goawayReceived = true;
    const lastStreamId = readUint31(payload, 0);
    const code = new DataView(payload.buffer, payload.byteOffset, payload.length).getUint32(4);
    if (this.#role === "client") {
      for (const stream of [...this.#streams.all()]) {
        if (stream.id <= lastStreamId) continue;
        this.#drop(stream, "by peer");
        this.#events.push({ type: "reset", streamId: stream.id, code: ErrorCode.REFUSED_STREAM, by: "peer" });
      }
    }
    this.#events.push({ type: "goaway", lastStreamId, code, debug: decoder.decode(payload.subarray(8)) });
  }

  #windowUpdateFrame(frame: Frame): void {
    const { streamId, payload } = frame;
    if (payload.length !== 4) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE is not 4 bytes (§6.9)");
    }
    const increment = readUint31(payload, 0);
    if (streamId === 0) {
      if (increment === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0 (§6.9)");
      if (!this.#sender.openWindow(increment)) {
        throw new Http2Error(
          ErrorCode.FLOW_CONTROL_ERROR,
          "the connection's window grew past 2^31-1 (§6.9.1)",
        );
      }
      return;
    }
    if (this.#beyondGoaway(streamId)) return;
    if (this.#streams.isIdle(streamId)) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `WINDOW_UPDATE on the idle stream ${streamId} (§5.1)`);
    }
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    if (increment === 0) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0 (§6.9)", streamId);
    }
    if (stream.sendWindow + increment > MAX_WINDOW_BYTES) {
      throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "the window grew past 2^31-1 (§6.9.1)", streamId);
    }
    stream.sendWindow += increment;
    this.#sender.schedule(stream);
    this.#sender.pump();
  }

  /** The open stream that a frame is for; undefined where the frame is to be ignored; throws where it is a fault. */
  #existing(frame: { readonly streamId: number; readonly type: number }, bytes: number): Stream | undefined {
    const { streamId } = frame;
    const stream = this.#streams.get(streamId);
    if (stream !== undefined) return stream;
    if (streamId === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "HEADERS on stream 0 (§6.2)");
    if (this.#streams.isIdle(streamId)) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `a frame on the idle stream ${streamId} (§5.1)`);
    }
    this.#consumeConnection(bytes);
    switch (this.#streams.howClosed(streamId)) {
      case "by us":
        // Frames that crossed our RST_STREAM are ignored (§5.1).
        return undefined;
      case "by peer":
        throw new Http2Error(ErrorCode.STREAM_CLOSED, "a frame after RST_STREAM (§5.1)", streamId);
      case "ended":
        throw new Http2Error(ErrorCode.STREAM_CLOSED, `a frame on the closed stream ${streamId} (§5.1)`);
    }
  }

  /** Whether a stream crossed our GOAWAY: its client was told that nobody looks at it, and may send it elsewhere (§6.8). */
  #beyondGoaway(streamId: number): boolean {
    return this.#goawayLastId !== undefined && streamId > this.#goawayLastId &&
      this.#streams.isPeerId(streamId);
  }

  #newStream(streamId: number): Stream {
    const stream = new Stream(streamId, this.#peer.initialWindowBytes, this.#limits.streamWindowBytes);
    this.#streams.add(stream);
    return stream;
  }

  #writable(streamId: number): Stream | undefined {
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return undefined;
    if (stream.local === "ended" || stream.ending.kind !== "none") {
      throw new Error(`Cannot write to stream ${streamId}: it was ended`);
    }
    return stream;
  }

  #localEnded(stream: Stream): void {
    if (stream.remote === "ended") {
      this.#drop(stream, "ended");
    } else if (this.#role === "server") {
      // The answer is complete: the client is asked to stop sending (§8.1).
      this.#sender.frames.rstStream(stream.id, ErrorCode.NO_ERROR);
      this.#drop(stream, "by us");
    }
  }

  #dropIfEnded(stream: Stream): void {
    if (stream.local === "ended") this.#drop(stream, "ended");
  }

  #drop(stream: Stream, how: "ended" | "by us" | "by peer"): void {
    const wasFull = this.#role === "client" && this.#streams.size >= this.#peer.maxConcurrentStreams;
    stream.remote = "ended";
    stream.local = "ended";
    this.#sender.drop(stream);
    this.#streams.remove(stream);
    if (how !== "ended") this.#streams.noteReset(stream.id, how);
    if (wasFull) this.#events.push({ type: "capacity" });
    if (this.#goawayLastId !== undefined && this.#streams.size === 0) this.#events.push({ type: "idle" });
  }

  #resetForFault(error: Http2Error, nowMs: number): void {
    this.#budget.reset(nowMs);
    const { streamId } = error;
    this.#sender.frames.rstStream(streamId, error.code);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) {
      this.#streams.noteReset(streamId, "by us");
      return;
    }
    this.#drop(stream, "by us");
    this.#events.push({ type: "reset", streamId, code: error.code, by: "us" });
  }

  #consumeConnection(count: number): void {
    const increment = this.#receiveWindow.consume(count);
    if (increment > 0) this.#sender.frames.windowUpdate(0, increment);
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
      // A later GOAWAY must not name a higher stream than an earlier one (§6.8).
      const lastId = this.#goawayLastId ?? this.#streams.lastPeerId;
      this.#sender.frames.goaway(lastId, error.code, encoder.encode(error.message));
    }
    for (const stream of this.#streams.all()) {
      stream.local = "ended";
      stream.remote = "ended";
      this.#sender.drop(stream);
    }
    this.#streams.clear();
    this.#events.push({ type: "failed", error });
  }
}

/** The payload of DATA without its padding (RFC 9113 §6.1). */
function withoutPadding(frame: Frame): Uint8Array {
  if ((frame.flags & Flag.PADDED) === 0) return frame.payload;
  const padding = frame.payload[0];
  if (padding === undefined || padding >= frame.payload.length) {
    throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "the padding is longer than the frame (§6.1)");
  }
  return frame.payload.length === padding + 1
    ? EMPTY
    : frame.payload.subarray(1, frame.payload.length - padding);
}
