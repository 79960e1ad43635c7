import { ErrorCode } from "./error_code.ts";
import type { EventQueue } from "./event_queue.ts";
import { readUint31, readUint32 } from "./frame/frame_decoder.ts";
import type { Frame } from "./frame/frame_type.ts";
import { Http2Error } from "./http2_error.ts";
import type { PeerBudget } from "./peer_budget.ts";
import type { Http2Role } from "./role.ts";
import type { Sender } from "./sender.ts";
import { MAX_WINDOW_BYTES } from "./settings.ts";
import type { Streams } from "./streams.ts";

/** Takes the frames that steer a stream: PRIORITY, RST_STREAM and WINDOW_UPDATE (RFC 9113 §6.3, §6.4, §6.9). */
export class StreamControl {
  readonly #role: Http2Role;
  readonly #streams: Streams;
  readonly #sender: Sender;
  readonly #budget: PeerBudget;
  readonly #events: EventQueue;

  /** Steers the streams of one connection. */
  constructor(role: Http2Role, streams: Streams, sender: Sender, budget: PeerBudget, events: EventQueue) {
    this.#role = role;
    this.#streams = streams;
    this.#sender = sender;
    this.#budget = budget;
    this.#events = events;
  }

  /** Takes PRIORITY, which has no meaning any more (§5.3.2) but a form. Throws {@linkcode Http2Error}. */
  priority({ streamId, payload }: Frame, nowMs: number): void {
    this.#budget.idleFrame(nowMs);
    if (streamId === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "PRIORITY on stream 0 (§6.3)");
    // A stream that is idle can't be reset (§6.4): the fault is the connection's then.
    const at = this.#streams.isIdle(streamId) ? 0 : streamId;
    if (payload.length !== 5) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PRIORITY is not 5 bytes (§6.3)", at);
    }
    if (readUint31(payload, 0) === streamId) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "a stream depends on itself (RFC 7540 §5.3.1)", at);
    }
  }

  /** Takes RST_STREAM. Throws {@linkcode Http2Error}. */
  rstStream({ streamId, payload }: Frame, nowMs: number): void {
    if (this.#streams.beyondGoaway(streamId)) return;
    if (streamId === 0 || this.#streams.isIdle(streamId)) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `RST_STREAM on the idle stream ${streamId} (§6.4)`);
    }
    if (payload.length !== 4) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "RST_STREAM is not 4 bytes (§6.4)");
    }
    if (this.#role === "server") this.#budget.reset(nowMs);
    const stream = this.#streams.get(streamId);
    if (stream === undefined) return;
    this.#streams.drop(stream, "by peer");
    this.#events.push({ type: "reset", streamId, code: readUint32(payload, 0), by: "peer" });
  }

  /** Takes WINDOW_UPDATE, of a stream or of the connection. Throws {@linkcode Http2Error}. */
  windowUpdate({ streamId, payload }: Frame, nowMs: number): void {
    if (payload.length !== 4) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "WINDOW_UPDATE is not 4 bytes (§6.9)");
    }
    const increment = readUint31(payload, 0);
    this.#budget.windowUpdate(increment, this.#sender.takeEarnedWindowUpdates(), nowMs);
    if (streamId === 0) this.#openConnection(increment);
    else this.#openStream(streamId, increment);
  }

  #openConnection(increment: number): void {
    if (increment === 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "WINDOW_UPDATE by 0 (§6.9)");
    if (!this.#sender.openWindow(increment)) {
      throw new Http2Error(
        ErrorCode.FLOW_CONTROL_ERROR,
        "the connection's window grew past 2^31-1 (§6.9.1)",
      );
    }
  }

  #openStream(streamId: number, increment: number): void {
    if (this.#streams.beyondGoaway(streamId)) return;
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
}
