import { ErrorCode } from "./error_code.ts";
import type { EventQueue } from "./event_queue.ts";
import { Http2Error } from "./http2_error.ts";
import type { Http2Limits } from "./limits.ts";
import { ReceiveWindow } from "./receive_window.ts";
import type { Http2Role } from "./role.ts";
import type { Sender } from "./sender.ts";
import { DEFAULT_WINDOW_BYTES, type PeerSettings } from "./settings.ts";
import { Stream } from "./stream.ts";
import { StreamTable } from "./stream_table.ts";

/** How a stream comes to its end: both halves said END_STREAM, or one side sent RST_STREAM. */
type End = "ended" | "by us" | "by peer";

/** The life of a connection's streams (RFC 9113 §5.1): how each opens, which one a frame is for, and how it ends. */
export class Streams {
  readonly #role: Http2Role;
  readonly #limits: Http2Limits;
  readonly #peer: Readonly<PeerSettings>;
  readonly #sender: Sender;
  readonly #events: EventQueue;
  readonly #table: StreamTable;
  /** The last stream of the peer that our GOAWAY said we look at; undefined before it. */
  #goawayLastId: number | undefined;
  #settingsAcknowledged = false;
  #headerListBytes = 0;

  /** Opens streams with the windows that `limits` and `peer` say. */
  constructor(
    role: Http2Role,
    limits: Http2Limits,
    peer: Readonly<PeerSettings>,
    sender: Sender,
    events: EventQueue,
  ) {
    this.#role = role;
    this.#limits = limits;
    this.#peer = peer;
    this.#sender = sender;
    this.#events = events;
    this.#table = new StreamTable(role);
  }

  /** How many are open or half-closed. */
  get size(): number {
    return this.#table.size;
  }

  /** Whether the peer holds as many as we announced. */
  get full(): boolean {
    return this.#table.size >= this.#limits.maxConcurrentStreams;
  }

  /** Whether the peer allows one more of ours. */
  get canOpenLocal(): boolean {
    return this.#goawayLastId === undefined && this.#table.size < this.#peer.maxConcurrentStreams &&
      this.#table.hasNextLocalId;
  }

  /** Whether our GOAWAY is on its way. */
  get leaving(): boolean {
    return this.#goawayLastId !== undefined;
  }

  /** The last stream of the peer that we look at: what GOAWAY names. A later one never names a higher stream (§6.8). */
  get lastPeerId(): number {
    return this.#goawayLastId ?? this.#table.lastPeerId;
  }

  /** The open stream of this number. */
  get(streamId: number): Stream | undefined {
    return this.#table.get(streamId);
  }

  /** All open streams, by their numbers, in a list of its own. */
  all(): Stream[] {
    return this.#table.all();
  }

  /** Opens the next stream of ours. */
  openLocal(): Stream {
    return this.#open(this.#table.nextLocalId());
  }

  /** Whether a request may begin with this number: the next of a client, at a server (§5.1.1). */
  isNewPeerId(streamId: number): boolean {
    return this.#role === "server" && this.#table.isNewPeerId(streamId);
  }

  /** Opens a stream of the peer's. */
  openPeer(streamId: number): Stream {
    this.#table.notePeerId(streamId);
    return this.#open(streamId);
  }

  /** Refuses a stream of the peer's: it was never looked at (§8.7). */
  refusePeer(streamId: number): void {
    this.#table.notePeerId(streamId);
    this.#sender.frames.rstStream(streamId, ErrorCode.REFUSED_STREAM);
    this.#table.noteReset(streamId, "by us");
  }

  /** Takes back a stream of ours of which nothing was sent. */
  withdraw(stream: Stream): void {
    this.#table.remove(stream);
  }

  /** Whether a stream of this number has never been opened. */
  isIdle(streamId: number): boolean {
    return this.#table.isIdle(streamId);
  }

  /** Whether a stream crossed our GOAWAY: its client was told that nobody looks at it, and may send it elsewhere (§6.8). */
  beyondGoaway(streamId: number): boolean {
    return this.#goawayLastId !== undefined && streamId > this.#goawayLastId &&
      this.#table.isPeerId(streamId);
  }

  /** The peer has applied our SETTINGS: its streams open with the window that these say. */
  settingsAcknowledged(): void {
    this.#settingsAcknowledged = true;
  }

  /** From here on the peer's new streams are beyond our GOAWAY. */
  leave(): void {
    this.#goawayLastId ??= this.#table.lastPeerId;
  }

