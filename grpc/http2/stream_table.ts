import type { Stream } from "./stream.ts";

/** How a stream that is in no table any more came to its end. */
export type HowClosed = "ended" | "by us" | "by peer";

/** Resets that are remembered: frames may still come for them. Older ones count as ended. */
const MAX_REMEMBERED_RESETS = 1_024;
const MAX_STREAM_ID = 0x7fff_ffff;

/** The open streams of a connection, and what is known of the others by their number (RFC 9113 §5.1.1). */
export class StreamTable {
  readonly #open = new Map<number, Stream>();
  readonly #resets = new Map<number, "by us" | "by peer">();
  readonly #role: "client" | "server";
  #lastPeerId = 0;
  #nextLocalId: number;

  /** Clients open odd numbers, servers even ones. */
  constructor(role: "client" | "server") {
    this.#role = role;
    this.#nextLocalId = role === "client" ? 1 : 2;
  }

  /** How many streams are open or half-closed. */
  get size(): number {
    return this.#open.size;
  }

  /** The highest stream that the peer opened, or 0. */
  get lastPeerId(): number {
    return this.#lastPeerId;
  }

  /** Whether there is a number left for one more stream of ours. */
  get hasNextLocalId(): boolean {
    return this.#nextLocalId <= MAX_STREAM_ID;
  }

  /** The number for the next stream of ours. */
  nextLocalId(): number {
    const id = this.#nextLocalId;
    this.#nextLocalId += 2;
    return id;
  }

  /** Whether the number can open a stream of the peer's: odd from a client, above all before. */
  isNewPeerId(id: number): boolean {
    return this.isPeerId(id) && id > this.#lastPeerId;
  }

  /** The peer opened this stream: all lower ones that it skipped are closed. */
  notePeerId(id: number): void {
    this.#lastPeerId = id;
  }

  /** Whether a stream of this number has never been opened. */
  isIdle(id: number): boolean {
    return this.isPeerId(id) ? id > this.#lastPeerId : id >= this.#nextLocalId;
  }

  /** The open stream of this number. */
  get(id: number): Stream | undefined {
    return this.#open.get(id);
  }

  /** All open streams. */
  all(): IterableIterator<Stream> {
    return this.#open.values();
  }

  /** Adds an open stream. */
  add(stream: Stream): void {
    this.#open.set(stream.id, stream);
  }

  /** Takes a stream out: it is closed. */
  remove(stream: Stream): void {
    this.#open.delete(stream.id);
  }

  /** Takes all streams out. */
  clear(): void {
    this.#open.clear();
  }

  /** Remembers a reset for the frames that may still come. */
  noteReset(id: number, how: "by us" | "by peer"): void {
    this.#resets.set(id, how);
    if (this.#resets.size <= MAX_REMEMBERED_RESETS) return;
    const oldest = this.#resets.keys().next();
    if (!oldest.done) this.#resets.delete(oldest.value);
  }

  /** How the closed stream of this number ended. */
  howClosed(id: number): HowClosed {
    return this.#resets.get(id) ?? "ended";
  }

  /** Whether a stream of this number is the peer's: odd from a client, even from a server. */
  isPeerId(id: number): boolean {
    return id !== 0 && (id % 2 === 1) === (this.#role === "server");
  }
}
