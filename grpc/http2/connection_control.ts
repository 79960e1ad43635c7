import { ErrorCode } from "./error_code.ts";
import type { EventQueue } from "./event_queue.ts";
import { readUint31, readUint32 } from "./frame/frame_decoder.ts";
import { Flag, type Frame } from "./frame/frame_type.ts";
import { Http2Error } from "./http2_error.ts";
import type { PeerBudget } from "./peer_budget.ts";
import type { Http2Role } from "./role.ts";
import type { Sender } from "./sender.ts";
import { applySettings, MAX_WINDOW_BYTES, type PeerSettings } from "./settings.ts";
import type { Streams } from "./streams.ts";

const decoder = new TextDecoder();

/** Takes the frames that are about the connection: SETTINGS, PING and GOAWAY (RFC 9113 §6.5, §6.7, §6.8). */
export class ConnectionControl {
  readonly #role: Http2Role;
  readonly #peer: PeerSettings;
  readonly #streams: Streams;
  readonly #sender: Sender;
  readonly #budget: PeerBudget;
  readonly #events: EventQueue;
  #goawayReceived = false;

  /** Keeps what the peer says of itself in `peer`. */
  constructor(
    role: Http2Role,
    peer: PeerSettings,
    streams: Streams,
    sender: Sender,
    budget: PeerBudget,
    events: EventQueue,
  ) {
    this.#role = role;
    this.#peer = peer;
    this.#streams = streams;
    this.#sender = sender;
    this.#budget = budget;
    this.#events = events;
  }

  /** Whether the peer will take no new streams. */
  get goawayReceived(): boolean {
    return this.#goawayReceived;
  }

  /** Takes SETTINGS or its acknowledgement. Throws {@linkcode Http2Error}. */
  settings({ streamId, flags, payload }: Frame, nowMs: number): void {
    if (streamId !== 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "SETTINGS on a stream (§6.5)");
    if ((flags & Flag.ACK) !== 0) {
      if (payload.length !== 0) {
        throw new Http2Error(
          ErrorCode.FRAME_SIZE_ERROR,
          "an acknowledgement of SETTINGS carries values (§6.5)",
        );
      }
      return;
    }
    this.#budget.settings(nowMs);
    const before = this.#peer.initialWindowBytes;
    applySettings(this.#peer, payload, this.#role === "server" ? "client" : "server");
    this.#sender.headerTableBytesChanged();
    this.#shiftSendWindows(this.#peer.initialWindowBytes - before);
    // Before any data that the new values allow: until the peer reads this it counts by its old ones (§6.5.3).
    this.#sender.frames.settingsAck();
    this.#sender.pump();
    this.#events.push({ type: "capacity" });
  }

  /** Takes PING or its answer. Throws {@linkcode Http2Error}. */
  ping({ streamId, flags, payload }: Frame, nowMs: number): void {
    if (streamId !== 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "PING on a stream (§6.7)");
    if (payload.length !== 8) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "PING is not 8 bytes (§6.7)");
    }
    if ((flags & Flag.ACK) !== 0) {
      this.#events.push({ type: "pong" });
      return;
    }
    // A peer that measures its bandwidth sends a PING after data of ours (grpc-go does): that is no flood.
    if (!this.#sender.takeActivity()) this.#budget.ping(nowMs);
    this.#sender.frames.ping(payload, true);
  }

  /** Takes GOAWAY. Throws {@linkcode Http2Error}. */
  goaway({ streamId, payload }: Frame): void {
    if (streamId !== 0) throw new Http2Error(ErrorCode.PROTOCOL_ERROR, "GOAWAY on a stream (§6.8)");
    if (payload.length < 8) {
      throw new Http2Error(ErrorCode.FRAME_SIZE_ERROR, "GOAWAY is below 8 bytes (§6.8)");
    }
    this.#goawayReceived = true;
    const lastStreamId = readUint31(payload, 0);
    if (this.#role === "client") this.#dropBeyond(lastStreamId);
    this.#events.push({
      type: "goaway",
      lastStreamId,
      code: readUint32(payload, 4),
      debug: decoder.decode(payload.subarray(8)),
    });
  }

  /** The server never looked at these streams: their calls may go elsewhere. */
  #dropBeyond(lastStreamId: number): void {
    for (const stream of this.#streams.all()) {
      if (stream.id <= lastStreamId) continue;
      this.#streams.drop(stream, "by peer");
      this.#events.push({ type: "reset", streamId: stream.id, code: ErrorCode.REFUSED_STREAM, by: "peer" });
    }
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
  }
}
