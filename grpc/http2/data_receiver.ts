import { ErrorCode } from "./error_code.ts";
import type { EventQueue } from "./event_queue.ts";
import { Flag, type Frame } from "./frame/frame_type.ts";
import { Http2Error } from "./http2_error.ts";
import type { Http2Limits } from "./limits.ts";
import type { PeerBudget } from "./peer_budget.ts";
import { ReceiveWindow } from "./receive_window.ts";
import type { Sender } from "./sender.ts";
import { DEFAULT_WINDOW_BYTES } from "./settings.ts";
import type { Stream } from "./stream.ts";
import type { Streams } from "./streams.ts";

const EMPTY = new Uint8Array(0);

/** Takes DATA (RFC 9113 §6.1) and keeps the windows that we opened for it (§6.9). */
export class DataReceiver {
  readonly #streams: Streams;
  readonly #sender: Sender;
  readonly #budget: PeerBudget;
  readonly #events: EventQueue;
  readonly #window: ReceiveWindow;

  /** Opens the connection's window as far as the limits say. */
  constructor(
    limits: Http2Limits,
    streams: Streams,
    sender: Sender,
    budget: PeerBudget,
    events: EventQueue,
  ) {
    this.#streams = streams;
    this.#sender = sender;
    this.#budget = budget;
    this.#events = events;
    this.#window = new ReceiveWindow(
      Math.max(limits.connectionWindowBytes, DEFAULT_WINDOW_BYTES),
      DEFAULT_WINDOW_BYTES,
    );
    this.#consumeConnection(0);
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

  /** Takes a DATA frame. Throws {@linkcode Http2Error}. */
  receive(frame: Frame, nowMs: number): void {
    const { streamId, payload } = frame;
    if (streamId === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "DATA on stream 0 (§6.1)");
    if (!this.#window.receive(payload.length)) {
      throw new Http2Error(ErrorCode.FLOW_CONTROL_ERROR, "DATA exceeds the connection's window (§6.9.1)");
    }
    const endStream = (frame.flags & Flag.END_STREAM) !== 0;
    if (!endStream) {
      if (payload.length === 0) this.#budget.idleFrame(nowMs);
      else this.#budget.data(payload.length, nowMs);
    }
    const bytes = withoutPadding(frame);
    // On any fault, and where nobody takes the bytes, the connection's window is given back.
    try {
      const stream = this.#streams.beyondGoaway(streamId) ? undefined : this.#streams.existing(streamId);
      if (stream === undefined) return this.#consumeConnection(payload.length);
      this.#check(stream, payload.length);
      if (!stream.countContent(bytes.length, endStream)) {
        throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "content-length is not what came (§8.1.1)", streamId);
      }
      if (bytes.length < payload.length) this.consume(streamId, payload.length - bytes.length);
      this.#events.push({ type: "data", streamId, bytes, endStream });
      if (endStream) this.#streams.remoteEnded(stream);
    } catch (error) {
      this.#consumeConnection(payload.length);
      throw error;
    }
  }

  #check(stream: Stream, length: number): void {
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

  #consumeConnection(count: number): void {
    const increment = this.#window.consume(count);
    if (increment > 0) this.#sender.frames.windowUpdate(0, increment);
  }
}

/** The payload of DATA without its padding (RFC 9113 §6.1). */
function withoutPadding(frame: Frame): Uint8Array {
  if ((frame.flags & Flag.PADDED) === 0) return frame.payload;
  const padding = frame.payload[0];
  if (padding === undefined) {
    throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "DATA has no room for its padding's length (§4.2)");
  }
  if (padding >= frame.payload.length) {
    throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "the padding is longer than the frame (§6.1)");
  }
  return frame.payload.length === padding + 1
    ? EMPTY
    : frame.payload.subarray(1, frame.payload.length - padding);
}