  /** The open stream that DATA or HEADERS are for; undefined where the frame is to be ignored; throws where it is a fault. */
  existing(streamId: number): Stream | undefined {
    const stream = this.#table.get(streamId);
    if (stream !== undefined) return stream;
    if (this.#table.isIdle(streamId)) {
      throw new Http2Error(ErrorCode.PROTOCOL_ERROR, `a frame on the idle stream ${streamId} (§5.1)`);
    }
    switch (this.#table.howClosed(streamId)) {
      case "by us":
        // Frames that crossed our RST_STREAM are ignored (§5.1).
        return undefined;
      case "by peer":
        throw new Http2Error(ErrorCode.STREAM_CLOSED, "a frame after RST_STREAM (§5.1)", streamId);
      case "ended":
        throw new Http2Error(ErrorCode.STREAM_CLOSED, `a frame on the closed stream ${streamId} (§5.1)`);
      case "skipped":
        throw new Http2Error(
          ErrorCode.PROTOCOL_ERROR,
          `the stream ${streamId} is below one that was opened before (§5.1.1)`,
        );
    }
  }

  /** Counts the first header list of a stream for as long as it is open; false, and not counted, where it is over the limit of all. */
  keepHeaderList(stream: Stream, bytes: number): boolean {
    if (this.#headerListBytes + bytes > this.#limits.maxOpenHeaderListBytes) return false;
    this.#headerListBytes += bytes;
    stream.headerListBytes += bytes;
    return true;
  }

  /** Tells of every stream whose queue has not moved for `timeoutMs`, as far as was seen by the calls before. */
  findStalled(nowMs: number, timeoutMs: number): void {
    for (const stream of this.#table.all()) {
      if (stream.stalled(nowMs, timeoutMs)) this.#events.push({ type: "stalled", streamId: stream.id });
    }
  }

  /** END_STREAM came: the peer's half has ended. To be called after the event that tells of it. */
  remoteEnded(stream: Stream): void {
    stream.remote = "ended";
    if (stream.local === "ended") this.drop(stream, "ended");
  }

  /** END_STREAM is in the output: our half has ended. */
  localEnded(stream: Stream): void {
    if (stream.remote === "ended") {
      this.drop(stream, "ended");
    } else if (this.#role === "server") {
      // The answer is complete: the client is asked to stop sending (§8.1).
      this.#sender.frames.rstStream(stream.id, ErrorCode.NO_ERROR);
      this.drop(stream, "by us");
    }
  }

  /** Ends a stream with RST_STREAM. No event follows. */
  reset(stream: Stream, code: ErrorCode): void {
    this.#sender.frames.rstStream(stream.id, code);
    this.drop(stream, "by us");
  }

  /** Ends a stream, open or not, with RST_STREAM for the peer's fault, and tells of it where it was open. */
  resetForFault(streamId: number, code: ErrorCode): void {
    const stream = this.#table.get(streamId);
    if (stream === undefined) {
      this.#sender.frames.rstStream(streamId, code);
      this.#table.noteReset(streamId, "by us");
      return;
    }
    this.reset(stream, code);
    this.#events.push({ type: "reset", streamId, code, by: "us" });
  }

  /** Takes a stream out, with what it has queued. */
  drop(stream: Stream, how: End): void {
    const wasFull = this.#role === "client" && this.#table.size >= this.#peer.maxConcurrentStreams;
    stream.remote = "ended";
    stream.local = "ended";
    this.#sender.drop(stream);
    this.#headerListBytes -= stream.headerListBytes;
    this.#table.remove(stream);
    if (how !== "ended") this.#table.noteReset(stream.id, how);
    if (wasFull) this.#events.push({ type: "capacity" });
    if (this.leaving && this.#table.size === 0) this.#events.push({ type: "idle" });
  }

  /** Takes all streams out at once: the connection is over. No event follows. */
  dropAll(): void {
    for (const stream of this.#table.all()) {
      stream.local = "ended";
      stream.remote = "ended";
      this.#sender.drop(stream);
    }
    this.#table.clear();
  }

  #open(streamId: number): Stream {
    // A peer that does not know our SETTINGS yet sends by the RFC's window (§6.9.2, §6.9.3).
    const { streamWindowBytes } = this.#limits;
    const graceBytes = this.#settingsAcknowledged ? 0 : Math.max(0, DEFAULT_WINDOW_BYTES - streamWindowBytes);
    const stream = new Stream(
      streamId,
      this.#peer.initialWindowBytes,
      new ReceiveWindow(streamWindowBytes, streamWindowBytes, graceBytes),
    );
    this.#table.add(stream);
    return stream;
  }
}
