import type { HeaderField } from "./hpack/header_field.ts";
import type { ReceiveWindow } from "./receive_window.ts";

/** One side of a stream: what may still come, or what may still be sent. */
export type HalfState = "open" | "ended";

/** A piece of a stream's data that waits for a window. */
interface QueuedData {
  readonly bytes: Uint8Array;
  from: number;
}

/**
 * One stream that is neither idle nor closed (RFC 9113 §5.1):
 *
 * | `remote` | `local` | RFC's state |
 * | --- | --- | --- |
 * | open | open | open |
 * | ended | open | half-closed (remote) |
 * | open | ended | half-closed (local) |
 *
 * A stream whose halves both ended, or that was reset, is dropped by the connection: closed is not being in its table.
 */
export class Stream {
  readonly id: number;
  /** The peer's half. */
  remote: HalfState = "open";
  /** Our half; "ended" once END_STREAM is in the output. */
  local: HalfState = "open";
  /** Whether the peer's first header list (not informational) has arrived. */
  headersReceived = false;
  /** The size of the header list that is counted for it (RFC 9113 §6.5.2). */
  headerListBytes = 0;
  /** Whether the request was HEAD: the answer's content-length counts what does not come (§8.1.1). */
  answersHead = false;
  /** What the peer announced by content-length and has not sent yet; undefined where it announced nothing. */
  contentBytesLeft: number | undefined;
  /** What we may still send on this stream; below 0 after the peer shrank its initial window (§6.9.2). */
  sendWindow: number;
  readonly receiveWindow: ReceiveWindow;
  #queue: QueuedData[] = [];
  #queueHead = 0;
  /** Bytes in the queue. */
  queuedBytes = 0;
  /** Whether the queue was other bytes at the last look of {@linkcode stalled}, and since when it has been the same. */
  #moved = false;
  #sameSinceMs = 0;
  /** What follows the queued data: nothing yet, END_STREAM, or trailers. */
  ending: { readonly kind: "none" } | { readonly kind: "end" } | {
    readonly kind: "trailers";
    readonly fields: readonly HeaderField[];
  } = { kind: "none" };

  /** Opens a stream with the windows of both sides. */
  constructor(id: number, sendWindow: number, receiveWindow: ReceiveWindow) {
    this.id = id;
    this.sendWindow = sendWindow;
    this.receiveWindow = receiveWindow;
  }

  /** Counts content that came; false where it is not what content-length announced (§8.1.1). */
  countContent(length: number, last: boolean): boolean {
    if (this.contentBytesLeft === undefined) return true;
    this.contentBytesLeft -= length;
    return last ? this.contentBytesLeft === 0 : this.contentBytesLeft >= 0;
  }

  /** Puts data at the end of the queue, without copying it. */
  enqueue(bytes: Uint8Array): void {
    if (bytes.length === 0) return;
    if (this.queuedBytes === 0) this.#moved = true;
    this.#queue.push({ bytes, from: 0 });
    this.queuedBytes += bytes.length;
  }

  /** The piece at the front of the queue. */
  front(): Readonly<QueuedData> | undefined {
    return this.#queue[this.#queueHead];
  }

  /** Takes `count` bytes off the front piece. */
  advance(count: number): void {
    const front = this.#queue[this.#queueHead];
    if (front === undefined) return;
    if (count > 0) this.#moved = true;
    front.from += count;
    this.queuedBytes -= count;
    if (front.from < front.bytes.length) return;
    this.#queueHead++;
    if (this.#queueHead === this.#queue.length) {
      this.#queue.length = 0;
      this.#queueHead = 0;
    } else if (this.#queueHead > 64 && this.#queueHead * 2 > this.#queue.length) {
      this.#queue.splice(0, this.#queueHead);
      this.#queueHead = 0;
    }
  }

  /** Whether nothing has left the queue for `timeoutMs`, counted from the first look that found it so. */
  stalled(nowMs: number, timeoutMs: number): boolean {
    if (this.queuedBytes === 0) return false;
    if (this.#moved) {
      this.#moved = false;
      this.#sameSinceMs = nowMs;
    }
    return nowMs - this.#sameSinceMs >= timeoutMs;
  }

  /** Drops what waits: it will not be sent. Returns how many bytes that were. */
  clearQueue(): number {
    const dropped = this.queuedBytes;
    this.#queue = [];
    this.#queueHead = 0;
    this.queuedBytes = 0;
    return dropped;
  }
}
