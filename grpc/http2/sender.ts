import { FrameEncoder } from "./frame/frame_encoder.ts";
import { HpackEncoder } from "./hpack/encoder.ts";
import type { HeaderField } from "./hpack/header_field.ts";
import type { Http2Limits } from "./limits.ts";
import { OutputBuffer } from "./output_buffer.ts";
import { DEFAULT_WINDOW_BYTES, MAX_WINDOW_BYTES, type PeerSettings } from "./settings.ts";
import type { Stream } from "./stream.ts";

/** A peer may answer every frame of ours with so many WINDOW_UPDATE, for it may have had them in pieces. */
const WINDOW_UPDATES_PER_FRAME = 10;

/** What the sender tells the connection. */
export interface SenderObserver {
  /** The queue of a stream became empty after it had held data. */
  drained(stream: Stream): void;
  /** END_STREAM of a stream is in the output. */
  ended(stream: Stream): void;
}

/** The sending half of a connection: windows, the turns of the streams, and the output (RFC 9113 §5.2, §6.9). */
export class Sender {
  readonly frames: FrameEncoder;
  readonly #output = new OutputBuffer();
  readonly #hpack: HpackEncoder;
  readonly #limits: Http2Limits;
  readonly #peer: Readonly<PeerSettings>;
  readonly #observer: SenderObserver;
  #window = DEFAULT_WINDOW_BYTES;
  /** Streams that could send if the connection's window and the output had room, in the order of their turns. */
  readonly #turns = new Set<Stream>();
  #queuedBytes = 0;
  /** Whether a header list or data was sent since {@linkcode takeActivity}. */
  #active = false;
  #earnedWindowUpdates = 0;

  /** Sends by what `peer` holds at each moment. */
  constructor(limits: Http2Limits, peer: Readonly<PeerSettings>, observer: SenderObserver) {
    this.#limits = limits;
    this.#peer = peer;
    this.#observer = observer;
    this.#hpack = new HpackEncoder({ maxTableBytes: limits.headerTableBytes });
    this.frames = new FrameEncoder(this.#output);
  }

  /** Bytes that wait to be taken. */
  get outputBytes(): number {
    return this.#output.length;
  }

  /** Bytes of all streams that wait for a window or for room in the output. */
  get queuedBytes(): number {
    return this.#queuedBytes;
  }

  /** Bytes of data that would go into the output at once, as far as this stream's turn has come. */
  openBytes(stream: Stream): number {
    return this.#hasRoom() ? Math.max(0, Math.min(stream.sendWindow, this.#window)) : 0;
  }

  /** Whether a header list or data was sent since the last call. */
  takeActivity(): boolean {
    const active = this.#active;
    this.#active = false;
    return active;
  }

  /** WINDOW_UPDATE frames that what was sent since the last call explains. */
  takeEarnedWindowUpdates(): number {
    const earned = this.#earnedWindowUpdates;
    this.#earnedWindowUpdates = 0;
    return earned;
  }

  /** The peer's SETTINGS_HEADER_TABLE_SIZE bounds our table (RFC 7541 §4.2); we never use more than our own limit. */
  headerTableBytesChanged(): void {
    this.#hpack.setMaxTableBytes(Math.min(this.#peer.headerTableBytes, this.#limits.headerTableBytes));
  }

  /** Takes the output for the socket. */
  take(): Uint8Array<ArrayBuffer> {
    this.frames.outputTaken();
    return this.#output.take();
  }

  /** The socket has written a taken view: its array is free, and waiting data may follow. */
  written(taken: Uint8Array<ArrayBuffer>): void {
    this.#output.recycle(taken);
    this.pump();
  }

  /** Puts bytes that are no frames into the output (the preface, an answer to HTTP/1.1). */
  raw(bytes: Uint8Array): void {
    const at = this.#output.reserve(bytes.length);
    this.#output.bytes.set(bytes, at);
    this.frames.outputTaken();
  }

  /** Sends a header list now; headers are never flow-controlled. */
  headers(stream: Stream, fields: readonly HeaderField[], endStream: boolean): void {
    this.#active = true;
    this.#earnedWindowUpdates += WINDOW_UPDATES_PER_FRAME;
    this.frames.headers(stream.id, this.#hpack.encode(fields), endStream, this.#frameBytes);
    if (endStream) this.#end(stream);
  }

  /** Sends data as far as the windows and the output allow, and queues the rest without copying it. */
  data(stream: Stream, bytes: Uint8Array): void {
    const sent = stream.queuedBytes === 0 ? this.#write(stream, bytes, 0, bytes.length) : 0;
    if (sent === bytes.length) return;
    stream.enqueue(sent === 0 ? bytes : bytes.subarray(sent));
    this.#queuedBytes += bytes.length - sent;
    this.schedule(stream);
  }

  /** Ends our half after the queued data, with END_STREAM or with trailers. */
  end(stream: Stream, trailers: readonly HeaderField[] | undefined): void {
    if (stream.queuedBytes > 0) {
      stream.ending = trailers === undefined ? { kind: "end" } : { kind: "trailers", fields: trailers };
      return;
    }
    this.#finish(stream, trailers);
  }

  /** Forgets a stream and what it has queued: nothing more is sent on it. */
  drop(stream: Stream): void {
    this.#queuedBytes -= stream.clearQueue();
    this.#turns.delete(stream);
  }

  /** Gives the connection's window an increment; false when it would pass the largest window there may be. */
  openWindow(increment: number): boolean {
    if (this.#window + increment > MAX_WINDOW_BYTES) return false;
    this.#window += increment;
    this.pump();
    return true;
  }

  /** Gives a stream its turn if it has data and its own window is open. */
  schedule(stream: Stream): void {
    if (stream.queuedBytes > 0 && stream.sendWindow > 0) this.#turns.add(stream);
  }

  /** Lets the streams send in turns, one frame each, until a window shuts or the output is full. */
  pump(): void {
    // A stream that takes its turn goes to the end of the set, or out of it: the iteration meets it again in order.
    for (const stream of this.#turns) {
      if (this.#window <= 0 || !this.#hasRoom()) return;
      this.#turns.delete(stream);
      this.#turn(stream);
    }
  }

  #turn(stream: Stream): void {
    const front = stream.front();
    if (front === undefined) return;
    const to = Math.min(front.bytes.length, front.from + this.#frameBytes);
    const written = this.#write(stream, front.bytes, front.from, to);
    stream.advance(written);
    this.#queuedBytes -= written;
    if (stream.queuedBytes > 0) {
      this.schedule(stream);
      return;
    }
    if (stream.ending.kind === "none") this.#observer.drained(stream);
    else this.#finish(stream, stream.ending.kind === "trailers" ? stream.ending.fields : undefined);
  }

  #finish(stream: Stream, trailers: readonly HeaderField[] | undefined): void {
    stream.ending = { kind: "none" };
    if (trailers !== undefined) {
      this.headers(stream, trailers, true);
      return;
    }
    this.frames.data(stream.id, EMPTY, 0, 0, true, this.#frameBytes);
    this.#end(stream);
  }

  #end(stream: Stream): void {
    stream.local = "ended";
    this.#observer.ended(stream);
  }

  /** Largest payload of the next frame. */
  get #frameBytes(): number {
    return Math.min(this.#peer.maxFrameBytes, this.#limits.maxSentFrameBytes);
  }

  #hasRoom(): boolean {
    return this.#output.length < this.#limits.maxWaitingOutputBytes;
  }

  /** Writes what the windows and the output allow of bytes[from..to] and returns how much that was. */
  #write(stream: Stream, bytes: Uint8Array, from: number, to: number): number {
    const allowed = Math.min(to, from + Math.min(stream.sendWindow, this.#window));
    const frameBytes = this.#frameBytes;
    let at = from;
    while (at < allowed && this.#hasRoom()) {
      const next = Math.min(allowed, at + frameBytes);
      this.frames.data(stream.id, bytes, at, next, false, frameBytes);
      at = next;
      this.#earnedWindowUpdates += WINDOW_UPDATES_PER_FRAME;
    }
    const written = at - from;
    if (written > 0) this.#active = true;
    stream.sendWindow -= written;
    this.#window -= written;
    return written;
  }
}

const EMPTY = new Uint8Array(0);
